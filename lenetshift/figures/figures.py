"""The figures: one image under every shift with the model's answers, and accuracy per shift.

All draw from finished predictions and never run a model. ``plot_*`` draws on axes that the caller
has made, ``*_figure`` makes a whole figure, ``save_figure`` writes one, ``draw_*`` does it all.

Right and wrong differ in line style, in mark and in colour (Okabe and Ito's blue and vermilion), so
that any one of the three is enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks.tensors import check_tensor
from ..checks.types import check_type
from ..shifts import ShiftGrid
from ..storage.files import write_atomically
from .matplotlib_settings import INK, figure_settings, import_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.patches import Patch

Fractions = Sequence[Sequence[float]] | Tensor
"""Accuracies, fractions [n_dy, n_dx], as ``metrics.summarize(...)["accuracy_map"]`` gives them."""

_RIGHT, _WRONG = "#0072B2", "#D55E00"
_RIGHT_MARK, _WRONG_MARK = "\N{CHECK MARK}", "\N{BALLOT X}"
# Frames stay where they are put, on whole pixels or not; one at the edge of the axes is drawn whole.
_FRAME: dict[str, Any] = {"facecolor": "none", "snap": False, "clip_on": False}
_RIGHT_FRAME = {**_FRAME, "edgecolor": _RIGHT, "linewidth": 2.2}
_WRONG_FRAME = {**_RIGHT_FRAME, "edgecolor": _WRONG, "linestyle": (0, (3, 1.5))}
_UNMOVED_FRAME = {**_FRAME, "edgecolor": INK, "linewidth": 2.4}

# Whole figures are laid out in screen pixels, from the top left corner.
_DPI = 100
_LEAST_WIDTH = 940  # room for a title, and for a note, above a small grid
_HEAD = 70  # title and second line
_NOTE = 22  # one line more

# Shift figures: what lies around the image in a cell, in the image's own pixels. Each of those is a
# square of _SCALE screen pixels, so no digit is resampled.
_SCALE = 3
_CELL_SIDE, _CELL_TOP, _CELL_FOOT = 4, 4, 10
_ANSWER_BELOW = 16 / _SCALE
_FRAME_MARGIN = 2.5 / _SCALE  # the line is 3 screen pixels wide and leaves one to the image
_UNMOVED_MARGIN = 3

# Accuracy maps: a cell's size, and what lies around the cells of a panel.
_CELL_WIDTH, _CELL_HEIGHT = 50, 46
_PANEL_LEFT, _PANEL_RIGHT, _PANEL_TOP, _PANEL_BOTTOM = 76, 14, 48, 34


def signed(value: int) -> str:
    """A shift as the figures write it: with a sign unless 0, the minus a true one (U+2212)."""
    return f"{value:+d}".replace("-", "\N{MINUS SIGN}") if value else "0"


def plot_answers(
    axes: Axes, image: Tensor, label: int, predictions: Tensor, grid: ShiftGrid
) -> None:
    """Draw one image under every shift, each framed, with the model's answer below it.

    The axes count pixels of the image, y down; their limits, ticks and labels are set. A second
    frame marks the unmoved image. ``answer_handles`` makes the legend.

    Args:
        axes: where to draw.
        image: uint8 [H, W], unmoved.
        label: the true answer.
        predictions: uint8 or int64 [n_dy, n_dx], the model's answer under each shift.
        grid: the shifts, in pixels; dx > 0 is right, dy > 0 is down.

    Raises:
        ValueError: ``image`` or ``predictions`` is not as stated.
    """
    _check_answers(image, predictions, grid)
    moved = torch.ops.lenetshift.translate(image.cpu()[None].contiguous(), grid.shifts())[
        0
    ]  # [n_shifts, H, W]
    plot_moved(axes, moved.numpy(), label, predictions, grid)


def plot_moved(
    axes: Axes, moved: NDArray[np.uint8], label: int, predictions: Tensor, grid: ShiftGrid
) -> None:
    """Draw what ``plot_answers`` does, of an image that is moved already.

    Args:
        axes, label, predictions, grid: as there.
        moved: ``[n_dy * n_dx, H, W]`` grey, or ``[n_dy * n_dx, H, W, 3]`` in colour, what the model
            saw at each shift, all dx of the first dy first.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    height, width = moved.shape[1:3]
    cells = _cells(moved, grid)
    cell_height, cell_width = cells.shape[1], cells.shape[3]
    page = cells.reshape(grid.n_dy * cell_height, grid.n_dx * cell_width, *moved.shape[3:])
    extent = (0, page.shape[1], page.shape[0], 0)
    axes.imshow(page, cmap="gray", vmin=0, vmax=255, extent=extent, interpolation="none")

    left = [column * cell_width + _CELL_SIDE for column in range(grid.n_dx)]
    top = [row * cell_height + _CELL_TOP for row in range(grid.n_dy)]
    frames: dict[bool, list[Rectangle]] = {True: [], False: []}
    margin = _FRAME_MARGIN
    for (row, column), answer in np.ndenumerate(predictions.cpu().numpy()):
        x, y = left[column], top[row]
        right = bool(answer == label)
        corner = (x - margin, y - margin)
        frames[right].append(Rectangle(corner, width + 2 * margin, height + 2 * margin))
        axes.text(
            x + width / 2,
            y + height + _ANSWER_BELOW,
            f"{answer} {_RIGHT_MARK if right else _WRONG_MARK}",
            color=_RIGHT if right else _WRONG,
            size=12,
            weight="bold",
            ha="center",
            va="center",
        )
    axes.add_collection(PatchCollection(frames[True], **_RIGHT_FRAME))
    axes.add_collection(PatchCollection(frames[False], **_WRONG_FRAME))
    if grid.has_centre:
        row, column = grid.index(0, 0)
        margin = _UNMOVED_MARGIN
        corner = (left[column] - margin, top[row] - margin)
        full_height = height + margin + _CELL_FOOT  # with the answer
        axes.add_patch(Rectangle(corner, width + 2 * margin, full_height, **_UNMOVED_FRAME))
    _label_shifts(axes, grid, [x + width / 2 for x in left], [y + height / 2 for y in top])


