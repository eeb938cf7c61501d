"""A weight in the layout in which a function reads it, which is made once for all passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def by_place(weight: Tensor) -> Tensor:
    """A weight ``[O, C, kh, kw]`` that is ``[kh, kw, C, O]`` in memory, as ``indirect_conv2d`` reads it."""
    return weight.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1)


def by_channel_last(weight: Tensor) -> Tensor:
    """A weight as PyTorch's convolution reads it for images in ``channels_last``; in another layout it is
    copied at each call."""
    return weight.contiguous(memory_format=torch.channels_last)


def kept_in(kept: dict[str, Any], weight: Tensor, layout: Callable[[Tensor], Tensor]) -> Tensor:
    """``layout(weight)``, from ``kept`` if it is there under the layout's name."""
    name = layout.__name__
    source, made = kept.get(name, (None, None))
    if source is weight:
        found: Tensor = made
        return found
    kept[name] = weight, (laid_out := layout(weight))
    return laid_out
