"""The usual transform between pixels and a network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..checks.describe import shown
from ..checks.errors import ArgumentError
from ..checks.numbers import finite_numbers


class Normalize(nn.Module):
    """``(x - mean) / std``, channel by channel: images ``[B, C, h, w]`` in 0..1 to the same shape.

    A module without parameters, which can be used wherever a function can.

    Args:
        mean: one number for all channels, or one per channel, in units of pixel / 255.
        std: the same; greater than 0.

    Raises:
        ValueError: a number that is not finite, a standard deviation of 0 or less.

    >>> import torch
    >>> from lenetshift import Normalize
    >>> transform = Normalize(mean=0.5, std=0.25)
    >>> transform(torch.tensor([[[[0, 0.5, 1]]]]))
    tensor([[[[-2.,  0.,  2.]]]])
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        super().__init__()
        self.mean = _numbers("mean", mean, -math.inf)
        self.std = _numbers("std", std, 0)

    def forward(self, x: Tensor) -> Tensor:
        """The normalized images, of the same shape and dtype.

        Raises:
            ValueError: the images have another number of channels than ``mean`` or ``std`` has numbers.
        """
        for name in ("mean", "std"):
            n = len(getattr(self, name))
            if n > 1 and x.shape[-3] != n:
                raise ArgumentError(
                    name, f"{n} numbers", f"one, or {x.shape[-3]} for the images' channels"
                )
        mean = torch.tensor(self.mean, dtype=x.dtype, device=x.device).view(-1, 1, 1)
        std = torch.tensor(self.std, dtype=x.dtype, device=x.device).view(-1, 1, 1)
        return (x - mean) / std

    def extra_repr(self) -> str:
        """The mean and the standard deviation, as ``repr`` shows them."""
        return f"mean={list(self.mean)}, std={list(self.std)}"


def _numbers(name: str, value: float | Sequence[float], above: float) -> tuple[float, ...]:
    numbers = finite_numbers(value) or []
    if not numbers or min(numbers) <= above:
        least = "finite" if above < 0 else "positive, finite"
        raise ArgumentError(name, shown(value), f"a {least} number, or one per channel")
    return tuple(numbers)
