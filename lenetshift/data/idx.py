"""Reads a file in the IDX format, raw or gzipped, and never more of it than its header announces.

The format: two zero bytes, a dtype code, the number of dimensions, each dimension as a big-endian
uint32, then the values in C order (http://yann.lecun.com/exdb/mnist/). Here values are always
unsigned bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import stat
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from ..checks.errors import DataError as DataError

_UNSIGNED_BYTE = 0x08  # the format's code for uint8
_PIECE = 1 << 20  # bytes read at a time: memory grows with what is read, not with what is announced

_MOST_UNPACKED = 256 << 20
_MOST_RATIO = 100
"""A gzipped file may announce this many bytes, or this many times its own size if that is more. Images shrink
to about a tenth; a file of a few MB that unpacks to some GB is a trap."""

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def check_folder(folder: Path) -> None:
    """Raise DataError unless ``folder`` is a folder."""
    kind = kind_at(folder)
    if kind is None:
        raise DataError(f"{folder}: no such folder, expected one with IDX files")
    if kind != "a folder":
        raise DataError(f"{folder}: got {kind}, expected a folder")


def find_idx(folder: Path, stem: str, n_dims: int) -> Path:
    """The file ``<stem>-idx<n_dims>-ubyte`` or ``<stem>.idx<n_dims>-ubyte``, raw rather than ``.gz``."""
    names = [f"{stem}{sep}idx{n_dims}-ubyte{gz}" for sep in "-." for gz in ("", ".gz")]
    kinds = {name: kind for name in names if (kind := kind_at(folder / name)) is not None}
    for name, kind in kinds.items():
        if kind == "a file":
            return folder / name
    for name, kind in kinds.items():
        raise DataError(f"{folder / name}: got {kind}, expected a file")
    raise DataError(f"{folder / names[0]}: no such file, nor any of {', '.join(names[1:])}")


def read_idx(
    path: Path,
    n_dims: int,
    complaint: Callable[[tuple[int, ...]], str],
    sha256: Mapping[str, str] | None = None,
) -> Tensor:
    """The values of one file, uint8 with ``n_dims`` dimensions.

    Args:
        path: unpacked while it is read if its name ends with ``.gz``.
        n_dims: the number of dimensions that the header must give.
        complaint: returns what is wrong with the dimensions, such as "got a, expected b", or "". Called
            before the values are read.
        sha256: name without ``.gz`` -> SHA-256 of the unpacked contents; None does not check.

    Raises:
        DataError: in one line that names the file.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header, shape = _read_header(path, file, n_dims)
            if said := complaint(shape) or _trap(path, shape):
                raise DataError(f"{path}: {said}")
            values = _read_values(path, file, shape)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except MemoryError:
        raise DataError(f"{path}: cannot be read: not enough memory") from None
    if sha256 is not None:
        expected = sha256.get(path.with_suffix("").name, "an entry in SHA256SUMS")
        got = hashlib.sha256(header)
        got.update(values)
        if got.hexdigest() != expected:
            raise DataError(f"{path}: unpacked, got SHA-256 {got.hexdigest()}, expected {expected}")
    return torch.frombuffer(values, dtype=torch.uint8).view(shape)


def most_unpacked(size: int) -> int:
    """The most bytes that the contents of a packed file of ``size`` bytes may have."""
    return max(_MOST_UNPACKED, _MOST_RATIO * size)


def _trap(path: Path, shape: tuple[int, ...]) -> str:
    """What is wrong with the sizes of a gzipped file, or ""."""
    n_bytes, size = math.prod(shape), path.stat().st_size
    most = most_unpacked(size)
    if path.suffix != ".gz" or n_bytes <= most:
        return ""
    return (
        f"got dimensions {list(shape)}, {n_bytes} bytes, packed into {size}, "
        f"expected at most {most}; unpack it if the size is right"
    )


def kind_at(path: Path) -> str | None:
    """What is at a path: "a file", "a folder", "a pipe", ...; None if there is nothing."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return "a file" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "a device")


def _read_header(
    path: Path, file: IO[bytes] | gzip.GzipFile, n_dims: int
) -> tuple[bytes, tuple[int, ...]]:
    """The bytes of the header, and the dimensions that it gives."""
    n_bytes = 4 + 4 * n_dims
    header = file.read(n_bytes)
    magic, expected = header[:4], bytes([0, 0, _UNSIGNED_BYTE, n_dims])
    if magic[:2] != expected[:2]:
        raise DataError(f"{path}: got first bytes {_hex(magic)}, expected {_hex(expected)}")
    if magic[2:3] != expected[2:3]:
        raise DataError(
            f"{path}: got dtype code {_hex(magic[2:3])}, "
            f"expected 0x{_UNSIGNED_BYTE:02x}, unsigned byte"
        )
    if magic[3:] != expected[3:]:
        raise DataError(f"{path}: got {_hex(magic[3:])} dimensions, expected {n_dims}")
    if len(header) < n_bytes:
        raise DataError(f"{path}: got {len(header)} bytes, expected a header of {n_bytes}")
    shape = struct.unpack_from(f">{n_dims}I", header, 4)
    if math.prod(shape) == 0:
        raise DataError(f"{path}: got dimensions {list(shape)}, expected none to be 0")
    return header, shape


def _read_values(path: Path, file: IO[bytes] | gzip.GzipFile, shape: tuple[int, ...]) -> bytearray:
    """The values, exactly as many as the dimensions announce."""
    size = math.prod(shape)
    values = bytearray()  # a tensor can write to it
    while len(values) <= size:  # one byte more shows whether the file ends there
        piece = file.read(min(_PIECE, size + 1 - len(values)))
        if not piece:
            break
        values += piece
    expected = f"expected {size} for dimensions {list(shape)}"
    if len(values) < size:
        raise DataError(f"{path}: truncated: got {len(values)} bytes of data, {expected}")
    if len(values) > size:
        raise DataError(f"{path}: trailing bytes: got more data, {expected}")
    return values


def _hex(data: bytes) -> str:
    return "0x" + data.hex() if data else "nothing"
