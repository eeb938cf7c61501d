"""Convolutions of an image in a wide black border, in less time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class Bordered(nn.Module):
    """Convolutions of 5x5, an activation and a pooling after each, of images [N, 1, 28, 28] in black.

    In training only units that see the image are computed, and padded with what black gives, in half of a
    step's time. An evaluation computes all: its shifts share what black gives. Both ways give the same.

    Args:
        convolutions: by name, none padded.
        activation, pooling: after each of them. The pooling leaves a constant as it is.
        border: pixels of black on each side of the image.
        near: in training, the units of black on each side of every convolution's input, and of the result.
    """

    def __init__(
        self,
        convolutions: Mapping[str, nn.Module],
        activation: nn.Module,
        pooling: nn.Module,
        border: int,
        near: Sequence[int],
    ) -> None:
        super().__init__()
        for name, convolution in convolutions.items():
            self.add_module(name, convolution)
        self.convolutions = tuple(convolutions)
        self.activation, self.pooling = activation, pooling
        self.border, self.near = border, tuple(near)

    def forward(self, images: Tensor) -> Tensor:
        """The last pooling, computed in the way of the mode."""
        layers = [self.get_submodule(name) for name in self.convolutions]
        if not self.training:
            maps = F.pad(images, [self.border] * 4)
            for convolution in layers:
                maps = self.pooling(self.activation(convolution(maps)))
            return maps
        maps, black = images, images.new_zeros(1, 1, 1, 1)
        for convolution, n in zip(layers, self.near, strict=False):
            maps = self.pooling(self.activation(convolution(_in_border(maps, black, n))))
            black = self.activation(convolution(black.expand(-1, -1, 5, 5)))
        return _in_border(maps, black, self.near[-1])


def _in_border(maps: Tensor, black: Tensor, n: int) -> Tensor:
    """Maps [N, C, H, W] with n units of ``black``, [1, C, 1, 1], on each side."""
    return F.pad(maps - black, [n] * 4) + black
