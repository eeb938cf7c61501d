"""Files that are, at every moment, either the old one or the whole new one.

A file appears under its name only when it is whole: it is written beside its place as
``.NAME.partial``, flushed to the disk, then renamed. A run that is killed at any moment therefore
leaves each file either as it was or complete.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from ..checks.errors import StorageError as StorageError
from ..checks.text import encodable, json_value


def reason(error: OSError) -> str:
    """What the system says, without the path."""
    return error.strerror or str(error)


def read_file(path: Path) -> bytes:
    """A file's bytes; StorageError where it cannot be read, or is not a file: a device may have no end."""
    try:
        if path.exists() and not path.is_file():
            raise StorageError(f"cannot read {path}: not a file")
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {reason(error)}") from error


def read_file_if_any(path: Path) -> bytes | None:
    """The same, None where nothing has that name."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError:
        pass  # read_file says why
    return read_file(path)


def partial_path(path: Path) -> Path:
    """Where a file lies while it is being written."""
    return path.with_name(f".{path.name}.partial")


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that it is, at every moment, either the old one or the whole new one; also after
    the power has failed: the contents reach the disk before the name does, and the name before this
    returns.

    Args:
        path: the file; its folder must exist.
        write: called once with a binary file object; raising leaves ``path`` as it was.

    Raises:
        OSError: the file cannot be written; it names ``path``.
    """
    partial = partial_path(path)
    try:
        with open(partial, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.filename in (None, str(partial)):  # None of a full disk, which knows of no name
            error.strerror, error.filename = reason(error), str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Have the disk hold the names in a folder, where the file system can say so."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, newlines as they are in ``text``."""
    write_atomically(path, lambda file: file.write(encodable(text).encode()))


def write_json(path: Path, value: object) -> None:
    """Write strict JSON atomically: lists of numbers on one line each, values as
    :func:`lenetshift.checks.text.json_value` has them."""
    text = json.dumps(json_value(value), indent=2, ensure_ascii=False, allow_nan=False)
    # A raw newline cannot occur inside a JSON string, so this only ever touches the layout.
    text = re.sub(r"\[\n[^\[\]{}]*\]", lambda found: _one_line(found.group()), text)
    write_text(path, text + "\n")


def _one_line(array: str) -> str:
    items = array[1:-1].strip().split("\n")
    return "[" + ", ".join(item.strip().rstrip(",") for item in items) + "]"


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays (no pickled objects) atomically, as ``numpy.load`` reads them."""
    import numpy as np  # not above: `lenetshift doctor` writes JSON where NumPy is broken

    values = {name: np.asarray(array) for name, array in arrays.items()}
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **values))
