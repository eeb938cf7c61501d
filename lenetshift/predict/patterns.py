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
    """What the network sees of moved images; ValueError if crop, fill or grid do not fit the images.

    Args:
        pictures: uint8 or floating-point, ``[N, H, W]`` or ``[N, C, H, W]``.
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
    """All images under all shifts, for a network.

    Args:
        images: uint8 or floating-point ``[N, H, W]`` or ``[N, C, H, W]``.
        frame: the grid, and what the network sees of a moved image.
        device, dtype: those of the network's input.
    """

    def __init__(
        self, images: Tensor, frame: Frame, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.images, self.frame, self.device, self.dtype = images, frame, device, dtype
        self.n_shifts = len(frame.grid)

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    @cached_property
    def _shifts(self) -> Tensor:
        return self.frame.grid.shifts().to(self.device)

    @property
    def kind(self) -> tuple[object, ...]:
        """Channels, size and dtype: what decides how images are evaluated."""
        return (*self.images.shape[1:], self.images.dtype)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of a pattern."""
        channels = 1 if self.images.dim() == 3 else self.images.shape[1]
        return (channels, *self.frame.window)

    @property
    def bytes_each(self) -> int:
        """Bytes of a moved image as :meth:`moved` returns it."""
        dtype = self.images.dtype if self.frame.is_translation else self.dtype
        return math.prod(self.shape) * dtype.itemsize

    def as_input(self, images: Tensor) -> Tensor:
        """Images or patterns as the network's input: its dtype, 0..1, ``[B, C, h, w]``."""
        return as_input(images, self.dtype)

    def unmoved(self, images: slice | Tensor) -> Tensor:
        """Some images as input, unmoved, on the network's device: ``[n, C, H, W]``."""
        return self.as_input(self.images[images].to(self.device))

    def first_pattern(self) -> Tensor:
        """The first image under the first shift, as input: ``[1, C, h, w]``."""
        return self.frame.patterns(self.unmoved(slice(0, 1)), *torch.zeros(3, 1).long())

    def moved(self, images: slice, shifts: slice) -> Tensor:
        """Some images under some shifts.

        Args:
            images: which images.
            shifts: which shifts, numbered with all dx of the first dy first.

        Returns:
            ``[images, shifts, ...]``; :meth:`as_input` takes it flattened.
        """
        if self.frame.is_translation:
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
