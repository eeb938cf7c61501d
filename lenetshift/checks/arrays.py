"""Tensors and NumPy arrays, whichever a caller passes, as ordinary tensors or arrays."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = Tensor | NDArray[Any]

FLOATS = (torch.float32, torch.float64)
"""The floating-point types that the ops compute in."""

HALF_FLOATS = (torch.float16, torch.bfloat16)
"""Types that the ops compute in float32; the results are rounded."""


def dense(tensor: object) -> Tensor | None:
    """An ordinary tensor with the same numbers, the tensor itself if it is one. None for anything but a
    tensor, and if its numbers do not lie in memory one by one: a sparse, nested or quantized tensor, one on
    the device meta, or one of a class that runs torch's operations itself."""
    if not isinstance(tensor, Tensor):
        return None
    with torch._C.DisableTorchFunctionSubclass():  # a subclass may not answer these queries
        if (
            tensor.is_nested
            or tensor.layout is not torch.strided
            or tensor.is_quantized
            or tensor.is_meta
            or has_own_dispatch(tensor)
        ):
            return None
        if type(tensor) is not Tensor:
            tensor = tensor.as_subclass(Tensor)
        return tensor.resolve_conj().resolve_neg()


def as_array(value: object) -> NDArray[Any] | None:
    """A tensor or an array as an ordinary array on the CPU, in the machine's byte order and if possible
    without a copy; None for anything else."""
    if isinstance(value, Tensor):
        tensor = dense(value)
        if tensor is None:
            return None
        tensor = tensor.detach().cpu()
        with contextlib.suppress(TypeError, RuntimeError):  # a dtype that NumPy lacks
            return tensor.float().numpy() if tensor.dtype in HALF_FLOATS else tensor.numpy()
        return None
    if not isinstance(value, np.ndarray) or hides_values(value):
        return None
    return np.asarray(value).astype(value.dtype.newbyteorder("="), copy=False)


def as_tensor(array: NDArray[Any]) -> Tensor:
    """An array as a tensor, which shares its memory if torch can."""
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def as_dense(value: object) -> Tensor | None:
    """A tensor or an array as an ordinary tensor, if possible without a copy; None for anything else, and
    for what torch cannot hold as one."""
    if isinstance(value, Tensor):
        return dense(value)
    array = as_array(value)
    if array is not None:
        with contextlib.suppress(TypeError, ValueError):  # a dtype that torch lacks
            return as_tensor(array)
    return None


def extremes(values: Tensor) -> tuple[int, int]:
    """The smallest and the largest of one or more ints. In NumPy: torch would use its threads here,
    which hang in a forked child."""
    array = values.cpu().numpy()
    return int(array.min()), int(array.max())


def has_own_dispatch(tensor: Tensor) -> bool:
    """Whether a tensor's class runs torch's operations itself."""
    return type(tensor).__torch_dispatch__ is not Tensor.__torch_dispatch__


def hides_values(array: NDArray[Any]) -> bool:
    """Whether this is a masked array whose mask hides some of its values."""
    return isinstance(array, np.ma.MaskedArray) and bool(np.ma.is_masked(array))
