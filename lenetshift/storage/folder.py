"""A result folder: which kind of results it holds, and a lock that keeps it to one process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..checks.errors import StorageError

RESULTS, STUDY = "the results of `lenetshift reproduce`", "a study"

_SIGNS = {
    RESULTS: ("results.json", "checkpoints/*.pt"),
    STUDY: ("dossier.json", "runs/*/*.seed*.npz"),
}
"""What a folder may hold -> the files by which it is recognised."""


def refuse(folder: Path, kind: str) -> None:
    """Raise StorageError if a folder holds results of that kind, which others would overwrite."""
    for pattern in _SIGNS[kind]:
        if (found := next(folder.glob(pattern), None)) is not None:
            raise StorageError(
                f"{folder} holds {kind} ({found.relative_to(folder)}), expected another folder"
            )


@contextlib.contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Hold an advisory lock on the folder itself: no lock file, and freed even by SIGKILL."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system: no such lock
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(f"{folder} is in use by another run") from error
        except OSError:  # a file system without locks: go on without one
            pass
        yield
    finally:
        os.close(descriptor)
