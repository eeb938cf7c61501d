"""What the tests of commands share: how to run one, and files to give it."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

import lenetshift
from lenetshift.cli import command
from lenetshift.models.table import ARCHITECTURES
from lenetshift.reproduce.checkpoints import Checkpoint, save_checkpoint
from lenetshift.storage.sealed import seal

ROOT = Path(__file__).parents[2]


def run(
    *arguments: object, main: Callable[[list[str]], int] = command.main
) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command in this process."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2)]
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        status = main([str(argument) for argument in arguments])
    for stream in streams:
        stream.seek(0)  # flushes it, too
    return status, streams[0].read(), streams[1].read()


def python(
    *arguments: object, env: Mapping[str, str | None] | None = None, **how: Any
) -> subprocess.CompletedProcess[str]:
    """A process that finds this package in any folder; None in ``env`` removes a name."""
    package = str(Path(lenetshift.__file__).parents[1])
    changed = {**os.environ, "PYTHONPATH": package, **(env or {})}
    settings = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 300, **how}
    environment = {name: value for name, value in changed.items() if value is not None}
    return subprocess.run([sys.executable, *map(str, arguments)], env=environment, **settings)


def write_checkpoint(folder: Path, model: str, **changes: Any) -> Path:
    """Write the checkpoint of an untrained model, and return its path."""
    built = lenetshift.build_model(ARCHITECTURES[model], seed=3)
    settings = lenetshift.Config().to_dict()
    (folder / "checkpoints").mkdir(exist_ok=True)
    values: dict[str, Any] = {"settings": settings, "state_dict": built.state_dict(), **changes}
    save_checkpoint(folder, Checkpoint(model=model, **values))
    return folder / "checkpoints" / f"{model}.pt"


class Code:
    """Runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def pickled(path: Path, executed: Path) -> Path:
    """A file of torch's that runs code when it is unpickled, sealed like a checkpoint."""
    torch.save({"schema": 2, "model": "mlp", "weights": Code(executed)}, path)
    path.write_bytes(seal(path.read_bytes()))
    return path
