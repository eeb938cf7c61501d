"""Values as error messages show them."""

from __future__ import annotations

import contextlib

import numpy as np
import torch
from torch import Tensor

from .arrays import has_own_dispatch, hides_values


def dtype_name(dtype: torch.dtype) -> str:
    """A dtype without its module's name, such as ``uint8``."""
    return str(dtype).removeprefix("torch.")


def describe(value: object) -> str:
    """A tensor's dtype and shape, such as ``uint8 [3, 28, 28]``; the type of anything else."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    with torch._C.DisableTorchFunctionSubclass():  # a subclass may not answer these queries
        dtype = dtype_name(value.dtype)
        if value.is_nested:  # it need not have a shape
            return f"nested {dtype}"
        kind = ""
        if value.layout is not torch.strided:
            kind = f"{str(value.layout).removeprefix('torch.').strip('_')} "
        elif has_own_dispatch(value):
            kind = f"{type(value).__name__} "
        elif value.is_meta:
            kind = "meta "
        return f"{kind}{dtype} {list(value.shape)}"


def describe_array(value: object) -> str:
    """The same for an argument that may be an array: an array's dtype and shape too."""
    if isinstance(value, np.ndarray):
        return f"{'masked ' if hides_values(value) else ''}{value.dtype} {list(value.shape)}"
    return describe(value)


def shown(value: object) -> str:
    """A value itself if it prints as a short line, else as :func:`describe_array` gives it."""
    text = ""
    with contextlib.suppress(Exception):  # a __repr__ that fails
        text = repr(value)
    return text if 0 < len(text) <= 80 and "\n" not in text else describe_array(value)
