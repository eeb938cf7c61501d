"""The patterns of an evaluation: images moved by every shift of a grid."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from .data import as_input
from .shared.canvas import Frame


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

    def unmoved(self, images: slice | Tensor) -> Tensor:
        """Some images as the network's dtype, in 0..1: ``[n, C, H, W]`` on its device."""
        return as_input(self.images[images].to(self.device), self.dtype)

    def moved(self, images: slice, shifts: slice) -> Tensor:
        """Some patterns as the network takes them, all shifts of the first image first.

        Args:
            images: which.
            shifts: which of the grid's, all dx of the first dy first.

        Returns:
            ``[images * shifts, C, h, w]``.
        """
        if self.frame.is_plain:
            moved = torch.ops.lenetshift.translate(
                self.images[images].to(self.device), self._shifts[shifts]
            )
            return as_input(moved.flatten(0, 1), self.dtype)
        unmoved = self.unmoved(images)
        place = torch.arange(self.n_shifts, device=self.device)[shifts]
        n = torch.arange(len(unmoved), device=self.device).repeat_interleave(len(place))
        place = place.repeat(len(unmoved))
        n_dx = self.frame.grid.n_dx
        return self.frame.patterns(unmoved, n, place // n_dx, place % n_dx)
