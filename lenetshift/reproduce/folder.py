"""The folder of a reproduction: its files, and how an earlier run's files, and no others, are removed."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..checks.errors import StorageError
from ..models.table import ARCHITECTURES
from ..storage.files import partial_path, reason
from ..storage.folder import STUDY, refuse, sole_user
from .checkpoints import checkpoint_path

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
    refuse(folder, STUDY)
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


def remove_earlier_run(folder: Path, models: Iterable[str]) -> None:
    """Remove the files, and only those, that a run of this program writes into ``folder``."""
    for path in [folder / name for name in PRODUCTS]:
        path.unlink(missing_ok=True)
    for model in models:
        checkpoint_path(folder, model).unlink(missing_ok=True)
