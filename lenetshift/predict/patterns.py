"""The patterns of an evaluation: images moved by every shift of a grid."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from ..checks.images import Fill, check_crop, check_fill
from ..checks.shifts import check_grid_fits
from ..data.dataset import as_input
from ..shifts import ShiftGrid
from .shared.canvas import Frame


def frame_of(pictures: Tensor, grid: ShiftGrid, fill: Fill, crop: tuple[int, int] | None) -> Frame:
    """What a network sees of the images; ValueError if crop, fill or grid do not fit them.

    Args:
        pictures: uint8 or floating, ``[N, H, W]`` or ``[N, C, H, W]``.
        grid, fill, crop: as for :func:`lenetshift.predict_shifts`.
    """
    size = (pictures.shape[-2], pictures.shape[-1])
    window = check_crop(crop, size) or size
    check_grid_fits(grid.dx, grid.dy, size, window)
    blank = check_fill(fill, pictures)
    if isinstance(blank, Tensor) and not pictures.is_floating_point():
        blank = blank / 255
    return Frame(grid, size, window, blank)


class Patterns:
    """What a network is asked about.

    Args:
        images: uint8 or floating ``[N, C, H, W]``.
        frame: the grid, and what the network sees of a moved image.
        device, dtype: what the network takes.
    """

    def __init__(
        self, images: Tensor, frame: Frame, device: torch.device, dtype: torch.dtype
    ) -> None:
        """Keep them."""
        self.images, self.frame, self.device, self.dtype = images, frame, device, dtype
        self.n_shifts = len(frame.grid)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    @cached_property
    def _shifts(self) -> Tensor:
        return self.frame.grid.shifts().to(self.device)

    @property
    def kind(self) -> tuple[object, ...]:
        """What images must have in common to be treated alike: channels, size and dtype."""
        return (*self.images.shape[1:], self.images.dtype)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a pattern: channels, rows, columns."""
        channels = 1 if self.images.dim() == 3 else self.images.shape[1]
        return (channels, *self.frame.window)

    @property
    def bytes_each(self) -> int:
        """Of a moved image as it is made."""
        dtype = self.images.dtype if self.frame.is_plain else self.dtype
        return math.prod(self.shape) * dtype.itemsize

    def as_input(self, images: Tensor) -> Tensor:
        """Images or patterns as the network takes them: its dtype, 0..1, ``[B, C, h, w]``."""
        return as_input(images, self.dtype)

    def unmoved(self, images: slice | Tensor) -> Tensor:
        """Some images so, on the network's device: ``[n, C, H, W]``."""
        return self.as_input(self.images[images].to(self.device))

    def moved(self, images: slice, shifts: slice) -> Tensor:
        """Some patterns.

        Args:
            images: which.
            shifts: which of the grid's, all dx of the first dy first.

        Returns:
            ``[images, shifts, ...]``, for :meth:`as_input` when flattened.
        """
        if self.frame.is_plain:
            moved: Tensor = torch.ops.lenetshift.translate(
                self.images[images].to(self.device), self._shifts[shifts]
            )
            return moved
        unmoved = self.unmoved(images)
        place = torch.arange(self.n_shifts, device=self.device)[shifts]
        n = torch.arange(len(unmoved), device=self.device).repeat_interleave(len(place))
        place = place.repeat(len(unmoved))
        n_dx = self.frame.grid.n_dx
        patterns: Tensor = self.frame.patterns(unmoved, n, place // n_dx, place % n_dx)
        return patterns.view(len(unmoved), -1, *patterns.shape[1:])
