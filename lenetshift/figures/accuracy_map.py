"""Heat maps of the accuracy at every shift.

``plot_accuracy`` draws on axes that the caller has made, ``accuracy_figure`` makes a whole figure. Both draw
accuracies that exist already and never run a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
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
from .matplotlib_settings import figure_settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

Fractions = Sequence[Sequence[float]] | Tensor
"""Accuracies, fractions [n_dy, n_dx], such as ``metrics.summarize(...)["accuracy_map"]``."""

# A cell's size and what lies around the cells of a panel, in screen pixels.
_CELL_WIDTH, _CELL_HEIGHT = 50, 46
_PANEL_LEFT, _PANEL_RIGHT, _PANEL_TOP, _PANEL_BOTTOM = 76, 14, 48, 34


def accuracy_size(grid: ShiftGrid) -> tuple[int, int]:
    """Width and height, in screen pixels, of ``plot_accuracy``."""
    return grid.n_dx * _CELL_WIDTH, grid.n_dy * _CELL_HEIGHT


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
    cells = _accuracies("fractions", fractions, grid).numpy()
    x, y = grid.dx.step / 2, grid.dy.step / 2  # from a cell's middle to its edge
    extent = (grid.dx[0] - x, grid.dx[-1] + x, grid.dy[-1] + y, grid.dy[0] - y)
    # Viridis is even in lightness, so it can be read without hue.
    colours = axes.imshow(
        cells, cmap="viridis", vmin=0, vmax=1, extent=extent, aspect="auto", interpolation="none"
    )
    for (row, column), fraction in np.ndenumerate(cells):
        axes.text(
            grid.dx[column],
            grid.dy[row],
            f"{100 * fraction:.0f}",
            # On the light half of viridis, black has the better contrast.
            color="white" if fraction < 0.5 else "black",
            ha="center",
            va="center",
        )
    label_shifts(axes, grid, grid.dx, grid.dy)
    return colours


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
    if not maps:
        raise ArgumentError("maps", "none", "at least one")
    values = {name: _accuracies(f"maps[{name!r}]", given, grid) for name, given in maps.items()}

    scale_width = 104
    n_columns = min(2, len(values))
    n_rows = -(-len(values) // n_columns)
    width, height = accuracy_size(grid)
    if len(values) == 1:  # as wide as the page
        page = max(LEAST_WIDTH, _PANEL_LEFT + width + _PANEL_RIGHT + scale_width)
        wider = min(2, (page - scale_width - _PANEL_LEFT - _PANEL_RIGHT) / width)
        width, height = round(wider * width), round(wider * height)
    panel_width = _PANEL_LEFT + width + _PANEL_RIGHT
    panel_height = _PANEL_TOP + height + _PANEL_BOTTOM
    head, foot = heading_height(note), 40
    figure = new_page(n_columns * panel_width + scale_width, head + n_rows * panel_height + foot)
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
    _add_scale(figure, colours, scale)
    return figure


def _add_scale(figure: Figure, colours: AxesImage, axes: Axes) -> None:
    """The colour bar that all panels share."""
    from matplotlib.ticker import PercentFormatter

    per_cent = PercentFormatter(xmax=1, decimals=0, symbol=" %")
    bar = figure.colorbar(colours, cax=axes, ticks=np.linspace(0, 1, 6), format=per_cent)
    bar.outline.set_visible(False)
    axes.tick_params(length=0, labelsize=10, pad=6)
    axes.set_title("accuracy", loc="left", size=10, pad=14)


def _accuracies(name: str, fractions: Fractions, grid: ShiftGrid) -> Tensor:
    """Fractions as float64 on the CPU; ValueError unless they are [n_dy, n_dx]."""
    accuracies = torch.as_tensor(fractions, dtype=torch.float64, device="cpu")
    check_tensor(name, accuracies, (torch.float64,), grid.shape)
    return accuracies
