"""Where a command's JSON and pictures go; tried before the work, so that no work is lost."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..dossier.files import finite, reason, write_json
from ..errors import UsageError


def check_writable(option: str, path: Path | str | None) -> None:
    """Raise UsageError unless a file can be written there; "-" is standard output, None is nothing."""
    if path is None or isinstance(path, str):
        return
    try:
        if path.exists() and not path.is_file():  # a device would be replaced by a file
            raise UsageError(f"argument {option}: {path}: is no file")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UsageError(
            f"argument {option}: cannot write to {path.parent}: {reason(error)}"
        ) from error


def give_json(where: Path | str, value: Mapping[str, Any]) -> None:
    """Write a value as strict JSON to a file, or to standard output for "-"."""
    if isinstance(where, Path):
        write_json(where, value)
    else:
        print(json.dumps(finite(value), indent=2, allow_nan=False))
