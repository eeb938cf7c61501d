"""What the figures of the experiments share; each is drawn from what ``dossier.json`` holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .runs import GRID
from .words import NETWORKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
MARKS = "osD^vP"

THIN: dict[str, Any] = {"linewidth": 1.5, "markersize": 5, "clip_on": False}
UNDER: dict[str, Any] = {"linewidth": 6, "markersize": 11, "clip_on": False, "alpha": 0.45}
"""Of a curve, and of one that lies under another and is seen on both of its sides."""

Rows = dict[tuple[str, int], dict[str, Mapping[str, Any]]]
"""(setting, epochs) -> measure -> a row of a dossier's ``summaries``."""


def rows_of(value: Mapping[str, Any], experiment: str) -> Rows:
    """The rows of one experiment in a dossier or its summary."""
    rows: Rows = {}
    for row in value["summaries"]:
        if row["experiment"] == experiment:
            rows.setdefault((row["setting"], row["epochs"]), {})[row["measure"]] = row
    return rows


def page(
    title: str,
    subtitle: str,
    n_panels: int,
    height: float = 5,
    names: float = 0.9,
    panel_width: float = 5.2,
) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side; ``height`` of all, ``names`` of room at the left, and the width of a
    panel, in inches."""
    from matplotlib.figure import Figure

    width = max(names + panel_width * n_panels, 8.5)
    figure = Figure(figsize=(width, height), dpi=100)
    figure.text(0.15 / width, 1 - 0.15 / height, title, size=14, weight="bold", va="top")
    figure.text(0.15 / width, 1 - 0.5 / height, subtitle, va="top")
    axes = list(figure.subplots(1, n_panels, squeeze=False, sharey=True)[0])
    figure.subplots_adjust(
        names / width, 0.85 / height, 1 - 0.2 / width, 1 - 1.1 / height, wspace=0.08
    )
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
    return figure, axes


def legend_above(figure: Figure, axes: Axes, n_columns: int) -> None:
    """The labels of one panel beside the figure's title, where no curve is."""
    width, height = figure.get_size_inches()
    corner = (1 - 0.1 / width, 1 - 0.05 / height)
    figure.legend(
        *axes.get_legend_handles_labels(), loc="upper right", bbox_to_anchor=corner, ncols=n_columns,
        frameon=False, fontsize=9, borderaxespad=0,
    )  # fmt: skip


def curve(
    axes: Axes,
    number: int,
    label: str,
    x: Sequence[float],
    rows: Sequence[Mapping[str, Any]],
    **style: Any,
) -> None:
    """Means over seeds, with their 95 % intervals as a band; ``style`` is that of the line."""
    colour = COLOURS[number % len(COLOURS)]
    means = [row["mean"] for row in rows]
    mark = MARKS[number % len(MARKS)]
    axes.plot(x, means, color=colour, marker=mark, label=label, **{**THIN, **style})
    if all(row["interval"] for row in rows):  # a quick study has none
        low, high = zip(*(row["interval"] for row in rows), strict=True)
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)


def bar(axes: Axes, interval: Sequence[float] | None, line: float, **style: Any) -> None:
    """An interval as a horizontal bar; nothing for None, as a quick study has it."""
    if interval is not None:
        axes.plot(interval, [line, line], **style)


def against_dx(
    axes: Axes, title: str, rows: Mapping[str, Any], measure: str, under: str = ""
) -> None:
    """A curve for each label, by which ``rows`` has the measures of a setting, over dx.

    Args:
        axes: where to draw.
        title: of the panel.
        rows: label -> measure -> a row of a dossier's ``summaries``.
        measure: its name without its end ``dx=D``.
        under: the label of a curve that another one covers.
    """
    for number, (label, of) in enumerate(rows.items()):
        style = UNDER if label == under else THIN
        curve(axes, number, label, GRID.dx, [of[f"{measure}dx={dx}"] for dx in GRID.dx], **style)
    axes.set_title(title, size=11, pad=10)
    axes.set_xlabel("dx (pixels; > 0 is right)")
    axes.set_ylim(0, 100)


def dots(title: str, rows: Rows) -> Figure:
    """One line for each setting, which is named like its network: accuracy unmoved and moved."""
    figure, (axes,) = page(
        title,
        "accuracy after 2 epochs, means and 95 % intervals over seeds",
        1,
        2.4 + 0.35 * len(rows),
        names=3.3,
    )
    for number, column in enumerate(("unmoved", "moved")):
        for line, measures in enumerate(rows.values()):
            of = measures[column]
            bar(axes, of["interval"], line, color=COLOURS[number], linewidth=2)
            label = column if line == 0 else None
            axes.plot(of["mean"], line, MARKS[number], color=COLOURS[number], label=label)
    name_lines(axes, [NETWORKS[setting] for setting, _ in rows])
    axes.set_xlabel("accuracy, per cent")
    legend_above(figure, axes, 1)
    return figure


def cross(axes: Axes, x: float, y: float, size: float = 12) -> None:
    """The report's number, visible on whatever lies below."""
    axes.plot(x, y, "x", color="white", markersize=size + 2, mew=size / 2, zorder=5)
    axes.plot(x, y, "x", color="black", markersize=size, mew=size / 4, zorder=6)


def name_lines(axes: Axes, names: Sequence[str]) -> None:
    """The names of the lines 0, 1, ... at the left, from above to below."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
