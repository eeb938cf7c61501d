"""The usual transform between pixels and a network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..checks.describe import shown
from ..checks.numbers import finite_numbers


class Normalize(nn.Module):
    """``(x - mean) / std``, channel by channel: images ``[B, C, h, w]`` in 0..1 to the same shape.

    A module without parameters, so that it can stand anywhere a callable can.

    Args:
        mean: of all channels, or one number a channel, in units of pixel / 255.
        std: the same; greater than 0.

    Raises:
        ValueError: a number that is not finite, a standard deviation of 0 or less.
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        """Keep both, checked."""
        super().__init__()
        self.mean = _numbers("mean", mean, -math.inf)
        self.std = _numbers("std", std, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images."""
        mean = torch.tensor(self.mean, dtype=x.dtype, device=x.device).view(-1, 1, 1)
        std = torch.tensor(self.std, dtype=x.dtype, device=x.device).view(-1, 1, 1)
        return (x - mean) / std

    def extra_repr(self) -> str:
        """Both, in the printed form."""
        return f"mean={list(self.mean)}, std={list(self.std)}"


def _numbers(name: str, value: float | Sequence[float], above: float) -> tuple[float, ...]:
    numbers = finite_numbers(value) or []
    if not numbers or min(numbers) <= above:
        least = "finite" if above < 0 else "positive, finite"
        raise ValueError(f"{name}: got {shown(value)}, expected a {least} number, or one a channel")
    return tuple(numbers)
