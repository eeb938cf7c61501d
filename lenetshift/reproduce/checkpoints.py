"""Checkpoints: the only files that a reproduction reads back.

They hold everything that is costly: weights, losses, predictions. All other files are derived from them.
Whatever is read back is checked first: the file by the SHA-256 at its end, its entries by name, type and
shape. A file that fails is refused in one line. Nothing in a file can run code: it is read by
:mod:`lenetshift.storage.untrusted`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checks.describe import describe
from ..checks.errors import ArgumentError, StorageError
from ..checks.text import one_line
from ..checks.types import check_choice
from ..models.build import build_model
from ..models.table import ARCHITECTURES
from ..ops.activations import ACTIVATIONS
from ..storage.files import read_file, read_file_if_any, write_atomically
from ..storage.sealed import check_same, check_stored, pack_tensors, unpack_tensors
from ..study.experiments.runs import RunState

SCHEMA = 2
"""Version of the layout of ``results.json``, ``predictions.npz`` and the checkpoints."""

_ENTRIES: dict[str, tuple[type, ...]] = {
    "schema": (int,),
    "model": (str,),
    "settings": (dict,),
    "state_dict": (dict,),
    "losses": (list,),
    "training_seconds": (float,),
    "predictions": (Tensor, type(None)),
    "evaluation_seconds": (float, type(None)),
    "note": (str,),
}
"""The types of a checkpoint's entries: all must be there, and no other."""

_GUESSING = math.log(10)
"""The mean cross-entropy of ten equal probabilities."""

_ASTRAY = 10 * _GUESSING


@dataclass(kw_only=True)
class Checkpoint(RunState):
    """Everything known of one model's run: enough to go on, and to derive every result.

    Attributes:
        model: the model's name.
        settings: what decides the outcome, name to plain value; a reproduction only goes on from a
            checkpoint whose settings equal its own.
        note: says that the data are a subset; empty for the whole data.
    """

    model: str
    settings: dict[str, Any]
    note: str = ""

    def evaluated(self) -> Tensor:
        """The predictions; ValueError if there are none yet."""
        if self.predictions is None:
            raise ValueError(f"checkpoint: {self.model} is not evaluated, expected predictions")
        return self.predictions

    def divergence(self) -> str:
        """How training diverged, such as "loss nan at step 3 of epoch 1"; empty if it did not.
        It did if a number is not finite, or if the loss ends far above that of guessing: the answers of
        weights that large depend on the last steps alone."""
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

    def caveat(self) -> str:
        """The line below a figure of the answers: the note, and that training diverged; may be empty."""
        diverged = "Training diverged: the answers mean nothing." if self.divergence() else ""
        return f"{self.note} {diverged}".strip()


