"""Checkpoints: the only files that a run reads back.

They hold everything that is costly (weights, losses, predictions); all other files are derived from
them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .files import StorageError, reason, write_atomically

SCHEMA = 1
"""Version of the layout of ``results.json``, ``predictions.npz`` and the checkpoints."""


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
        raise StorageError(f"cannot read {path}: {reason(error)}") from error
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
