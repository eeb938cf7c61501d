"""Reading files, and writing them so that a file is, at every moment, either the old one or the whole new
one.

A file appears under its name only when it is whole: it is written next to its place as
``.NAME.partial``, flushed to the disk, then renamed. A process that is killed at any moment therefore
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
    """The system's message, without the path."""
    return error.strerror or str(error)


def read_bytes(path: Path) -> bytes:
    """A file's bytes; OSError if it cannot be read, or is not a file: a device may have no end."""
    if path.exists() and not path.is_file():
        raise OSError("not a file")
    return path.read_bytes()


def read_file(path: Path) -> bytes:
    """The same; StorageError in place of OSError."""
    try:
        return read_bytes(path)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {reason(error)}") from error


def read_file_if_any(path: Path) -> bytes | None:
    """The same; None if nothing has that name."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError:
        pass  # read_file says why
    return read_file(path)


def partial_path(path: Path) -> Path:
    """The path of a file while it is being written."""
    return path.with_name(f".{path.name}.partial")


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that it is, at every moment, either the old one or the whole new one. This holds for
    a power failure too: the contents reach the disk before the name does, and the name before this
    returns.

    Args:
        path: the file; its folder must exist.
        write: called once with a binary file object; if it raises, ``path`` stays as it was.

    Raises:
        OSError: the file cannot be written; the error names ``path``.
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
        if error.filename in (None, str(partial)):  # None: a full disk, which has no name
            error.strerror, error.filename = reason(error), str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, if the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, with the newlines of ``text``."""
    write_atomically(path, lambda file: file.write(encodable(text).encode()))


def write_json(path: Path, value: object) -> None:
    """Write strict JSON atomically: each list of numbers on one line, values as
    :func:`lenetshift.checks.text.json_value` gives them."""
    text = json.dumps(json_value(value), indent=2, ensure_ascii=False, allow_nan=False)
    # A raw newline cannot occur inside a JSON string, so this only ever touches the layout.
    text = re.sub(r"\[\n[^\[\]{}]*\]", lambda found: _one_line(found.group()), text)
    write_text(path, text + "\n")


def _one_line(array: str) -> str:
    items = array[1:-1].strip().split("\n")
    return "[" + ", ".join(item.strip().rstrip(",") for item in items) + "]"


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays (no pickled objects) atomically, as ``numpy.load`` reads them."""
    import numpy as np  # here: `lenetshift doctor` writes JSON even if NumPy is broken

    values = {name: np.asarray(array) for name, array in arrays.items()}
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **values))
