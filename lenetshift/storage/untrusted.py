"""Reading files that anyone may have made, without running anything in them, and without taking more
memory than such a file can need. Nothing is unpacked to disk, so names in an archive can do no harm.

Each function takes a file's contents and raises ValueError if anything is wrong with them.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections import Counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

MOST_ARRAY_BYTES = 1 << 30
"""The most bytes of all arrays in an archive, unpacked, unless it is not compressed and so as large itself; a
run of a study has some 10 MB."""


def load_json(contents: bytes) -> Any:
    """A JSON value. An object that has a key twice is refused: Python would read the last of the two, another
    reader the first."""
    try:
        return json.loads(contents, object_pairs_hook=_with_each_key_once)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _with_each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        (doubled, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"got the key {json.dumps(doubled)} twice in an object, expected it once")
    return value


def load_tensors(contents: bytes) -> Any:
    """Tensors and plain values, as ``torch.save`` writes them."""
    n_bytes = _unpacked_size(io.BytesIO(contents))
    if n_bytes is not None:  # None: torch.load refuses it, or it is of before torch 1.6
        _check_size(n_bytes, len(contents))  # torch.save compresses nothing
    try:
        return torch.load(io.BytesIO(contents), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load can raise anything
        raise ValueError("got contents that torch.load(..., weights_only=True) refuses") from error


def load_arrays(contents: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an archive as ``numpy.savez_compressed`` writes it."""
    packed = io.BytesIO(contents)
    n_bytes = _unpacked_size(packed)
    if n_bytes is None:
        raise ValueError("got no archive of arrays, expected one")
    _check_size(n_bytes, max(MOST_ARRAY_BYTES, len(contents)))
    try:
        _check_headers(packed)
        with np.load(packed, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # NumPy and zipfile can raise anything
        raise ValueError(f"got no archive of arrays, expected one: {error}") from error


def _check_headers(archive: io.BytesIO) -> None:
    """Raise ValueError if an array claims more bytes than its member has: NumPy would allocate them."""
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            with file.open(member) as stream:
                version = np.lib.format.read_magic(stream)
                read = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
                shape, _, dtype = read(stream)
            if math.prod(shape) * dtype.itemsize > member.file_size:
                raise ValueError(f"an array of {list(shape)} in {member.file_size} bytes")
    archive.seek(0)


def _unpacked_size(archive: io.BytesIO) -> int | None:
    """Bytes of all members; None if this is not an archive."""
    try:
        with zipfile.ZipFile(archive) as file:
            return sum(member.file_size for member in file.infolist())
    except Exception:  # zipfile can raise anything
        return None
    finally:
        archive.seek(0)


def _check_size(n_bytes: int, most: int) -> None:
    if n_bytes > most:
        raise ValueError(f"got an archive that unpacks to {n_bytes} bytes, expected at most {most}")
