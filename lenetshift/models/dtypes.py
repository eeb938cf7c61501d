"""The device and the dtypes in which a model expects its input."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def device_of(model: nn.Module) -> torch.device:
    """Where a model expects its input: where its first floating parameter or buffer is; the CPU for a model
    without any."""
    return next((tensor.device for tensor in _floating(model)), torch.device("cpu"))


def dtype_of(model: nn.Module) -> torch.dtype:
    """The dtype of its first floating parameter or buffer; float32 for a model without any."""
    return next((tensor.dtype for tensor in _floating(model)), torch.float32)


def input_dtypes(model: nn.Module) -> list[torch.dtype]:
    """The floating dtypes in which a model may expect its input, the likeliest first.

    Float32 or float64 where all parameters and buffers have it. A model of several, or of half precision
    alone, may convert what it is given: float32 first, then its own dtypes in the order of their first use.
    """
    own = list(dict.fromkeys(tensor.dtype for tensor in _floating(model)))
    if not own:
        return [torch.float32]
    return (
        own
        if own in ([torch.float32], [torch.float64])
        else list(dict.fromkeys([torch.float32, *(d for d in own if d.itemsize > 1)]))
    )


def _floating(model: nn.Module) -> Iterator[Tensor]:
    for group in (model.parameters(), model.buffers()):
        yield from (tensor for tensor in group if tensor.is_floating_point())
