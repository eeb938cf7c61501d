"""What the page of a network is told: counts, a few images and their answers; no network and no data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...shifts import ShiftGrid

MOST_PLACES = 21
"""Of the slide: more answers do not fit next to each other."""


class Line(NamedTuple):
    """A metric: its title, a fraction (None if it is not available), the ends of its interval (or None), and
    whether a more robust network has a smaller value."""

    title: str
    value: float | None
    interval: tuple[float, float] | None
    smaller_is_better: bool


class Taken(NamedTuple):
    """How many times images of class ``label`` get ``answer``, another class."""

    label: int
    answer: int
    times: int


@dataclass(frozen=True, eq=False)
class Kept:
    """The images that the page has.

    Attributes:
        rows: int64 ``[n]``, their numbers in the evaluation, in ascending order.
        labels: int64 ``[n]``.
        predictions: int64 ``[n, n_dy, n_dx]``.
        first: which of them, 0..n - 1, the page shows first.
        lost: those that are answered right when unmoved and wrong at some shifts, the hardest first.
        wrong: those that are answered wrong when unmoved, or at some shifts if the grid lacks (0, 0), the
            hardest first.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    first: int
    lost: Sequence[int]
    wrong: Sequence[int]


@dataclass(frozen=True, eq=False)
class Pictures:
    """The kept images as they can be shown.

    Attributes:
        pixels: uint8 ``[n, H, W]``, grey, or ``[n, H, W, 3]``.
        window: height and width of what the network sees, in the middle of an image.
        fill: the uncovered pixels, one number, three for colours, or ``"circular"``.
    """

    pixels: NDArray[np.uint8]
    window: tuple[int, int]
    fill: tuple[int, ...] | str


@dataclass(frozen=True, eq=False)
class Contents:
    """What the page of a network says.

    Attributes:
        name: of the network; None if it has none.
        n_images: how many were evaluated.
        grid: the shifts.
        right: int64 ``[n_dy, n_dx]``, how many images are answered right at each shift.
        worst_case: how many are answered right at every shift.
        n_lost, n_wrong: of how many images :attr:`Kept.lost` and :attr:`Kept.wrong` are the hardest.
        lines: every metric.
        names: the name of each class that the page mentions, by its label.
        kept: the images that the page has.
        commonest: for all dx of the first dy, then the next, the commonest wrong answers at each shift.
        overall: the commonest wrong answers over all shifts.
        pictures: of the kept images; None if the page has none.
        facts: what was evaluated and how, as names and values.
    """

    name: str | None
    n_images: int
    grid: ShiftGrid
    right: NDArray[np.int64]
    worst_case: int
    n_lost: int
    n_wrong: int
    lines: Sequence[Line]
    names: Mapping[int, str]
    kept: Kept
    commonest: Sequence[Sequence[Taken]]
    overall: Sequence[Taken]
    pictures: Pictures | None
    facts: Sequence[tuple[str, str]]


def places_of(grid: ShiftGrid) -> list[tuple[int, int]]:
    """Where the slide goes, as (row, column) of the grid: along dx, or along dy if there is a single dx;
    through the shift nearest to (0, 0); at most :data:`MOST_PLACES` places, at equal distances."""
    along_dx = grid.n_dx > 1
    shifts, across = (grid.dx, grid.dy) if along_dx else (grid.dy, grid.dx)
    still = _nearest_to_0(across)
    step = -(-(len(shifts) - 1) // (MOST_PLACES - 1)) or 1
    moving = range(_nearest_to_0(shifts) % step, len(shifts), step)
    return [(still, i) if along_dx else (i, still) for i in moving]


def _nearest_to_0(shifts: range) -> int:
    return min(range(len(shifts)), key=lambda i: abs(shifts[i]))