def _cells(moved: NDArray[np.uint8], grid: ShiftGrid) -> NDArray[np.uint8]:
    """Moved images with white around each, [n_dy, cell height, n_dx, cell width, ...]."""
    around = [(0, 0), (_CELL_TOP, _CELL_FOOT), (_CELL_SIDE, _CELL_SIDE), (0, 0)]
    cells = np.pad(moved, around[: moved.ndim], constant_values=255)
    cells = cells.reshape(*grid.shape, *cells.shape[1:])
    return np.asarray(cells.swapaxes(1, 2))


def answer_handles() -> list[Patch]:
    """What a legend needs to say what the frames and marks of ``plot_answers`` mean."""
    from matplotlib.patches import Patch

    return [
        Patch(label=f"{_RIGHT_MARK} right answer", **_RIGHT_FRAME),
        Patch(label=f"{_WRONG_MARK} wrong answer", **_WRONG_FRAME),
        Patch(label="unmoved image", **_UNMOVED_FRAME),
    ]


def answers_size(grid: ShiftGrid, height: int, width: int) -> tuple[int, int]:
    """Width and height, in screen pixels, of ``plot_answers`` for images of height x width."""
    return (
        grid.n_dx * (width + 2 * _CELL_SIDE) * _SCALE,
        grid.n_dy * (height + _CELL_TOP + _CELL_FOOT) * _SCALE,
    )


def accuracy_size(grid: ShiftGrid) -> tuple[int, int]:
    """Width and height, in screen pixels, of ``plot_accuracy``."""
    return grid.n_dx * _CELL_WIDTH, grid.n_dy * _CELL_HEIGHT


def new_axes(width: int, height: int) -> Axes:
    """Axes of about that size, in screen pixels, in a new figure of pyplot."""
    import_matplotlib()
    from matplotlib import pyplot

    around = 80  # numbers and names of the shifts
    size = ((width + around) / _DPI, (height + around) / _DPI)
    _, axes = pyplot.subplots(figsize=size, dpi=_DPI, layout="constrained")
    return axes


