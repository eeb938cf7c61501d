"""What a call of a fused op needs beyond the model's being one of the package's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

LARGEST_SUM = 1e30
"""Where the bound of a model's sums ends. What is left up to float32's largest number, 3.4e38, is
for the factors of the kernels' Toom-Cook forms, below 1e3 for each layer."""


def packed_parameters(model: nn.Module) -> list[Tensor]:
    """A model's parameters as the ops take them: without graph and contiguous, which those of a
    channels_last model are not, so that they come as copies."""
    return [parameter.detach().contiguous() for parameter in model.parameters()]


def sums_stay_finite(parameters: Sequence[Tensor]) -> bool:
    """Whether all weights are finite, and no sum that a forward pass makes can overflow.

    Otherwise PyTorch's answers are its own infinities and NaNs (0 * inf, inf - inf), which kernels
    that skip blank pixels and add up otherwise do not repeat.

    Args:
        parameters: weight and bias of each layer in turn, as in ``model.parameters()``.
    """
    largest = _largest(parameters)
    bound = 1.0  # of what the first layer sees: pixels
    for i in range(0, len(parameters), 2):
        bound = max(bound, 1.0) * parameters[i].numel() * largest[i] + largest[i + 1]
    return bound <= LARGEST_SUM


def _largest(parameters: Sequence[Tensor]) -> list[float]:
    """The largest magnitude in each parameter; NaN where it has one."""
    if parameters[0].device.type == "cpu":  # in NumPy: torch's threads hang in a forked child
        arrays = [parameter.numpy() for parameter in parameters]
        return [float(max(array.max(), -array.min())) for array in arrays]
    largest: list[float] = torch.stack([p.abs().amax() for p in parameters]).tolist()
    return largest  # the device was waited for once
