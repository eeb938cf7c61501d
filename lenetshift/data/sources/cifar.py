"""CIFAR-10 and CIFAR-100, in the python and the binary version of https://www.cs.toronto.edu/~kriz/cifar.html."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...checks.errors import DataError
from .plain_pickle import load_plain, text
from .source import Source, of_arrays

_PIXELS = 3 * 32 * 32  # all of red, then green, then blue, row by row


class _Version(NamedTuple):
    """A data set's files, and what they call the labels.

    Attributes:
        what: the data set.
        test: the file of test images.
        names: the file of the classes' names.
        labels: the key of the labels; in the binary version, the number of bytes before the pixels,
            the last of which is the label.
        key: the key of the names.
    """

    what: str
    test: str
    names: str
    labels: str | int
    key: str = ""


_PYTHON = (
    _Version("CIFAR-10, python version", "test_batch", "batches.meta", "labels", "label_names"),
    _Version("CIFAR-100, python version", "test", "meta", "fine_labels", "fine_label_names"),
)
_BINARY = (
    _Version("CIFAR-10, binary version", "test_batch.bin", "batches.meta.txt", 1),
    _Version("CIFAR-100, binary version", "test.bin", "fine_label_names.txt", 2),
)


def find_cifar_pickles(path: Path) -> Source | None:
    """The source of the test batch of a python version; None for anything else."""
    for version in _PYTHON:
        test, names = path / version.test, path / version.names
        if test.is_file() and (names.is_file() or version.test == "test_batch"):
            batch = _unpickled(test)
            labels = batch.get(str(version.labels))
            images = _images(test, batch.get("data"))
            if not isinstance(labels, list) or not all(type(label) is int for label in labels):
                raise DataError(f"{test}: got no list of {version.labels}, expected one")
            named = _unpickled(names).get(version.key) if names.is_file() else None
            if named is not None and not isinstance(named, list):
                raise DataError(f"{names}: got no list of {version.key}, expected one")
            classes = None if named is None else tuple(map(_as_name, named))
            return of_arrays(version.what, str(test), images, _as_labels(test, labels), classes)
    return None


def find_cifar_binary(path: Path) -> Source | None:
    """The source of the test batch of a binary version; None for anything else."""
    for version in _BINARY:
        test, names = path / version.test, path / version.names
        if test.is_file():
            assert isinstance(version.labels, int)
            rows, size = np.frombuffer(_bytes_of(test), np.uint8), version.labels + _PIXELS
            if len(rows) % size or not len(rows):
                raise DataError(
                    f"{test}: got {len(rows)} bytes, expected a multiple of {size}, one record per image"
                )
            records = rows.reshape(-1, size)
            images = _images(test, records[:, version.labels :])
            classes = _lines_of(names) if names.is_file() else None
            return of_arrays(
                version.what, str(test), images, records[:, version.labels - 1], classes
            )
    return None


def _images(file: Path, data: Any) -> NDArray[np.uint8]:
    """Images ``[N, 32, 32, 3]`` of rows ``[N, 3072]``."""
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (_PIXELS,):
        got = f"{data.dtype} {list(data.shape)}" if isinstance(data, np.ndarray) else "no array"
        raise DataError(f"{file}: got {got} as data, expected uint8 [N, {_PIXELS}]")
    return np.ascontiguousarray(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _unpickled(file: Path) -> dict[str, Any]:
    try:
        return load_plain(_bytes_of(file))
    except ValueError as error:
        raise error if isinstance(error, DataError) else DataError(f"{file}: {error}") from error


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error


def _lines_of(file: Path) -> tuple[str, ...]:
    lines = text(_bytes_of(file)).splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def _as_name(value: object) -> str:
    return text(value) if isinstance(value, (str, bytes)) else str(type(value).__name__)


def _as_labels(file: Path, labels: list[int]) -> NDArray[np.int64]:
    try:
        return np.array(labels, np.int64)
    except OverflowError as error:
        raise DataError(f"{file}: got labels beyond 2**63 - 1, expected small ones") from error
