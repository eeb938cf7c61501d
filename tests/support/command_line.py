"""What the tests of commands share: to run one, and files to give it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import lenetshift
from lenetshift.cli import command
from lenetshift.cli.checkup.finding import Finding
from lenetshift.models.table import ARCHITECTURES
from lenetshift.reproduce.checkpoints import Checkpoint, save_checkpoint
from lenetshift.storage.sealed import seal

ROOT = Path(__file__).parents[2]


def run(
    capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:  # status, output, errors
    status = command.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def python(
    *arguments: object, env: Mapping[str, str | None] | None = None, **how: Any
) -> subprocess.CompletedProcess[str]:
    """A process that finds this package in any folder; its environment is this one's with changes, None
    for what it lacks."""
    package = str(Path(lenetshift.__file__).parents[1])
    changed = {**os.environ, "PYTHONPATH": package, **(env or {})}
    settings = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 300, **how}
    environment = {name: value for name, value in changed.items() if value is not None}
    return subprocess.run([sys.executable, *map(str, arguments)], env=environment, **settings)


def write_checkpoint(folder: Path, model: str, **changes: Any) -> Path:
    """What a run keeps of an untrained model: its path."""
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
    """A file of torch's that runs code where it is unpickled, sealed as a checkpoint is."""
    torch.save({"schema": 2, "model": "mlp", "weights": Code(executed)}, path)
    path.write_bytes(seal(path.read_bytes()))
    return path


def no_probe(_: list[str]) -> list[Finding]:
    """In the place of the process that doctor starts."""
    return [Finding("core", "nothing is tried", "nothing")]
