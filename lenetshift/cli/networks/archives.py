"""Networks in one file with their code and weights: TorchScript, and what ``torch.export`` writes.

To load such a file runs the code in it.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path

import torch
from torch import nn

from ...checks.errors import UsageError
from .files import contents
from .own_code import of_a_person


def load_torchscript(option: str, path: Path) -> tuple[nn.Module, None]:
    """The network that ``torch.jit.save`` wrote, and None: it takes batches of any size.

    Raises:
        UsageError: the file cannot be read, or is not such an archive, in one line that begins with
            ``option``.
    """
    archive = contents(option, path)
    names = _members(archive)
    if not any(name.endswith("/constants.pkl") for name in names):
        raise UsageError(f"{option}: got {_instead(names)}, expected a TorchScript archive")
    with of_a_person(f"{option}: not a TorchScript archive"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as such
        return torch.jit.load(io.BytesIO(archive), map_location="cpu"), None


def load_exported(option: str, path: Path) -> tuple[nn.Module, int | None]:
    """The network that ``torch.export.save`` wrote, and the batch size that it was exported for, None if
    it takes any.

    Raises:
        UsageError: as for :func:`load_torchscript`.
    """
    archive = contents(option, path)
    with of_a_person(f"{option}: not an archive of torch.export"):
        program = torch.export.load(io.BytesIO(archive))
        inputs = [
            node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs
        ]
        shape = inputs[0].meta["val"].shape if inputs else ()
        return program.module(), shape[0] if shape and isinstance(shape[0], int) else None


def _members(archive: bytes) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as file:
            return file.namelist()
    except Exception:  # zipfile can raise anything
        return []


def _instead(names: list[str]) -> str:
    """What a file is that holds no network."""
    if any(name.endswith("data.pkl") for name in names):
        return "what torch.save writes (weights are for --weights, with --model FILE.py:NAME)"
    return "something else"
