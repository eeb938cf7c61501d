"""What a run leaves in its folder, and how it comes back: atomic files, checkpoints, results.

A file appears under its name only when it is whole: it is written beside its place as
``.NAME.partial``, flushed to the disk, then renamed. A run that is killed at any moment therefore
leaves each file either as it was or complete; what remains of a ``.partial`` is removed by the
next run. The checkpoints are the only files that a run reads back. They hold everything that is
costly (weights, losses, predictions); all other files are derived from them.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import math
import os
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from . import __version__
from .config import Config
from .data import Dataset
from .ops import isa

SCHEMA = 1
"""Version of the layout of ``results.json``, ``predictions.npz`` and the checkpoints."""

PRODUCTS = (
    *("results.json", "table1.csv", "table1.md", "predictions.npz", "accuracy_maps.png"),
    *(f"figure{number}.png" for number in range(1, 5)),
)
"""The files of a full run, beside ``checkpoints/<model>.pt``, as they are removed: that which says
that a folder is complete goes first."""

MNIST_SHA256 = {
    "train_images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "train_labels": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "test_images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "test_labels": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
"""The data that the report's numbers are about, as ``data.dataset_sha256`` gives it."""

_PARTIAL = ".partial"


class StorageError(Exception):
    """A result folder cannot be used: one line that names the folder or file and the reason."""


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that it is, at every moment, either the old one or the whole new one.

    Args:
        path: the file; its folder must exist.
        write: called once with a binary file object; raising leaves ``path`` as it was.
    """
    partial = path.with_name(f".{path.name}{_PARTIAL}")
    try:
        with open(partial, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, newlines as they are in ``text``."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, value: object) -> None:
    """Write strict JSON atomically: lists of numbers on one line each, NaN and infinities null."""
    text = json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)
    # A raw newline cannot occur inside a JSON string, so this only ever touches the layout.
    text = re.sub(r"\[\n[^\[\]{}]*\]", lambda found: _one_line(found.group()), text)
    write_text(path, text + "\n")


def _one_line(array: str) -> str:
    items = array[1:-1].strip().split("\n")
    return "[" + ", ".join(item.strip().rstrip(",") for item in items) + "]"


def _finite(value: Any) -> Any:
    """``value`` with every non-finite float, which JSON cannot hold, replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays (no pickled objects) atomically, as ``numpy.load`` reads them."""
    values = {name: np.asarray(array) for name, array in arrays.items()}
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **values))


@contextlib.contextmanager
def open_folder(folder: Path) -> Iterator[Path]:
    """Make a result folder ready, and keep it to one run for as long as the context lasts.

    Creates the folder and ``checkpoints/`` in it, removes what a killed run left half-written, and
    proves that files can be written in both.

    Raises:
        StorageError: the folder cannot be created or written, or another run is using it.
    """
    checkpoints = folder / "checkpoints"
    with contextlib.ExitStack() as lock:
        try:
            checkpoints.mkdir(parents=True, exist_ok=True)
            lock.enter_context(_sole_user(folder))
            for place in (folder, checkpoints):
                for partial in place.glob(f".*{_PARTIAL}"):
                    partial.unlink(missing_ok=True)
                write_atomically(place / ".writable", lambda file: None)
                (place / ".writable").unlink()
        except OSError as error:
            raise StorageError(f"cannot write to {folder}: {_reason(error)}") from error
        yield folder


@contextlib.contextmanager
def _sole_user(folder: Path) -> Iterator[None]:
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


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


@dataclass(frozen=True)
class Job:
    """A job with its data at hand.

    ``rows`` are the test images that are evaluated: the first ``n_test``, then those of the
    figures that lie beyond them; tables and metrics are about the first ``n_test`` only.
    """

    config: Config
    models: tuple[str, ...]
    method: str
    device: torch.device
    out: Path
    train: Dataset
    test: Dataset
    rows: tuple[int, ...]
    n_test: int
    sha256: Mapping[str, str]
    note: str
    figures: tuple[int, ...]

    @property
    def labels(self) -> Tensor:
        """Of the test images that the tables are about: int64 [n_test]."""
        return self.test.labels[: self.n_test]

    def settings(self) -> dict[str, Any]:
        """What decides the outcome; a checkpoint written under other settings is of no use."""
        return {
            **self.config.to_dict(),
            "method": self.method,
            "device": self.device.type,
            "isa": isa(),
            "lenetshift": __version__,
            "torch": str(torch.__version__),
            "data": " ".join(digest[:12] for digest in self.sha256.values()),
        }


@dataclass
class Checkpoint:
    """All that is known of one model: enough to go on, and to derive every result.

    Attributes:
        model: the model's name.
        settings: what decides the outcome, name to plain value; a run only goes on from a
            checkpoint whose settings equal its own.
        state_dict: the weights after ``len(losses)`` epochs.
        losses: one float32 tensor [n_steps] per finished epoch.
        training_seconds: wall time of the finished epochs.
        predictions: uint8 [n_rows, n_dy, n_dx], or None when the model is not yet evaluated.
        evaluation_seconds: wall time of the evaluation, or None.
        note: says that the data were a subset; empty for a full run.
    """

    model: str
    settings: dict[str, Any]
    state_dict: dict[str, Tensor]
    losses: list[Tensor] = field(default_factory=list)
    training_seconds: float = 0.0
    predictions: Tensor | None = None
    evaluation_seconds: float | None = None
    note: str = ""

    def evaluated(self) -> Tensor:
        """The predictions; ValueError if there are none yet."""
        if self.predictions is None:
            raise ValueError(f"checkpoint: {self.model} is not evaluated, expected predictions")
        return self.predictions


def checkpoint_path(folder: Path, model: str) -> Path:
    """Where the checkpoint of ``model`` lies in a result folder."""
    return folder / "checkpoints" / f"{model}.pt"


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoints/<model>.pt`` atomically, as a dict with all fields and ``schema``.

    ``torch.load(path, weights_only=True)["state_dict"]`` gives the weights.
    """
    content = {item.name: getattr(checkpoint, item.name) for item in fields(checkpoint)}
    content["state_dict"] = {k: v.detach().cpu() for k, v in checkpoint.state_dict.items()}
    # To memory first: on a full disk torch's own writer hides the OSError behind another error.
    memory = io.BytesIO()
    torch.save({"schema": SCHEMA, **content}, memory)
    path = checkpoint_path(folder, checkpoint.model)
    write_atomically(path, lambda file: file.write(memory.getbuffer()))


