"""Files that an option names."""

from __future__ import annotations

from pathlib import Path

from ...checks.errors import UsageError
from ...storage.files import read_bytes, reason


def contents(option: str, path: Path) -> bytes:
    """A file's bytes; UsageError if it cannot be read, in a line that begins with ``option``."""
    try:
        return read_bytes(path)
    except OSError as error:
        raise UsageError(f"{option}: cannot be read: {reason(error)}") from error


def check_readable(option: str, path: Path) -> None:
    """The same error for a file that another library reads."""
    try:
        if path.exists() and not path.is_file():
            raise OSError("not a file")
        path.open("rb").close()
    except OSError as error:
        raise UsageError(f"{option}: cannot be read: {reason(error)}") from error
