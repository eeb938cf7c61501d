"""A result folder: kept to one run at a time, and rid of an earlier run's files, and only those."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from ..experiments import ARCHITECTURES
from .checkpoints import checkpoint_path
from .files import StorageError, partial_path, reason

PRODUCTS = (
    *("results.json", "report.html", "table1.csv", "table1.md", "predictions.npz"),
    "accuracy_maps.png",
    *(f"figure{number}.png" for number in range(1, 5)),
)
"""The files of a full run, beside ``checkpoints/<model>.pt``, as they are removed: that which says
that a folder is complete goes first."""


@contextlib.contextmanager
def open_folder(folder: Path) -> Iterator[Path]:
    """Make a result folder ready, and keep it to one run for as long as the context lasts.

    Creates the folder and ``checkpoints/`` in it, removes what a killed run left half-written, and
    proves that files can be written in both.

    Raises:
        StorageError: the folder cannot be created or written, another run is using it, or it holds a
            study.
    """
    refuse_a_study(folder)
    checkpoints = folder / "checkpoints"
    with contextlib.ExitStack() as lock:
        try:
            checkpoints.mkdir(parents=True, exist_ok=True)
            lock.enter_context(sole_user(folder))
            for path in _own_files(folder):
                partial_path(path).unlink(missing_ok=True)
            for place in (folder, checkpoints):
                with tempfile.TemporaryFile(dir=place):  # nobody's file has its name
                    pass
        except OSError as error:
            raise StorageError(f"cannot write to {folder}: {reason(error)}") from error
        yield folder


def _own_files(folder: Path) -> list[Path]:
    """All that a run writes into ``folder``; whatever else lies there is somebody else's."""
    checkpoints = [checkpoint_path(folder, model) for model in ARCHITECTURES]
    return [*(folder / name for name in PRODUCTS), *checkpoints]


def refuse_a_study(folder: Path) -> None:
    """StorageError where a folder holds a study, whose files a full run would write over."""
    dossier = folder / "dossier.json"
    runs = (folder / "runs").glob("*/*.seed*.npz")
    if (found := dossier if dossier.exists() else next(runs, None)) is not None:
        _refuse(folder, "a study", found)


def refuse_a_full_run(folder: Path) -> None:
    """StorageError where a folder holds a full run's files, which a study would write over."""
    checkpoints = [checkpoint_path(folder, model) for model in ARCHITECTURES]
    if (
        found := next((p for p in (folder / PRODUCTS[0], *checkpoints) if p.exists()), None)
    ) is not None:
        _refuse(folder, "the results of `lenetshift reproduce`", found)


def _refuse(folder: Path, kind: str, found: Path) -> NoReturn:
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


def remove_earlier_run(folder: Path, models: Iterable[str]) -> None:
    """Remove the files, and only those, that a run of this program writes into ``folder``."""
    for path in [folder / name for name in PRODUCTS]:
        path.unlink(missing_ok=True)
    for model in models:
        checkpoint_path(folder, model).unlink(missing_ok=True)
