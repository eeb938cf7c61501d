"""Heat maps of the accuracy at every shift.

``plot_accuracy`` draws on axes that the caller has made, ``accuracy_figure`` makes a whole figure. Both draw
accuracies that exist already and never run a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks.errors import ArgumentError
from ..checks.tensors import check_tensor
from ..shifts import ShiftGrid
from .layout import (
    LEAST_WIDTH,
    add_axes,
    add_heading,
    heading_height,
    label_shifts,
    new_page,
)
from .matplotlib_settings import figure_settings, import_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

Fractions = Sequence[Sequence[float]] | Tensor
"""Accuracies, fractions [n_dy, n_dx], such as ``metrics.summarize(...)["accuracy_map"]``."""

# A cell's size and what lies around the cells of a panel, in screen pixels.
_CELL_WIDTH, _CELL_HEIGHT = 50, 46
_PANEL_LEFT, _PANEL_RIGHT, _PANEL_TOP, _PANEL_BOTTOM = 76, 14, 48, 34
_SCALE_WIDTH, _FOOT = 104, 40


def accuracy_size(grid: ShiftGrid) -> tuple[int, int]:
    """Width and height, in screen pixels, of ``plot_accuracy``."""
    return grid.n_dx * _CELL_WIDTH, grid.n_dy * _CELL_HEIGHT


def viridis() -> list[tuple[float, ...]]:
    """The colour of each whole per cent, 0 to 100: red, green, blue and alpha in 0..1."""
    import_matplotlib()
    from matplotlib import colormaps

    return [colormaps["viridis"](percent / 100) for percent in range(101)]


def plot_accuracy(axes: Axes, fractions: Fractions, grid: ShiftGrid) -> AxesImage:
    """Draw a heat map of the accuracy at every shift, each cell with its per cent.

    The axes count shifts, dy down; their limits, ticks and labels are set. The colours always span 0 to
    100 %, so that maps can be compared.

    Args:
        axes: where to draw.
        fractions: the accuracies, [n_dy, n_dx].
        grid: the shifts, in pixels.

    Returns:
        The coloured cells, for a colour bar.

    Raises:
        ValueError: ``fractions`` has another shape.
    """
    cells = checked_fractions("fractions", fractions, grid).numpy()
    texts = [[f"{100 * fraction:.0f}" for fraction in row] for row in cells]
    # On the light half of viridis, black has the better contrast.
    inks = [["white" if fraction < 0.5 else "black" for fraction in row] for row in cells]
    # Viridis is even in lightness, so it can be read without hue.
    return draw_cells(axes, cells, grid, (texts, inks), cmap="viridis", vmin=0, vmax=1)


def draw_cells(
    axes: Axes,
    cells: NDArray[np.float64],
    grid: ShiftGrid,
    written: tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]],
    **colours: Any,
) -> AxesImage:
    """Draw a coloured cell for every shift, with a text in it, and label the shifts.

    Args:
        axes: where to draw.
        cells: ``[n_dy, n_dx]``, what the colours stand for.
        grid: the shifts, in pixels.
        written: the text of each cell, and its colour.
        colours: colour map and limits, for ``imshow``.
    """
    x, y = grid.dx.step / 2, grid.dy.step / 2  # from a cell's middle to its edge
    extent = (grid.dx[0] - x, grid.dx[-1] + x, grid.dy[-1] + y, grid.dy[0] - y)
    drawn = axes.imshow(cells, extent=extent, aspect="auto", interpolation="none", **colours)
    texts, inks = written
    for row, dy in enumerate(grid.dy):
        for column, dx in enumerate(grid.dx):
            ink = inks[row][column]
            axes.text(dx, dy, texts[row][column], color=ink, ha="center", va="center")
    label_shifts(axes, grid, grid.dx, grid.dy)
    return drawn


@figure_settings()
def accuracy_figure(maps: Mapping[str, Fractions], grid: ShiftGrid, note: str = "") -> Figure:
    """One heat map per model: the accuracy at every shift, on a shared scale of 0 to 100 %.

    Args:
        maps: panel title -> accuracies, fractions [n_dy, n_dx].
        grid: the shifts, in pixels.
        note: a line below the title, for example that the data are a subset; empty for none.

    Raises:
        ValueError: ``maps`` is empty, or a map has another shape.
    """
    from matplotlib.ticker import PercentFormatter

    if not maps:
        raise ArgumentError("maps", "none", "at least one")
    values = {
        name: checked_fractions(f"maps[{name!r}]", given, grid) for name, given in maps.items()
    }

    n_columns = min(2, len(values))
    n_rows = -(-len(values) // n_columns)
    width, height = accuracy_size(grid) if len(values) > 1 else _size_of_one(grid)
    panel_width = _PANEL_LEFT + width + _PANEL_RIGHT
    panel_height = _PANEL_TOP + height + _PANEL_BOTTOM
    head = heading_height(note)
    figure = new_page(n_columns * panel_width + _SCALE_WIDTH, head + n_rows * panel_height + _FOOT)
    counted = "per cent of the test images that are answered right when all are moved by (dx, dy)"
    add_heading(figure, _PANEL_LEFT, "Accuracy at every shift", counted, note)
    top = head + _PANEL_TOP
    for index, (name, value) in enumerate(values.items()):
        row, column = divmod(index, n_columns)
        x, y = column * panel_width + _PANEL_LEFT, row * panel_height + top
        axes = add_axes(figure, x, y, width, height)
        colours = plot_accuracy(axes, value, grid)
        axes.set_title(name, loc="left", size=11.5, weight="bold", pad=10, parse_math=False)
        if index + n_columns < len(values):  # another panel is below
            axes.set_xlabel("")
        if column > 0:
            axes.set_ylabel("")
    scale = add_axes(
        figure, n_columns * panel_width + 22, top, 18, (n_rows - 1) * panel_height + height
    )
    per_cent = PercentFormatter(xmax=1, decimals=0, symbol=" %")
    add_scale(figure, colours, scale, "accuracy", ticks=np.linspace(0, 1, 6), format=per_cent)
    return figure


def _size_of_one(grid: ShiftGrid) -> tuple[int, int]:
    """Width and height of the cells of a single panel, which is as wide as the page."""
    width, height = accuracy_size(grid)
    page = max(LEAST_WIDTH, _PANEL_LEFT + width + _PANEL_RIGHT + _SCALE_WIDTH)
    wider = min(2, (page - _SCALE_WIDTH - _PANEL_LEFT - _PANEL_RIGHT) / width)
    return round(wider * width), round(wider * height)


def one_panel(grid: ShiftGrid, note: str) -> tuple[Figure, Axes, Axes, int]:
    """A figure with a single panel: the figure, the axes of the cells, those of the scale, and where the
    heading begins, in screen pixels."""
    width, height = _size_of_one(grid)
    top = heading_height(note) + _PANEL_TOP
    panel_width = _PANEL_LEFT + width + _PANEL_RIGHT
    figure = new_page(panel_width + _SCALE_WIDTH, top + height + _PANEL_BOTTOM + _FOOT)
    axes = add_axes(figure, _PANEL_LEFT, top, width, height)
    scale = add_axes(figure, panel_width + 22, top, 18, height)
    return figure, axes, scale, _PANEL_LEFT


def add_scale(figure: Figure, colours: AxesImage, axes: Axes, title: str, **ticks: Any) -> None:
    """The colour bar that all panels share; ``ticks`` are settings of ``Figure.colorbar``."""
    bar = figure.colorbar(colours, cax=axes, **ticks)
    bar.outline.set_visible(False)
    axes.tick_params(length=0, labelsize=10, pad=6)
    axes.set_title(title, loc="left", size=10, pad=14)


def checked_fractions(name: str, fractions: Fractions, grid: ShiftGrid) -> Tensor:
    """Fractions as float64 on the CPU; ValueError unless they are [n_dy, n_dx]."""
    accuracies = torch.as_tensor(fractions, dtype=torch.float64, device="cpu")
    check_tensor(name, accuracies, (torch.float64,), grid.shape)
    return accuracies
