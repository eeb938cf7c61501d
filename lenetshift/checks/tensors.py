"""Checks of tensors of any meaning: their dtype, shape, device and, for indices, values."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .arrays import extremes
from .describe import dtype_name
from .errors import ArgumentError
from .types import check_type

Layout = tuple[torch.dtype, torch.Size, torch.device]
"""A tensor's dtype, shape and device."""

_layout: Callable[[Tensor], Layout] = operator.attrgetter("dtype", "shape", "device")


def layout(name: str, tensor: Tensor) -> Layout:
    """The layout of a tensor; ArgumentError if it is none: torch passes None as a tensor. A check that sees
    nothing but layouts can be kept by ``functools.lru_cache``."""
    try:
        return _layout(tensor)
    except AttributeError:
        check_type(name, tensor, Tensor)
        raise


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
    check_layout(name, _layout(tensor), dtypes, shape, device)


def check_layout(
    name: str,
    got: Layout,
    dtypes: Sequence[torch.dtype],
    shape: Sequence[int | None],
    device: torch.device | None = None,
) -> None:
    """Like ``check_tensor``, for a tensor's layout."""
    dtype, sizes, of_tensor = got
    if dtype not in dtypes:
        raise ArgumentError(name, dtype_name(dtype), " or ".join(map(dtype_name, dtypes)))
    fits = len(sizes) == len(shape) and (
        sizes == shape
        or all(want is None or got == want for got, want in zip(sizes, shape, strict=True))
    )
    if not fits:
        wanted = ", ".join("*" if n is None else str(n) for n in shape)
        raise ArgumentError(name, f"shape {list(sizes)}", f"[{wanted}]")
    if device is not None and of_tensor != device:
        raise ArgumentError(name, f"a tensor on {of_tensor}", f"one on {device}")


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
