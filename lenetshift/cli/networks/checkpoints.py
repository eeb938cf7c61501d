"""The model of a checkpoint in a result folder."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ...models.build import build_model
from ...models.table import ARCHITECTURES
from ...reproduce.checkpoints import Checkpoint, read_checkpoint


def load_checkpoint_model(path: Path) -> tuple[nn.Module, Checkpoint]:
    """The model of a checkpoint, and the checkpoint.

    Raises:
        StorageError: the file is not a checkpoint of this version, or damaged.
    """
    checkpoint = read_checkpoint(path)
    model = build_model(ARCHITECTURES[checkpoint.model], checkpoint.settings["activation"])
    model.load_state_dict(checkpoint.state_dict)
    return model, checkpoint