def load_checkpoint(folder: Path, model: str, settings: Mapping[str, Any]) -> Checkpoint | None:
    """Read a model's checkpoint, or None when there is none.

    Raises:
        StorageError: the file cannot be read, is damaged, or was written under other settings.
    """
    path = checkpoint_path(folder, model)
    try:
        memory = io.BytesIO(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {_reason(error)}") from error
    try:
        content = torch.load(memory, map_location="cpu", weights_only=True)
        schema = content.pop("schema")
        if schema != SCHEMA:
            raise StorageError(f"{path} has schema {schema}, expected {SCHEMA}")
        checkpoint = Checkpoint(**content)
    except StorageError:
        raise
    except Exception as error:  # torch.load raises whatever the damage leads to
        raise StorageError(f"{path} is damaged: delete it, or start without --resume") from error
    for name in sorted(checkpoint.settings.keys() | settings.keys()):
        then, now = checkpoint.settings.get(name), settings.get(name)
        if then != now:
            raise StorageError(f"{path} was written with {name} {then}, this run has {name} {now}")
    return checkpoint


def remove_earlier_run(folder: Path, models: Iterable[str]) -> None:
    """Remove the files, and only those, that a run of this program writes into ``folder``."""
    for path in [folder / name for name in PRODUCTS]:
        path.unlink(missing_ok=True)
    for model in models:
        checkpoint_path(folder, model).unlink(missing_ok=True)


def loss_summary(losses: list[Tensor]) -> list[dict[str, float]]:
    """Per epoch: the first and last step's loss, the mean, and the mean of the last 100 steps."""
    return [
        {
            "steps": len(epoch),
            "first": float(epoch[0]),
            "last": float(epoch[-1]),
            "mean": float(epoch.double().mean()),
            "mean_of_last_100": float(epoch[-100:].double().mean()),
        }
        for epoch in losses
    ]


def environment(device: torch.device) -> dict[str, Any]:
    """What a run ran on: versions, machine, instruction set, threads. All plain values."""
    return {
        "lenetshift": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "matplotlib": importlib.metadata.version("matplotlib"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "logical_cpus": os.cpu_count(),
        "isa": isa(),
        "threads": torch.get_num_threads(),
        "device": device.type,
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
    }


def _processor() -> str:
    """The processor's name; ``platform.processor()`` is empty or generic on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
