"""The two files of one run of a study: its answers, and its weights.

``runs/EXPERIMENT/SETTING.seedN.npz`` holds predictions, losses and settings, compressed, and the SHA-256
of ``runs/EXPERIMENT/SETTING.seedN.pt``, which holds the weights and is written first. Each ends with the
SHA-256 of its contents, as checkpoints do; the same run gives the same bytes. A run is finished when its
``.npz`` is there.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..checks.describe import shown
from ..checks.errors import ArgumentError, StorageError
from ..checks.numbers import is_int
from ..checks.text import one_line
from ..storage.files import read_file_if_any, write_atomically
from ..storage.proofs import check_seal, seal
from ..storage.untrusted import load_arrays, load_json
from .experiments.runs import GRID, Outcome, Run

SCHEMA = 1
"""Version of the layout of a study's files."""

Ground = Mapping[str, Any]
"""What decides a run's outcome beside its settings: versions, instruction set, data."""


@dataclass(frozen=True)
class Kept:
    """What a run's files hold, but for the weights.

    Attributes:
        predictions: uint8 ``[len(run.epochs), N, n_dy, n_dx]``.
        losses: float32 ``[run.epochs[-1], n_steps]``.
        parameters: how many the network has.
        sha256: of the ``.npz``.
        checkpoint_sha256: of the ``.pt``.
    """

    predictions: NDArray[np.uint8]
    losses: NDArray[np.float32]
    parameters: int
    sha256: str
    checkpoint_sha256: str


def answers_path(folder: Path, run: Run) -> Path:
    """Where a run's answers lie."""
    return folder / "runs" / run.experiment / f"{run.setting}.seed{run.seed}.npz"


def weights_path(folder: Path, run: Run) -> Path:
    """Where a run's weights lie."""
    return answers_path(folder, run).with_suffix(".pt")


@dataclass(frozen=True)
class Packed:
    """The contents of a run's two files."""

    answers: bytes
    weights: bytes


def pack(run: Run, ground: Ground, outcome: Outcome) -> Packed:
    """What a run's files will hold; the same outcome gives the same bytes."""
    memory = io.BytesIO()
    torch.save({"schema": SCHEMA, "run": run.to_dict(), "state_dict": outcome.state_dict}, memory)
    weights = seal(memory.getvalue())
    about = {
        "schema": SCHEMA,
        "run": run.to_dict(),
        "ground": dict(ground),
        "parameters": outcome.parameters,
        "checkpoint_sha256": hashlib.sha256(weights).hexdigest(),
    }
    arrays: dict[str, NDArray[Any]] = {
        "predictions": outcome.predictions,
        "losses": outcome.losses,
        "about": np.array(json.dumps(about)),
    }
    return Packed(archive(arrays), weights)


def write_run(folder: Path, run: Run, packed: Packed) -> None:
    """Write both files of a run, each atomically, the answers last."""
    path = answers_path(folder, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(weights_path(folder, run), lambda file: file.write(packed.weights))
    write_atomically(path, lambda file: file.write(packed.answers))


def read_run(folder: Path, run: Run, ground: Ground) -> Kept | None:
    """Read and prove a run's answers, and that its weights are those written with them; None where it is
    not finished.

    Raises:
        StorageError: a file is damaged, missing beside the other, or of another version, machine, data or
            setting, in a line that names it.
    """
    path = answers_path(folder, run)
    sealed = read_file_if_any(path)
    if sealed is None:
        return None
    try:
        arrays = unpack(sealed, ("about", "losses", "predictions"))
        about = load_json(str(arrays["about"]).encode())
        if not isinstance(about, dict):
            raise ArgumentError("about", "no object", "one")
        expected = {"schema": SCHEMA, "run": run.to_dict(), "ground": dict(ground)}
        for name, now in expected.items():
            _check_same(name, about.get(name), now)
        predictions, losses = arrays["predictions"], arrays["losses"]
        n_parameters, weights_sha256 = about.get("parameters"), about.get("checkpoint_sha256")
        if not (is_int(n_parameters) and isinstance(weights_sha256, str)):
            raise ArgumentError(
                "parameters, checkpoint_sha256",
                f"{shown(n_parameters)}, {shown(weights_sha256)}",
                "a whole number and text",
            )
        _check_array("predictions", predictions, np.uint8, (len(run.epochs), None, *GRID.shape))
        _check_array("losses", losses, np.float32, (run.epochs[-1], None))
        kept = Kept(
            predictions,
            losses,
            n_parameters,
            hashlib.sha256(sealed).hexdigest(),
            weights_sha256,
        )
    except ValueError as error:
        raise StorageError(f"{path}: {one_line(error)}") from error
    weights = weights_path(folder, run)
    contents = read_file_if_any(weights)
    if contents is None:
        raise StorageError(f"{weights}: got no file, expected one beside {path.name}")
    if hashlib.sha256(contents).hexdigest() != kept.checkpoint_sha256:
        raise StorageError(f"{weights}: damaged, its SHA-256 is not the one in {path.name}")
    return kept


def archive(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays, compressed as ``numpy.load`` reads them, and sealed; the same arrays give the same bytes
    (``numpy.savez`` writes the time of day)."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as file:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy")
            file.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED)
    return seal(memory.getvalue())


def unpack(sealed: bytes, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The arrays of an archive; ValueError where it is damaged or has others than these."""
    check_seal(sealed)
    arrays = load_arrays(sealed)
    if sorted(arrays) != sorted(names):
        raise ValueError(f"got {', '.join(arrays)}, expected {', '.join(names)}")
    return arrays


def _check_same(name: str, then: Any, now: Any) -> None:
    """Raise ValueError that names the first setting that differs."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted(then.keys() | now.keys()):
            _check_same(f"{name}.{key}", then.get(key), now.get(key))
    elif then != now:
        raise ValueError(f"{name}: was written with {then}, now it is {now}")


def _check_array(
    name: str, array: NDArray[Any], dtype: type, shape: tuple[int | None, ...]
) -> None:
    fits = array.ndim == len(shape) and all(
        want in (None, got) for got, want in zip(array.shape, shape, strict=False)
    )
    if array.dtype != dtype or not fits:
        sizes = ", ".join("N" if size is None else str(size) for size in shape)
        raise ValueError(
            f"{name}: got {array.dtype} {list(array.shape)}, expected {np.dtype(dtype)} [{sizes}]"
        )