@figure_settings()
def shift_figure(
    image: Tensor, label: int, predictions: Tensor, grid: ShiftGrid, title: str, note: str = ""
) -> Figure:
    """One image under every shift, each with the model's answer (the report's figures 1-4).

    Args:
        image, label, predictions, grid: as in ``plot_answers``.
        title: the first line; the second says how many answers are right.
        note: a line below those, such as that the data are a subset; empty for none.

    Raises:
        ValueError: ``image`` or ``predictions`` is not as stated.
    """
    _check_answers(image, predictions, grid)
    width, height = answers_size(grid, *image.shape)
    left, top = 80, 10 + _HEAD + (_NOTE if note else 0)
    n_right = int((predictions == label).sum())
    figure = _page(left + width + 24, top + height + 96)
    axes = _add_axes(figure, left, top, width, height)
    plot_answers(axes, image, label, predictions, grid)
    axes.tick_params("x", pad=10)
    counted = f"true label {label}; the answer is right at {n_right} of {len(grid)} shifts"
    _add_heading(figure, left + _CELL_SIDE * _SCALE, title, counted, note)
    figure.legend(
        handles=answer_handles(),
        loc="lower center",
        ncols=3,
        columnspacing=5,
        handlelength=1.05,  # a square: the legend takes about a seventh off the height
        handleheight=1.24,
        frameon=False,
    )
    return figure


