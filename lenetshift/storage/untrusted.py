"""What a file holds that anybody may have made: read without running anything in it, and without taking
more memory than such a file can need. Nothing is ever unpacked to disk, so names in an archive are names.

Each function takes the file's contents and raises ValueError for whatever is wrong with them.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

MOST_ARRAY_BYTES = 1 << 30
"""Of all arrays in an archive, unpacked; a run of a study has some 10 MB."""


def load_json(contents: bytes) -> Any:
    """A JSON value."""
    try:
        return json.loads(contents)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def load_tensors(contents: bytes) -> Any:
    """What ``torch.save`` wrote: tensors and plain values."""
    n_bytes = _unpacked_size(io.BytesIO(contents))
    if n_bytes is not None:  # else torch.load refuses it, or it is as before torch 1.6
        _check_size(n_bytes, len(contents))  # torch.save compresses nothing
    try:
        return torch.load(io.BytesIO(contents), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the contents lead to
        raise ValueError("got contents that torch.load(..., weights_only=True) refuses") from error


def load_arrays(contents: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an archive as ``numpy.savez_compressed`` writes it."""
    packed = io.BytesIO(contents)
    n_bytes = _unpacked_size(packed)
    if n_bytes is None:
        raise ValueError("got no archive of arrays, expected one")
    _check_size(n_bytes, MOST_ARRAY_BYTES)
    try:
        _check_headers(packed)
        with np.load(packed, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # NumPy and zipfile raise whatever the contents lead to
        raise ValueError(f"got no archive of arrays, expected one: {error}") from error


def _check_headers(archive: io.BytesIO) -> None:
    """Raise ValueError where an array announces more than its member holds: it would get the memory."""
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
    """Bytes of all members; None where this is no archive."""
    try:
        with zipfile.ZipFile(archive) as file:
            return sum(member.file_size for member in file.infolist())
    except Exception:  # zipfile raises whatever the contents lead to
        return None
    finally:
        archive.seek(0)


def _check_size(n_bytes: int, most: int) -> None:
    if n_bytes > most:
        raise ValueError(f"got an archive that unpacks to {n_bytes} bytes, expected at most {most}")
