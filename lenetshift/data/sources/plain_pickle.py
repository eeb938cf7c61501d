"""Pickles of plain values: numbers, strings, lists, dicts, and NumPy arrays of numbers.

Unpickling calls whatever the pickle names. Here a name is one of those in ``_NAMES``, which lead to functions
of this file: no other code runs, whatever bytes a file holds. Python's own unpickler is used, not the
one in C, which allocates as much memory as the pickle announces.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...checks.text import one_line


def load_plain(contents: bytes) -> dict[str, Any]:
    """The dict that a pickle holds, with its keys as strings and the strings of Python 2 as bytes.

    Raises:
        ValueError: anything else, in one line.
    """
    try:
        value = _Unpickler(io.BytesIO(contents), encoding="bytes").load()
    except _Refused as error:
        raise ValueError(str(error)) from error
    except Exception as error:  # damaged pickles raise many kinds
        raise ValueError(f"damaged pickle: {type(error).__name__}") from error
    if not isinstance(value, dict) or not all(isinstance(key, (str, bytes)) for key in value):
        raise ValueError(f"got a pickle of {type(value).__name__}, expected a dict with names")
    return {
        text(key): item.array if isinstance(item, _Array) else item for key, item in value.items()
    }


def text(value: str | bytes) -> str:
    """A string of Python 2 or 3."""
    return value if isinstance(value, str) else value.decode("latin-1")


class _Refused(ValueError):
    """A pickle that is more than plain values."""


class _Unpickler(pickle._Unpickler):
    dispatch = dict(pickle._Unpickler.dispatch)  # noqa: RUF012
    del dispatch[pickle.BYTEARRAY8[0]]  # it would allocate what it announces

    def find_class(self, module: str, name: str) -> Any:
        function = _NAMES.get((module.replace("numpy._core", "numpy.core"), name))
        if function is None:
            named = one_line(f"{module}.{name}"[:100])
            raise _Refused(
                f"got a pickle that names {named}, expected numbers, strings and NumPy arrays"
            )
        return _Named(function)


class _Named:
    """A function that a pickle names. It can be called, and nothing else."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: object) -> None:
        raise _Refused("got a pickle that changes a function, expected plain values")


class _DType:
    """``numpy.dtype(code, ...)``, then its state, of which the byte order counts."""

    __slots__ = ("dtype",)

    def __init__(self, code: str | bytes, *_: object) -> None:
        if not re.fullmatch(r"[iuf][1248]|b1", text(code)) or text(code) == "f1":
            raise _Refused(f"got an array of {text(code)!r}, expected numbers")
        self.dtype = np.dtype(text(code))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if text(state[1]) == ">":
            self.dtype = self.dtype.newbyteorder(">")


class _Array:
    """An array without values, then its state: version, shape, dtype, whether columns come first, values."""

    __slots__ = ("array",)

    def __init__(self, *_: object) -> None:
        self.array: NDArray[Any] = np.empty(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, is_fortran, values = state
        if not isinstance(kind, _DType) or not isinstance(values, bytes):
            raise _Refused("got an array of objects, expected numbers")
        if math.prod(shape) * kind.dtype.itemsize != len(values):
            raise _Refused(f"got an array of {list(shape)} in {len(values)} bytes")
        flat = np.frombuffer(values, kind.dtype)  # a view
        self.array = flat.reshape(shape, order="F" if is_fortran else "C")


def _scalar(kind: _DType, values: bytes) -> int | float:
    """``numpy.core.multiarray.scalar``."""
    (number,) = np.frombuffer(values, kind.dtype).tolist()
    return number  # type: ignore[no-any-return]


def _encode(value: str, encoding: str) -> bytes:
    """``_codecs.encode``, with which Python 3 writes bytes for Python 2."""
    if text(encoding) != "latin1":
        raise _Refused(f"got bytes in {text(encoding)!r}, expected latin1")
    return value.encode("latin-1")


def _no_bytes() -> bytes:
    """``bytes()``, with which Python 3 writes no bytes for Python 2."""
    return b""


_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
}
