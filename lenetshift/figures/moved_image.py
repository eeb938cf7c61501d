"""One image under every shift, each with the model's answer.

Right and wrong differ in line style, mark and colour, so that any one of the three is enough.

``plot_*`` draws on axes that the caller has made, ``shift_figure`` makes a whole figure. All draw predictions
that exist already and never run a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks.tensors import check_tensor
from ..checks.types import check_type
from ..shifts import ShiftGrid
from .layout import (
    RIGHT,
    WRONG,
    add_axes,
    add_heading,
    heading_height,
    label_shifts,
    new_page,
)
from .matplotlib_settings import INK, figure_settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

_RIGHT_MARK, _WRONG_MARK = "\N{CHECK MARK}", "\N{BALLOT X}"
# Frames are not moved to whole pixels, and are not clipped at the edge of the axes.
_FRAME: dict[str, Any] = {"facecolor": "none", "snap": False, "clip_on": False}
_RIGHT_FRAME = {**_FRAME, "edgecolor": RIGHT, "linewidth": 2.2}
_WRONG_FRAME = {**_RIGHT_FRAME, "edgecolor": WRONG, "linestyle": (0, (3, 1.5))}
_UNMOVED_FRAME = {**_FRAME, "edgecolor": INK, "linewidth": 2.4}

# What lies around the image in a cell, in the image's own pixels. Each of these is a square of _SCALE
# screen pixels, so that no digit is resampled.
_SCALE = 3
_CELL_SIDE, _CELL_TOP, _CELL_FOOT = 4, 4, 10
_ANSWER_BELOW = 16 / _SCALE
_FRAME_MARGIN = 2.5 / _SCALE  # the line is 3 screen pixels wide and leaves one to the image
_UNMOVED_MARGIN = 3


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
    """Draw the same as ``plot_answers``, for an image that is already moved.

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
            color=RIGHT if right else WRONG,
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
    label_shifts(axes, grid, [x + width / 2 for x in left], [y + height / 2 for y in top])


def _cells(moved: NDArray[np.uint8], grid: ShiftGrid) -> NDArray[np.uint8]:
    """Moved images, each surrounded by white: [n_dy, cell height, n_dx, cell width, ...]."""
    around = [(0, 0), (_CELL_TOP, _CELL_FOOT), (_CELL_SIDE, _CELL_SIDE), (0, 0)]
    cells = np.pad(moved, around[: moved.ndim], constant_values=255)
    cells = cells.reshape(*grid.shape, *cells.shape[1:])
    return np.asarray(cells.swapaxes(1, 2))


def answer_handles() -> list[Patch]:
    """The entries of a legend for the frames and marks of ``plot_answers``."""
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


@figure_settings()
def shift_figure(
    image: Tensor, label: int, predictions: Tensor, grid: ShiftGrid, title: str, note: str = ""
) -> Figure:
    """One image under every shift, each with the model's answer (the report's figures 1-4).

    Args:
        image, label, predictions, grid: as in ``plot_answers``.
        title: the first line; the second says how many answers are right.
        note: a line below those, for example that the data are a subset; empty for none.

    Raises:
        ValueError: ``image`` or ``predictions`` is not as stated.
    """
    _check_answers(image, predictions, grid)
    width, height = answers_size(grid, *image.shape)
    left, top = 80, 10 + heading_height(note)
    n_right = int((predictions == label).sum())
    figure = new_page(left + width + 24, top + height + 96)
    axes = add_axes(figure, left, top, width, height)
    plot_answers(axes, image, label, predictions, grid)
    axes.tick_params("x", pad=10)
    counted = f"true label {label}; the answer is right at {n_right} of {len(grid)} shifts"
    add_heading(figure, left + _CELL_SIDE * _SCALE, title, counted, note)
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


def _check_answers(image: Tensor, predictions: Tensor, grid: ShiftGrid) -> None:
    check_type("image", image, Tensor)
    check_tensor("image", image, (torch.uint8,), (None, None))
    check_type("predictions", predictions, Tensor)
    check_tensor("predictions", predictions, (torch.uint8, torch.int64), grid.shape)
