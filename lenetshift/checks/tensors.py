"""Checks of tensors of any meaning: their dtype, shape, device and, for indices, values."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .arrays import extremes
from .describe import dtype_name
from .errors import ArgumentError
from .types import check_type


def check_tensor(
    name: str,
    tensor: Tensor,
    dtypes: Sequence[torch.dtype],
    shape: Sequence[int | None],
    device: torch.device | None = None,
) -> None:
    """Raise ArgumentError unless a tensor has one of the dtypes, the shape (None: any size) and, if one
    is given, the device."""
    check_type(name, tensor, Tensor)
    if tensor.dtype not in dtypes:
        raise ArgumentError(name, dtype_name(tensor.dtype), " or ".join(map(dtype_name, dtypes)))
    sizes = tensor.shape
    fits = len(sizes) == len(shape) and (
        sizes == shape
        or all(want is None or got == want for got, want in zip(sizes, shape, strict=True))
    )
    if not fits:
        wanted = ", ".join("*" if n is None else str(n) for n in shape)
        raise ArgumentError(name, f"shape {list(sizes)}", f"[{wanted}]")
    if device is not None and tensor.device != device:
        raise ArgumentError(name, f"a tensor on {tensor.device}", f"one on {device}")


def check_indices(name: str, values: Tensor, stop: int) -> None:
    """Raise ArgumentError unless all ``values``, int64, are in ``0..stop - 1``.

    On a GPU the check does not wait: ``torch.cuda.synchronize()`` raises later.
    """
    if values.numel() == 0:
        return
    if values.is_cuda:
        torch._assert_async(
            ((values >= 0) & (values < stop)).all(), f"{name}: expected values in 0..{stop - 1}"
        )
        return
    low, high = extremes(values)
    if low < 0 or high >= stop:
        raise ArgumentError(name, f"values in {low}..{high}", f"values in 0..{stop - 1}")
