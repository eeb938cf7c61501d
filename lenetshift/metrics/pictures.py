"""One image under every shift, as the network sees it, in pixels that can be shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ..checks.arrays import Array, as_dense
from ..checks.images import check_images
from ..predict.patterns import Patterns, frame_of
from ..shifts import ShiftGrid


def under_every_shift(
    image: Array,
    grid: ShiftGrid,
    fill: str | float | Sequence[float],
    crop: tuple[int, int] | None,
) -> NDArray[np.uint8]:
    """An image ``[H, W]`` or ``[C, H, W]`` under all S shifts: ``[S, h, w, 3]`` for three channels,
    otherwise grey ``[S, h, w]``. If floating pixels lie outside 0..1, the range that they span together
    with 0..1 is scaled to 0..1."""
    one = as_dense(image)
    pictures = check_images(image if one is None else one[None])
    frame = frame_of(pictures, grid, fill, crop)
    patterns = Patterns(pictures, frame, torch.device("cpu"), torch.float32)
    every = patterns.moved(slice(0, 1), slice(0, len(grid))).flatten(0, 1)
    moved = patterns.as_input(every).numpy()  # [S, C, h, w]
    low, high = min(0.0, float(moved.min())), max(1.0, float(moved.max()))
    pixels = np.rint((moved - low) * (255 / (high - low))).astype(np.uint8)
    if pixels.shape[1] == 3:
        return np.moveaxis(pixels, 1, 3)
    grey: NDArray[np.uint8] = np.rint(pixels.mean(1)).astype(np.uint8)
    return grey
