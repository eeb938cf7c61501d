"""Ink that a shift moves out of the frame, where no classifier can see it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import Array, as_array
from ..checks.errors import NotAvailable
from ..checks.images import check_fill, check_images
from ..checks.predictions import check_lost_ink
from ..checks.shifts import check_grid_fits
from ..checks.types import check_type
from ..shifts import ShiftGrid
from .accuracy import is_right
from .image_mean import ImageMean, over_images
from .registry import metric

_PIXELS_AT_ONCE = 1 << 20

_LARGEST_PIXEL = 2.0**900
"""Beyond it a sum of float64 pixels may overflow."""


def lost_ink(
    images: Array, grid: ShiftGrid, fill: float | Sequence[float] | str = 0
) -> NDArray[np.float32]:
    """The fraction of each image's ink that each shift moves out of the frame.

    Ink is what differs from the fill: the sum of ``|pixel - fill|`` over all channels. The fraction is
    exactly 0 if none is lost, also for an image without ink and for every shift with a circular fill.

    Args:
        images: ``[N, H, W]`` or ``[N, C, H, W]``, uint8 or floating and finite, a tensor or an
            array.
        grid: the shifts, in pixels.
        fill: what uncovered pixels hold, in the images' units: a number, or one per channel; or
            ``"circular"``.

    Returns:
        float32 ``[N, n_dy, n_dx]``, 0 to 1.

    Raises:
        ValueError: an argument is not as described.

    >>> images = np.array([[[0, 2], [0, 6]]], np.uint8)
    >>> lost_ink(images, ShiftGrid(range(2), range(2)))
    array([[[0.  , 1.  ],
            [0.75, 1.  ]]], dtype=float32)
    """
    check_type("grid", grid, ShiftGrid)
    pictures = check_images(images)
    height, width = pictures.shape[-2:]
    check_grid_fits(grid.dx, grid.dy, (height, width), (height, width))
    blank = check_fill(fill, pictures)
    lost = np.zeros((len(pictures), *grid.shape), dtype=np.float32)
    if isinstance(blank, str):
        return lost
    if pictures.is_floating_point():
        blank = blank.to(pictures.dtype)  # rounded like the pixels
    blank_pixel = blank.double().numpy()[:, None, None]
    at_once = max(1, _PIXELS_AT_ONCE // max(1, pictures[:1].numel()))
    for first in range(0, len(pictures), at_once):
        part = as_array(pictures[first : first + at_once])
        assert part is not None
        channels = part.reshape(len(part), -1, height, width)
        # Scaling all pixels leaves the fractions as they are; this scale keeps the sums finite.
        largest = max(float(np.abs(values).max()) for values in (channels, blank_pixel))
        scale = 1.0 if largest < _LARGEST_PIXEL else 1 / _LARGEST_PIXEL
        ink = np.abs(channels * scale - blank_pixel * scale).sum(1)  # [n, H, W]
        lost[first : first + at_once] = _lost_fractions(ink, grid)
    return lost


def _lost_fractions(ink: NDArray[np.float64], grid: ShiftGrid) -> NDArray[np.float64]:
    """``[n, n_dy, n_dx]`` of ink ``[n, H, W]``, 0 or more each.

    Only what is lost is summed and nothing subtracted, so that rounding never creates ink.
    """
    rows = ink.sum(2)
    lost = np.empty((len(ink), *grid.shape))
    for i, dy in enumerate(grid.dy):
        kept = _kept(dy, ink.shape[1])
        in_lost_rows = rows[:, : kept.start].sum(1) + rows[:, kept.stop :].sum(1)
        columns = ink[:, kept].sum(1)  # of the rows that stay
        for j, dx in enumerate(grid.dx):
            stay = _kept(dx, ink.shape[2])
            in_lost_columns = columns[:, : stay.start].sum(1) + columns[:, stay.stop :].sum(1)
            lost[:, i, j] = in_lost_rows + in_lost_columns
    total = rows.sum(1)[:, None, None]
    fractions: NDArray[np.float64] = np.divide(lost, total, out=lost, where=total > 0)
    return fractions


def _kept(shift: int, n: int) -> slice:
    """Which of ``n`` rows or columns stay in the frame."""
    return slice(max(0, -shift), n - max(0, shift))


@metric(
    "accuracy without loss", "fraction answered right of the patterns that lose no ink",
    "labels", "lost_ink",
)  # fmt: skip
def accuracy_without_loss(
    predictions: Array, labels: Array, lost: Array | None, grid: ShiftGrid | None = None
) -> ImageMean:
    """The fraction answered right of those patterns that lose no ink at all.

    Lost ink is not the classifier's fault: this is its accuracy for shifts that keep all of the image.
    The weight of an image is the number of its patterns without loss.

    Args:
        predictions: integers ``[N, n_dy, n_dx]``, N >= 1, a tensor or an array.
        labels: integers ``[N]``.
        lost: floating ``[N, n_dy, n_dx]``, 0 to 1, of :func:`lost_ink`.
        grid: the shifts; with it, images that lose ink whenever they move are refused: their background is
            not the fill.

    Raises:
        NotAvailable: ``lost`` is None, or every image loses ink at every shift of the grid but (0, 0).
        ValueError: dtypes, shapes or values are not as described.

    >>> predictions, labels = np.array([[[3, 3, 8]], [[5, 5, 5]]]), np.array([3, 5])
    >>> lost = np.array([[[0, 0, 0.5]], [[0.25, 0, 0.5]]])
    >>> accuracy_without_loss(predictions, labels, lost).value
    1.0
    """
    right = is_right(predictions, labels)
    if lost is None:
        raise NotAvailable(
            f"lost: got NoneType, expected floating {list(right.shape)}, as lost_ink returns"
        )
    whole = check_lost_ink("lost", lost, right.shape) == 0
    if grid is not None and len(grid) > 1 and _only_unmoved(whole, grid):
        raise NotAvailable(
            "lost: got ink lost by every image at every shift but (0, 0), expected images whose background "
            "is the fill"
        )
    n_whole = whole.sum((1, 2))
    n_right = (right & whole).sum((1, 2))
    return over_images(n_right / np.maximum(n_whole, 1), n_whole)


def _only_unmoved(whole: NDArray[np.bool_], grid: ShiftGrid) -> bool:
    """Whether images lose no ink at (0, 0) alone."""
    if not grid.has_centre:
        return False
    n_whole = np.count_nonzero(whole, axis=0)
    return bool(n_whole.sum() == n_whole[grid.index(0, 0)])