def checkpoint_path(folder: Path, model: str) -> Path:
    """Where the checkpoint of ``model`` lies in a result folder."""
    return folder / "checkpoints" / f"{model}.pt"


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoints/<model>.pt`` atomically, as a dict with all fields and ``schema``.

    ``torch.load(path, weights_only=True)["state_dict"]`` gives the weights.
    """
    weights = {name: weight.detach().cpu() for name, weight in checkpoint.state_dict.items()}
    values = {"schema": SCHEMA, **vars(checkpoint), "state_dict": weights}
    sealed = pack_tensors({name: values[name] for name in _ENTRIES})
    write_atomically(checkpoint_path(folder, checkpoint.model), lambda file: file.write(sealed))


def load_checkpoint(
    folder: Path, model: str, settings: dict[str, Any], n_steps: int, answers: tuple[int, ...]
) -> Checkpoint | None:
    """Read a model's checkpoint, or None if there is none.

    Args:
        folder: the result folder.
        model: the model's name.
        settings: the reproduction's own.
        n_steps: the steps of an epoch.
        answers: the shape of the predictions, (n_rows, n_dy, n_dx).

    Raises:
        StorageError: the file cannot be read, is damaged, of another model or another version, was
            written under other settings, or lacks what a reproduction goes on from.
    """
    path = checkpoint_path(folder, model)
    sealed = read_file_if_any(path)
    if sealed is None:
        return None
    try:
        checkpoint = _unpack(sealed)
        if checkpoint.model != model:
            raise ArgumentError("model", repr(checkpoint.model), repr(model))
        check_same("settings", checkpoint.settings, settings)
        _check_state(checkpoint, n_steps, answers)
        n_epochs, epochs = len(checkpoint.losses), settings["epochs"]
        if n_epochs > epochs:
            raise ArgumentError("losses", f"{n_epochs} epochs", f"at most {epochs}")
        if checkpoint.predictions is not None and n_epochs != epochs:
            got = f"them after {n_epochs} of {epochs} epochs"
            raise ArgumentError("predictions", got, "them after all")
    except ValueError as error:
        raise StorageError(
            f"{path}: {one_line(error)}; delete it, or start without --resume"
        ) from error
    return checkpoint


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint for what it holds, whatever settings it was written under.

    Raises:
        StorageError: the file cannot be read, is not a checkpoint of this version, or is damaged.
    """
    sealed = read_file(path)
    try:
        checkpoint = _unpack(sealed)
        check_choice("model", checkpoint.model, ARCHITECTURES)
        activation: Any = checkpoint.settings.get("activation")
        check_choice("activation", activation, ACTIVATIONS)
        _check_state(checkpoint, None, (None, None, None))
    except ValueError as error:
        raise StorageError(f"{path}: {one_line(error)}") from error
    return checkpoint


def weights_of(model: str, activation: str) -> dict[str, Tensor]:
    """The names, shapes and dtypes of a model's weights, as tensors without values."""
    with torch.device("meta"):
        return build_model(ARCHITECTURES[model], activation).state_dict()


def _unpack(sealed: bytes) -> Checkpoint:
    """The checkpoint of a file's contents; ValueError unless it has the entries of one."""
    content = unpack_tensors(sealed)
    if type(content) is not dict:
        raise ValueError(f"got {describe(content)}, expected a dict")
    for name in (*_ENTRIES, *content):
        if name not in content:
            raise ValueError(f"got no {name}, expected one")
        if name not in _ENTRIES:
            raise ValueError(f"got {name!r}, expected {', '.join(_ENTRIES)} only")
        if not isinstance(content[name], _ENTRIES[name]):
            types = " or ".join(expected.__name__ for expected in _ENTRIES[name])
            raise ArgumentError(name, describe(content[name]), types)
    if content["schema"] != SCHEMA:
        raise ArgumentError("schema", repr(content["schema"]), repr(SCHEMA))
    if not _can_be_json(content["settings"]):
        raise ArgumentError("settings", "values that JSON cannot hold", "plain ones")
    return Checkpoint(**{name: value for name, value in content.items() if name != "schema"})


def _check_state(state: Checkpoint, n_steps: int | None, answers: tuple[int | None, ...]) -> None:
    """Raise ValueError unless the weights are the model's, and losses and predictions have these shapes, in
    which None is any size."""
    weights = weights_of(state.model, state.settings["activation"])
    if state.state_dict.keys() != weights.keys():
        raise ArgumentError("state_dict", str(list(state.state_dict)), str(list(weights)))
    for name, weight in weights.items():
        dtype = str(weight.dtype).removeprefix("torch.")
        check_stored(f"state_dict[{name!r}]", state.state_dict[name], dtype, weight.shape)
    for epoch, loss in enumerate(state.losses):
        check_stored(f"losses[{epoch}]", loss, "float32", (n_steps,))
    if (state.predictions is None) != (state.evaluation_seconds is None):
        raise ValueError("got one of predictions and evaluation_seconds, expected both or neither")
    if state.predictions is not None:
        check_stored("predictions", state.predictions, "uint8", answers)


def _can_be_json(value: object) -> bool:
    """Whether JSON can hold a value: two such values can be compared."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError, RecursionError):  # a tensor, a list in itself, one too deep
        return False
