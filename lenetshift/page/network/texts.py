"""The sentences of a network's page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...shifts import signed
from .contents import Contents, Line, Taken

_SPACE = "\N{NO-BREAK SPACE}"

_HARDEST_SHIFTS = 6


def percent(fraction: float) -> str:
    """A fraction to a tenth of a per cent; 100 % and 0 % only if that is exact."""
    shown = f"{100 * fraction:.1f}"
    if shown == "100.0" and fraction < 1:
        shown = "over 99.9"
    if shown == "0.0" and fraction > 0:
        shown = "under 0.1"
    return f"{shown}{_SPACE}%"


def place(dx: int, dy: int) -> str:
    """A shift, such as "(+3, 0)", without a line break."""
    return f"({signed(dx)},{_SPACE}{signed(dy)})"


def span(shifts: range) -> str:
    """A range of shifts, such as "-4 to +4 in steps of 2"."""
    if len(shifts) == 1:
        return signed(shifts[0])
    steps = f" in steps of {shifts.step}" if shifts.step > 1 else ""
    return f"{signed(shifts[0])} to {signed(shifts[-1])}{steps}"


def numbers(told: Contents) -> list[dict[str, str]]:
    """The page's large numbers, each with a few words below it."""
    n, grid = told.n_images, told.grid
    n_shifts = len(grid)
    found = []
    if grid.has_centre:
        unmoved = told.right[grid.index(0, 0)] / n
        found.append({"value": percent(unmoved), "what": "right, unmoved"})
    moved = told.right.sum() / (n * n_shifts)
    found.append({"value": percent(moved), "what": f"right, over all {n_shifts:,} shifts"})
    found.append({"value": percent(told.worst_case / n), "what": "of images right at every shift"})
    return found


def opening(told: Contents) -> str:
    """The first sentence: what was done, and what moving takes away."""
    grid = told.grid
    far = max(abs(shift) for shifts in (grid.dx, grid.dy) for shift in (shifts[0], shifts[-1]))
    pixels = f"{far:,}{_SPACE}pixel{'' if far == 1 else 's'}"
    images = f"{told.n_images:,} image" + ("" if told.n_images == 1 else "s")
    said = f"{images}, each moved by up to {pixels}."
    low = int(told.right.min())
    if low == told.n_images:
        return f"{said} Every answer is right, at every shift."
    row, column = divmod(int(told.right.argmin()), grid.n_dx)
    worst = (
        f"{percent(low / told.n_images)} right, {told.n_images - low:,} of {told.n_images:,} wrong"
    )
    return f"{said} The hardest shift is {place(grid.dx[column], grid.dy[row])}: {worst}."


def hardest_shifts(told: Contents) -> list[dict[str, str]]:
    """The shifts with the fewest right answers, the hardest first; none if all answers are right."""
    order = told.right.ravel().argsort(kind="stable")[:_HARDEST_SHIFTS]
    found = []
    for i in map(int, order):
        row, column = divmod(i, told.grid.n_dx)
        right = int(told.right[row, column])
        if right == told.n_images:
            break
        taken = told.commonest[i][0]
        found.append(
            {
                "place": place(told.grid.dx[column], told.grid.dy[row]),
                "row": str(row),
                "column": str(column),
                "accuracy": percent(right / told.n_images),
                "wrong": f"{told.n_images - right:,}",
                "taken": f"{told.names[taken.label]} → {told.names[taken.answer]}",
                "count": f"{taken.times:,}",
            }
        )
    return found


def confusions(told: Contents, taken: Sequence[Taken]) -> list[dict[str, Any]]:
    """Wrong answers by name, with a bar of 0 to 100 for each, the longest for the first."""
    most = max((item.times for item in taken), default=1)
    return [
        {
            "label": told.names[item.label],
            "answer": told.names[item.answer],
            "count": f"{item.times:,}",
            "bar": round(100 * item.times / most, 1),
        }
        for item in taken
    ]


def metric_lines(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Every metric that is available, in per cent."""
    found = []
    for line in lines:
        if line.value is None:
            continue
        ends = line.interval
        found.append(
            {
                "title": line.title,
                "smaller": line.smaller_is_better,
                "value": f"{100 * line.value:.1f}{_SPACE}%",
                "interval": "" if ends is None else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}",
            }
        )
    return found


def right_at(told: Contents, kept: int) -> str:
    """At how many shifts an image is answered right."""
    right = int((told.kept.predictions[kept] == told.kept.labels[kept]).sum())
    return f"{right:,} of {len(told.grid):,}"
