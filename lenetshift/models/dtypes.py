"""The device and the dtypes in which a model expects its input."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def device_of(model: nn.Module) -> torch.device:
    """Where a model expects its input: the device of its first floating-point parameter or buffer, or the CPU
    if it has none."""
    return next((tensor.device for tensor in _floating(model)), torch.device("cpu"))


def dtype_of(model: nn.Module) -> torch.dtype:
    """The dtype of its first floating-point parameter or buffer; float32 if it has none."""
    return next((tensor.dtype for tensor in _floating(model)), torch.float32)


def input_dtypes(model: nn.Module) -> list[torch.dtype]:
    """The floating-point dtypes that a model may accept, the likeliest first.

    Only float32 or float64 if all parameters and buffers have it. A model with several dtypes, or only half
    precision, may convert its input: float32 first, then its own dtypes in the order of their first use.
    """
    own = list(dict.fromkeys(tensor.dtype for tensor in _floating(model)))
    if own == [torch.float64]:
        return own
    return list(dict.fromkeys([torch.float32, *(d for d in own if d.itemsize > 1)]))


def _floating(model: nn.Module) -> Iterator[Tensor]:
    for group in (model.parameters(), model.buffers()):
        yield from (tensor for tensor in group if tensor.is_floating_point())
