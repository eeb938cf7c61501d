"""Checkpoints: the only files that a run reads back.

They hold everything that is costly (weights, losses, predictions); all other files are derived from
them. Whatever is read back proves itself first: the file by the SHA-256 at its end, its entries by
name, type and shape. What proves wrong is refused in one line. Nothing in a file can run code:
they are read by :mod:`lenetshift.storage.untrusted`.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checks.errors import StorageError
from ..checks.text import one_line
from ..checks.types import check_choice
from ..models.build import build_model
from ..models.table import ARCHITECTURES
from ..ops.activations import ACTIVATIONS
from ..storage.files import read_file, read_file_if_any, write_atomically
from ..storage.proofs import (
    Expectation,
    check_entries,
    check_kept,
    check_progress,
    check_seal,
    check_weights,
    seal,
)
from ..storage.untrusted import load_tensors

SCHEMA = 2
"""Version of the layout of ``results.json``, ``predictions.npz`` and the checkpoints."""


_GUESSING = math.log(10)
"""The mean cross-entropy of ten equal probabilities."""

_ASTRAY = 10 * _GUESSING


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

    def divergence(self) -> str:
        """How training went astray, such as "loss nan at step 3 of epoch 1"; empty where it did not.
        It did where a number is not finite, and where the loss ends far beyond that of guessing: a
        model whose weights have grown that large answers what its last steps made of it."""
        for epoch, losses in enumerate(self.losses, 1):
            steps = (~losses.isfinite()).nonzero()
            if len(steps):
                step = int(steps[0])
                return f"loss {float(losses[step])} at step {step + 1} of epoch {epoch}"
        weights = [name for name, w in self.state_dict.items() if not bool(w.isfinite().all())]
        if weights:
            return f"{weights[0]} is not finite after {len(self.losses)} epochs"
        if self.losses and (last := float(self.losses[-1].median())) > _ASTRAY:
            return (
                f"median loss {last:.3g} in epoch {len(self.losses)}, guessing has {_GUESSING:.3g}"
            )
        return ""


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
    sealed = seal(memory.getvalue())
    write_atomically(checkpoint_path(folder, checkpoint.model), lambda file: file.write(sealed))


def load_checkpoint(folder: Path, model: str, expected: Expectation) -> Checkpoint | None:
    """Read a model's checkpoint, or None when there is none.

    Raises:
        StorageError: the file cannot be read, is damaged, of another model or of another version, was
            written under other settings, or lacks what a run goes on from.
    """
    path = checkpoint_path(folder, model)
    sealed = read_file_if_any(path)
    if sealed is None:
        return None
    try:
        check_seal(sealed)
        content = load_tensors(sealed)
        check_entries(content, SCHEMA, model)
        for name in sorted(content["settings"].keys() | expected.settings.keys()):
            then, now = content["settings"].get(name), expected.settings.get(name)
            if then != now:
                raise StorageError(
                    f"{path} was written with {name} {then}, this run has {name} {now}"
                )
        check_progress(content, expected)
    except ValueError as error:
        raise StorageError(
            f"{path}: {one_line(error)}; delete it, or start without --resume"
        ) from error
    return Checkpoint(**{name: value for name, value in content.items() if name != "schema"})


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint for what it holds, whatever run wrote it.

    Raises:
        StorageError: the file cannot be read, is not a checkpoint of this version, or is damaged.
    """
    sealed = read_file(path)
    try:
        check_seal(sealed)
        content = load_tensors(sealed)
        model: Any = content.get("model") if type(content) is dict else None
        check_choice("model", model, ARCHITECTURES)
        check_entries(content, SCHEMA, model)
        activation = content["settings"].get("activation")
        check_choice("activation", activation, ACTIVATIONS)
        with torch.device("meta"):  # names and shapes only
            weights = build_model(ARCHITECTURES[model], activation).state_dict()
        check_weights(content["state_dict"], weights)
        check_kept(content)
    except ValueError as error:
        raise StorageError(f"{path}: {one_line(error)}") from error
    return Checkpoint(**{name: value for name, value in content.items() if name != "schema"})
