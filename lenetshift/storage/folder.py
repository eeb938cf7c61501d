"""A result folder: which kind of results it holds, and how it is opened for one process."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..checks.errors import StorageError
from .files import partial_path, reason


@dataclass(frozen=True)
class Kind:
    """A kind of results.

    Attributes:
        name: in messages.
        subfolder: of the files from which an interrupted command continues; empty for the folder itself.
        signs: patterns of the files by which a folder is recognised.
        files: patterns of the files that the command writes while it runs; any other file belongs to
            somebody else.
    """

    name: str
    subfolder: str
    signs: tuple[str, ...]
    files: tuple[str, ...]


PRODUCTS = (
    *("results.json", "report.html", "table1.csv", "table1.md", "predictions.npz"),
    "accuracy_maps.png",
    *(f"figure{number}.png" for number in range(1, 5)),
)
"""The files of a reproduction besides its checkpoints, in the order in which they are removed: first the
one that says that a folder is complete."""

RESULTS = Kind(
    "the results of `lenetshift reproduce`",
    "checkpoints",
    ("results.json", "checkpoints/*.pt"),
    PRODUCTS,  # and checkpoints, whose names the reproduction knows
)
STUDY = Kind(
    "a study",
    "runs",
    ("dossier.json", "runs/*/*.seed*.npz"),
    ("runs/*/*.seed*.npz", "runs/*/*.seed*.pt"),
)
ANSWERS = Kind(
    "the answers of an evaluation",
    "",
    ("answers-[0-9][0-9][0-9][0-9][0-9][0-9].npz",),
    ("answers-[0-9][0-9][0-9][0-9][0-9][0-9].npz",),
)


@contextlib.contextmanager
def open_folder(folder: Path, kind: Kind) -> Iterator[None]:
    """Make a folder ready for results of a kind, and keep it to one process for as long as the context
    lasts.

    Creates the folder and its subfolder, removes what a killed process left half-written, and proves
    that files can be written in both.

    Raises:
        StorageError: the folder cannot be created or written, is in use, or holds results of another
            kind.
    """
    for other in {RESULTS, STUDY, ANSWERS} - {kind}:
        for pattern in other.signs:
            if (found := next(folder.glob(pattern), None)) is not None:
                name = found.relative_to(folder)
                raise StorageError(f"{folder} holds {other.name} ({name}), expected another folder")
    subfolder = folder / kind.subfolder
    with contextlib.ExitStack() as lock:
        try:
            subfolder.mkdir(parents=True, exist_ok=True)
            lock.enter_context(sole_user(folder))
            for pattern in kind.files:
                for left in folder.glob(str(partial_path(Path(pattern)))):
                    left.unlink()
            for place in (folder, subfolder):
                with tempfile.TemporaryFile(dir=place):  # under a name that no other file has
                    pass
        except OSError as error:
            raise StorageError(f"cannot write to {folder}: {reason(error)}") from error
        yield


@contextlib.contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Hold an advisory lock on the folder itself: there is no lock file, and SIGKILL frees it too."""
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
        except OSError:  # a file system without locks: continue without one
            pass
        yield
    finally:
        os.close(descriptor)
