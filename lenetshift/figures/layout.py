"""Where things stand in a whole figure, how shifts are labelled, and how a figure is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checks.errors import ArgumentError
from ..shifts import ShiftGrid, signed
from ..storage.files import write_atomically
from .matplotlib_settings import figure_settings, import_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, WRONG = "#0072B2", "#D55E00"
"""Colours of right and wrong answers: Okabe and Ito's blue and vermilion."""

# Whole figures are laid out in screen pixels, from the top left corner.
DPI = 100
LEAST_WIDTH = 940
"""Room for a title, and for a note, above a small grid."""

_HEAD = 70  # title and second line
_NOTE = 22  # one line more


def label_shifts(
    axes: Axes, grid: ShiftGrid, columns: Sequence[float], rows: Sequence[float]
) -> None:
    """Label the shifts at these places of the axes, and name the two directions."""
    axes.set_xticks(columns, labels=[signed(dx) for dx in grid.dx])
    axes.set_yticks(rows, labels=[signed(dy) for dy in grid.dy], va="center")
    axes.set_xlabel("dx (pixels; > 0 is right)")
    axes.set_ylabel("dy (pixels; > 0 is down)")
    axes.tick_params(length=0, bottom=False, left=False)
    axes.spines[:].set_visible(False)


def new_axes(width: int, height: int) -> Axes:
    """Axes of about this size, in screen pixels, in a new figure of pyplot."""
    import_matplotlib()
    from matplotlib import pyplot

    around = 80  # numbers and names of the shifts
    size = ((width + around) / DPI, (height + around) / DPI)
    _, axes = pyplot.subplots(figsize=size, dpi=DPI, layout="constrained")
    return axes


def new_page(width: int, height: int) -> Figure:
    """An empty figure of this size, in screen pixels, without a window: pyplot is not used."""
    from matplotlib.figure import Figure

    return Figure(figsize=(max(width, LEAST_WIDTH) / DPI, height / DPI), dpi=DPI)


def add_axes(figure: Figure, left: int, top: int, width: int, height: int) -> Axes:
    """Axes at a place in screen pixels, from the figure's top left corner."""
    page = figure.bbox
    bottom = page.height - top - height
    place = (left / page.width, bottom / page.height, width / page.width, height / page.height)
    return figure.add_axes(place)


def heading_height(note: str) -> int:
    """The height of :func:`add_heading` in screen pixels."""
    return _HEAD + (_NOTE if note else 0)


def add_heading(figure: Figure, left: int, title: str, subtitle: str, note: str) -> None:
    """Title, second line and, unless it is empty, a note."""

    def add(top: int, text: str, **style: Any) -> None:
        x, y = left / figure.bbox.width, 1 - top / figure.bbox.height
        figure.text(x, y, text, va="top", parse_math=False, **style)  # a dollar is a dollar

    add(16, title, size=14, weight="bold")
    add(44, subtitle)
    if note:
        add(66, note, style="italic", weight="bold", color=WRONG)


@figure_settings()
def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure atomically, as PNG or SVG.

    The file's metadata hold the figure's texts: the first as its title, the others as its description.

    Args:
        path: the file; its suffix, ``.png`` or ``.svg``, sets the format.
        figure: any figure that was made under ``figure_settings``.

    Raises:
        ValueError: ``path`` has another suffix.
    """
    title, *others = [text.get_text() for text in figure.texts] or [""]
    metadata: dict[str, str | None] = {
        "Title": title,
        "Description": " ".join(text.rstrip(".") + "." for text in others),
    }
    options: dict[str, Any] = {"dpi": figure.dpi, "metadata": metadata}
    kind = path.suffix.lower()
    if kind == ".png":
        metadata["Software"] = "lenetshift"
        # Level 3 halves the time to write and adds a tenth to the size.
        options["pil_kwargs"] = {"compress_level": 3}
    elif kind == ".svg":
        metadata |= {"Creator": "lenetshift", "Date": None}
    else:
        raise ArgumentError("path", repr(str(path)), "the suffix .png or .svg")
    write_atomically(path, lambda file: figure.savefig(file, format=kind[1:], **options))
