"""Tensors and arrays of every odd kind: those that are to be taken, and those that are to be refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode


class Subclass(Tensor):
    """A tensor of another class, such as an image of torchvision's."""


class Unasked(Tensor):
    """A tensor that lets none of torch's functions see it."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return NotImplemented


class Array(np.ndarray):
    """An array of another class."""


def taken(values: Tensor) -> dict[str, Any]:
    """The same numbers in other forms, of which torch or NumPy can read all."""
    array = values.numpy()
    padded = np.frombuffer(b"\0" + array.tobytes(), np.uint8)
    read_only = array.copy()
    read_only.flags.writeable = False
    forms = {
        "big-endian": array.astype(array.dtype.newbyteorder(">")),
        "backwards in memory": array[::-1].copy()[::-1],
        "unaligned": padded[1:].view(array.dtype).reshape(array.shape),
        "read-only": read_only,
        "subclass of arrays": array.view(Array),
        "masked, without a mask": np.ma.masked_array(array),
        "subclass": values.clone().as_subclass(Subclass),
        "subclass that lets nothing see it": values.clone().as_subclass(Unasked),
    }
    if values.is_floating_point():
        forms["negative view"] = torch.complex(values, -values).conj().imag
        forms["parameter"] = torch.nn.Parameter(values.clone())
        forms["with gradients"] = (0 + torch.nn.Parameter(values.clone())).requires_grad_()
    with torch.inference_mode():
        forms["of inference mode"] = values.clone()
    return forms


def refused(values: Tensor) -> dict[str, Any]:
    """What holds no such numbers, holds them in another way, or hides some of them."""
    array = values.numpy()
    return {
        **_of_prototypes(values),
        "sparse": values.to_sparse(),
        "meta": values.to("meta"),
        "complex": values.to(torch.complex64),
        "conjugate": values.to(torch.complex64).conj(),
        "bool": values > 0,
        "float8": values.float().to(torch.float8_e4m3fn),
        "masked": np.ma.masked_array(array, array == array.flat[0]),
        "longdouble as complex": array.astype(np.clongdouble),
        "object": array.astype(object),
        "text": array.astype(str),
        "times": array.astype(np.int64).astype("M8[s]"),
        "records": np.zeros(array.shape, [("a", "f4")]),
        "list": values.tolist(),
        "None": None,
    }


def _of_prototypes(values: Tensor) -> dict[str, Tensor]:
    """Tensors of which torch warns that they may change, or go."""
    rows = list(values.reshape(len(values), -1))
    with FakeTensorMode():
        fake = torch.zeros(values.shape, dtype=values.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        odd = {
            "fake": fake,
            "quantised": torch.quantize_per_tensor(values.float(), 0.1, 0, torch.quint8),
            "nested": torch.nested.nested_tensor(rows),
            "jagged": torch.nested.nested_tensor(rows, layout=torch.jagged),
            "masked tensor": torch.masked.masked_tensor(values.float(), values.float() > 0),
        }
    if torch.backends.mkldnn.is_available():
        odd["oneDNN"] = values.float().to_mkldnn()
    return odd
