"""Files that prove to be whole: archives of tensors or arrays that end with the SHA-256 of their contents;
and the checks of what is read from them.

Every check raises ValueError in one line that says what was found and what was expected.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks.describe import describe_array
from ..checks.errors import ArgumentError
from . import untrusted
from .untrusted import load_arrays, load_tensors

_N_HEX_DIGITS = 64  # of a SHA-256

_HEADER_BYTES = 1 << 10  # at least as many as a .npy file has before its array

_MOST = 300
"""Most characters of a value that a message shows."""


def seal(archive: bytes) -> bytes:
    """A ZIP archive without a comment -> the same archive with one, at its end: the hexadecimal SHA-256 of
    all bytes before it."""
    # The archive's last two bytes are the length of its comment (PKWARE's APPNOTE.TXT, 4.3.16).
    body = archive[:-2] + _N_HEX_DIGITS.to_bytes(2, "little")
    return body + hashlib.sha256(body).hexdigest().encode()


def check_seal(sealed: bytes) -> None:
    """Raise ValueError unless a file's contents end with the SHA-256 of everything before it."""
    body, digest = sealed[:-_N_HEX_DIGITS], sealed[-_N_HEX_DIGITS:]
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError(
            "damaged, of another version, or another kind of file: no SHA-256 of its contents at its end"
        )


def pack_tensors(value: object) -> bytes:
    """Tensors and plain values as ``torch.load`` reads them, sealed."""
    # To memory first: on a full disk torch's own writer hides the OSError behind another error.
    memory = io.BytesIO()
    torch.save(value, memory)
    return seal(memory.getvalue())


def unpack_tensors(sealed: bytes) -> Any:
    """What :func:`pack_tensors` packed; ValueError if it is damaged."""
    check_seal(sealed)
    return load_tensors(sealed)


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays, compressed as ``numpy.load`` reads them, and sealed; the same arrays give the same bytes
    (``numpy.savez`` writes the time of day). Arrays of more bytes than may be unpacked are not compressed."""
    memory = io.BytesIO()
    n_bytes = sum(array.nbytes + _HEADER_BYTES for array in arrays.values())
    is_large = n_bytes > untrusted.MOST_ARRAY_BYTES
    compression = zipfile.ZIP_STORED if is_large else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(memory, "w", compression) as file:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), compression)
    return seal(memory.getvalue())


def unpack_arrays(
    sealed: bytes, names: Collection[str], optional: Collection[str] = ()
) -> dict[str, NDArray[Any]]:
    """What :func:`pack_arrays` packed; ValueError if it is damaged, lacks one of the arrays ``names``, or has
    others than these and the ``optional`` ones."""
    check_seal(sealed)
    arrays = load_arrays(sealed)
    if arrays.keys() - set(optional) != set(names):
        more = f", and possibly {', '.join(optional)}" if optional else ""
        raise ValueError(f"got {', '.join(arrays)}, expected {', '.join(names)}{more}")
    return arrays


def check_same(name: str, then: Any, now: Any) -> None:
    """Raise ValueError, which names the first setting that differs, unless two JSON values are equal."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted(then.keys() | now.keys()):
            check_same(f"{name}.{key}", then.get(key), now.get(key))
    elif then != now:
        raise ValueError(f"{name}: was written with {_brief(then)}, now it is {_brief(now)}")


def _brief(value: object) -> str:
    """A JSON value as a message shows it: its type if it is long, or nested too deep to be shown."""
    text = ""
    with contextlib.suppress(RecursionError):
        text = str(value)
    return text if len(text) in range(1, _MOST) else f"another {type(value).__name__}"


def check_stored(name: str, value: object, dtype: str, shape: Sequence[int | None]) -> None:
    """Raise ValueError unless a value is an array, or an ordinary CPU tensor, of this dtype and shape;
    None is any size except 0."""
    if (
        not isinstance(value, Tensor | np.ndarray)
        or (
            isinstance(value, Tensor)
            and (value.layout, value.device.type) != (torch.strided, "cpu")
        )
        or str(value.dtype).removeprefix("torch.") != dtype
        or value.ndim != len(shape)
        or not all(
            got > 0 if want is None else got == want
            for got, want in zip(value.shape, shape, strict=True)
        )
    ):
        sizes = ", ".join("N" if size is None else str(size) for size in shape)
        raise ArgumentError(name, describe_array(value), f"{dtype} [{sizes}]")
