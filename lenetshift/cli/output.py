"""Where results go: standard output and files. Files are tried before the work, and a file that cannot be
written after it costs no results."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..checks.errors import UsageError
from ..checks.text import in_a_line, json_value, one_line
from ..storage.files import reason, write_json
from .interrupts import never_hidden


def check_writable(files: Mapping[str, Path | str | None]) -> None:
    """Raise UsageError unless the file of each option can be written, and no two are the same; "-" is
    standard output, None stands for no file."""
    options: dict[str, str] = {}
    for option, path in files.items():
        if not isinstance(path, Path):
            continue
        try:
            if path.exists() and not path.is_file():  # a device would be replaced by a file
                raise UsageError(f"argument {option}: {path}: not a file")
            with tempfile.TemporaryFile(dir=path.parent):
                pass
            other = options.setdefault(os.path.realpath(path), option)
        except OSError as error:
            raise UsageError(
                f"argument {option}: cannot write to {path.parent}: {reason(error)}"
            ) from error
        if other != option:
            raise UsageError(
                f"argument {option}: {path}: got the file of {other}, expected another"
            )


def give(
    where: Path | str | None,
    value: Mapping[str, Any],
    text: str,
    pictures: Mapping[Path, Callable[[], object]] | None = None,
) -> None:
    """Print the results first, since a disk may be full; then write the files, each of which is tried, and
    named next to the text when it is written.

    Args:
        where: for the JSON: a file, "-" for standard output instead of the text, None for nowhere.
        value: the contents of the JSON.
        text: for people.
        pictures: path -> what writes that file.

    Raises:
        UsageError: some files could not be written: a line that names each.
    """
    is_text = where != "-"
    print(text if is_text else json.dumps(json_value(value), indent=2, allow_nan=False), flush=True)
    files = dict(pictures or {})
    if isinstance(where, Path):
        files = {where: lambda: write_json(where, value), **files}
    problems = []
    for path, write in files.items():
        try:
            with never_hidden():
                write()
        except OSError as error:
            problems.append(f"cannot write {path}: {reason(error)}")
        except Exception as error:  # Matplotlib may raise anything
            problems.append(f"cannot write {path}: {in_a_line(error)}")
        else:
            if is_text:
                print(one_line(f"written: {path}"))
    if problems:
        raise UsageError("; ".join(problems))
