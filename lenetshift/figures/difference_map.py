"""A heat map of how much more accurate one network is than another at every shift.

``plot_difference`` draws on axes that the caller has made, ``difference_figure`` makes a whole figure. Both
draw accuracies that exist already and never run a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..shifts import ShiftGrid
from .accuracy_map import Fractions, add_scale, checked_fractions, draw_cells, one_panel
from .layout import add_heading
from .matplotlib_settings import figure_settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_LEAST = 0.01
"""The colours span at least one percentage point, so that hardly any difference looks like hardly any."""

_DARK = 0.72
"""Beyond this part of the span, white has a better contrast than black: 4.5 to 1 or more."""


def plot_difference(axes: Axes, differences: Fractions, grid: ShiftGrid) -> AxesImage:
    """Draw a heat map of differences of accuracy at every shift, each cell with its percentage points.

    The axes count shifts, dy down; their limits, ticks and labels are set. Blue is above 0, red below, and
    white is 0: the colours span as far to one side as to the other.

    Args:
        axes: where to draw.
        differences: of accuracies, -1 to 1, [n_dy, n_dx].
        grid: the shifts, in pixels.

    Returns:
        The coloured cells, for a colour bar.

    Raises:
        ValueError: ``differences`` has another shape.
    """
    cells = checked_fractions("differences", differences, grid).numpy()
    most = max(_LEAST, float(np.abs(cells).max()))
    texts = [[_points(cell) for cell in row] for row in cells]
    inks = np.where(np.abs(cells) > _DARK * most, "white", "black").tolist()
    # Blue and red can be told apart without green; the signs in the cells need no colour.
    return draw_cells(axes, cells, grid, (texts, inks), cmap="RdBu", vmin=-most, vmax=most)


@figure_settings()
def difference_figure(
    title: str, differences: Fractions, grid: ShiftGrid, note: str = ""
) -> Figure:
    """The difference of the accuracy at every shift, with its scale.

    Args:
        title: of the panel, which says what is subtracted from what.
        differences: as in ``plot_difference``.
        grid: the shifts, in pixels.
        note: a line below the heading; empty for none.

    Raises:
        ValueError: ``differences`` has another shape.
    """
    checked_fractions("differences", differences, grid)
    figure, axes, scale, left = one_panel(grid, note)
    counted = "percentage points of the test images, when all are moved by (dx, dy)"
    add_heading(figure, left, "Difference of accuracy at every shift", counted, note)
    colours = plot_difference(axes, differences, grid)
    axes.set_title(title, loc="left", size=11.5, weight="bold", pad=10, parse_math=False)
    add_scale(figure, colours, scale, "difference", format=lambda at, _: _points(at, ".3g"))
    return figure


def _points(difference: float, digits: str = ".1f") -> str:
    """Percentage points with a sign, unless they are 0, as :func:`~lenetshift.shifts.signed`
    writes shifts."""
    text = f"{round(100 * difference, 6):+{digits}}".replace("-", "\N{MINUS SIGN}")
    return "0" if text[1:] in ("0", "0.0") else text