def plot_accuracy(axes: Axes, fractions: Fractions, grid: ShiftGrid) -> AxesImage:
    """Draw a heat map of the accuracy at every shift, each cell with its per cent.

    The axes count shifts, dy down; their limits, ticks and labels are set. The colours stand for
    0 to 100 %, whatever is drawn, so that maps compare.

    Args:
        axes: where to draw.
        fractions: the accuracies, [n_dy, n_dx].
        grid: the shifts, in pixels.

    Returns:
        The coloured cells, for a colour bar.

    Raises:
        ValueError: ``fractions`` has another shape than stated.
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
            # Where viridis turns light, black has the better contrast.
            color="white" if fraction < 0.5 else "black",
            ha="center",
            va="center",
        )
    _label_shifts(axes, grid, grid.dx, grid.dy)
    return colours


@figure_settings()
def accuracy_figure(maps: Mapping[str, Fractions], grid: ShiftGrid, note: str = "") -> Figure:
    """One heat map per model: the accuracy at every shift, on a shared scale of 0 to 100 %.

    Args:
        maps: by panel title the accuracies, fractions [n_dy, n_dx].
        grid: the shifts, in pixels.
        note: a line below the title, such as that the data are a subset; empty for none.

    Raises:
        ValueError: ``maps`` is empty, or one of them has another shape than stated.
    """
    if not maps:
        raise ValueError("maps: got none, expected at least one")
    values = {name: _accuracies(f"maps[{name!r}]", given, grid) for name, given in maps.items()}

    scale_width = 104
    n_columns = min(2, len(values))
    n_rows = -(-len(values) // n_columns)
    width, height = accuracy_size(grid)
    if len(values) == 1:  # as wide as the page
        page = max(_LEAST_WIDTH, _PANEL_LEFT + width + _PANEL_RIGHT + scale_width)
        wider = min(2, (page - scale_width - _PANEL_LEFT - _PANEL_RIGHT) / width)
        width, height = round(wider * width), round(wider * height)
    panel_width = _PANEL_LEFT + width + _PANEL_RIGHT
    panel_height = _PANEL_TOP + height + _PANEL_BOTTOM
    head, foot = _HEAD + (_NOTE if note else 0), 40
    figure = _page(n_columns * panel_width + scale_width, head + n_rows * panel_height + foot)
    counted = "per cent of the test images that are answered right when all are moved by (dx, dy)"
    _add_heading(figure, _PANEL_LEFT, "Accuracy at every shift", counted, note)
    top = head + _PANEL_TOP
    for index, (name, value) in enumerate(values.items()):
        row, column = divmod(index, n_columns)
        x, y = column * panel_width + _PANEL_LEFT, row * panel_height + top
        axes = _add_axes(figure, x, y, width, height)
        colours = plot_accuracy(axes, value, grid)
        axes.set_title(name, loc="left", size=11.5, weight="bold", pad=10, parse_math=False)
        if index + n_columns < len(values):  # another panel is below
            axes.set_xlabel("")
        if column > 0:
            axes.set_ylabel("")
    scale = _add_axes(
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


@figure_settings()
def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure atomically, as PNG or SVG.

    The file's metadata hold the figure's texts: the first as its title, the others as what it says.

    Args:
        path: the file; its suffix, ``.png`` or ``.svg``, says which.
        figure: of this module, or any other made under ``figure_settings``.

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
        raise ValueError(f"path: got {str(path)!r}, expected the suffix .png or .svg")
    write_atomically(path, lambda file: figure.savefig(file, format=kind[1:], **options))


def draw_shift_figure(
    path: Path,
    image: Tensor,
    label: int,
    predictions: Tensor,
    grid: ShiftGrid,
    title: str,
    note: str = "",
) -> None:
    """Write ``shift_figure`` of the other arguments to ``path``, as ``save_figure`` does."""
    save_figure(path, shift_figure(image, label, predictions, grid, title, note))


def draw_accuracy_maps(
    path: Path, maps: Mapping[str, Fractions], grid: ShiftGrid, note: str = ""
) -> None:
    """Write ``accuracy_figure`` of the other arguments to ``path``, as ``save_figure`` does."""
    save_figure(path, accuracy_figure(maps, grid, note))


def _label_shifts(
    axes: Axes, grid: ShiftGrid, columns: Sequence[float], rows: Sequence[float]
) -> None:
    """Number columns and rows at these places of the axes, and name the two directions."""
    axes.set_xticks(columns, labels=[signed(dx) for dx in grid.dx])
    axes.set_yticks(rows, labels=[signed(dy) for dy in grid.dy], va="center")
    axes.set_xlabel("dx (pixels; > 0 is right)")
    axes.set_ylabel("dy (pixels; > 0 is down)")
    axes.tick_params(length=0, bottom=False, left=False)
    axes.spines[:].set_visible(False)


def _page(width: int, height: int) -> Figure:
    """An empty figure, in screen pixels. It belongs to no window: pyplot is not asked."""
    from matplotlib.figure import Figure

    return Figure(figsize=(max(width, _LEAST_WIDTH) / _DPI, height / _DPI), dpi=_DPI)


def _add_axes(figure: Figure, left: int, top: int, width: int, height: int) -> Axes:
    """Axes at a place in screen pixels, from the figure's top left corner."""
    page = figure.bbox
    bottom = page.height - top - height
    place = (left / page.width, bottom / page.height, width / page.width, height / page.height)
    return figure.add_axes(place)


def _add_heading(figure: Figure, left: int, title: str, subtitle: str, note: str) -> None:
    """Title, second line and, where there is one, a note: _HEAD pixels high, with a note _NOTE more."""

    def add(top: int, text: str, **style: Any) -> None:
        x, y = left / figure.bbox.width, 1 - top / figure.bbox.height
        figure.text(x, y, text, va="top", parse_math=False, **style)  # a dollar is a dollar

    add(16, title, size=14, weight="bold")
    add(44, subtitle)
    if note:
        add(66, note, style="italic", weight="bold", color=_WRONG)


def _check_answers(image: Tensor, predictions: Tensor, grid: ShiftGrid) -> None:
    check_type("image", image, Tensor)
    check_tensor("image", image, (torch.uint8,), (None, None))
    check_type("predictions", predictions, Tensor)
    check_tensor("predictions", predictions, (torch.uint8, torch.int64), grid.shape)


def _accuracies(name: str, fractions: Fractions, grid: ShiftGrid) -> Tensor:
    """Fractions as float64 on the CPU; ValueError unless they are [n_dy, n_dx]."""
    accuracies = torch.as_tensor(fractions, dtype=torch.float64, device="cpu")
    check_tensor(name, accuracies, (torch.float64,), grid.shape)
    return accuracies
