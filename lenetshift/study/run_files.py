"""The two files of one run of a study: its answers and its weights.

``runs/EXPERIMENT/SETTING.seedN.npz`` holds predictions, losses and settings, compressed, and the SHA-256
of ``runs/EXPERIMENT/SETTING.seedN.pt``, which holds the weights and is written first. Each ends with the
SHA-256 of its contents, as checkpoints do; the same run gives the same bytes. A run is finished when its
``.npz`` exists.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..checks.describe import describe, dtype_name, shown
from ..checks.errors import ArgumentError, StorageError
from ..checks.numbers import is_int
from ..checks.text import one_line
from ..storage.files import read_file, read_file_if_any, write_atomically
from ..storage.folder import STUDY
from ..storage.sealed import (
    check_same,
    check_stored,
    pack_arrays,
    pack_tensors,
    unpack_arrays,
    unpack_tensors,
)
from ..storage.untrusted import load_json
from .experiments.networks import trained_parameters
from .experiments.runs import ALL, GRID, Run, network_of
from .experiments.trainings import Outcome

SCHEMA = 2
"""Version of the layout of a study's files."""

N_CLASSES = 10
"""Digits: a prediction is one of 0..9."""

Ground = Mapping[str, Any]
"""What decides a run's outcome besides its settings: versions, instruction set, data."""


@dataclass(frozen=True)
class Kept:
    """What a run's files hold, except for the weights.

    Attributes:
        predictions: uint8 ``[n, N, n_dy, n_dx]``, for each of the epochs or the last.
        accuracies: float64 ``[len(epochs), len(run.accuracies)]`` if only the last predictions are kept, else
            None.
        losses: float32 ``[run.epochs[-1], n_steps]``.
        parameters: how many the network has.
        sha256: of the ``.npz``.
        checkpoint_sha256: of the ``.pt``.
    """

    predictions: NDArray[np.uint8]
    accuracies: NDArray[np.float64] | None
    losses: NDArray[np.float32]
    parameters: int
    sha256: str
    checkpoint_sha256: str


def answers_path(folder: Path, run: Run) -> Path:
    """Where a run's answers lie."""
    return folder / STUDY.subfolder / run.experiment / f"{run.setting}.seed{run.seed}.npz"


def weights_path(folder: Path, run: Run) -> Path:
    """Where a run's weights lie."""
    return answers_path(folder, run).with_suffix(".pt")


def unlisted(folder: Path, runs: Iterable[Run]) -> list[str]:
    """The files under ``runs/`` that are not of these runs, by their paths within the study's folder."""
    files = {path(folder, run) for run in runs for path in (answers_path, weights_path)}
    found = (path for path in (folder / STUDY.subfolder).rglob("*") if not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in found if path not in files)


@dataclass(frozen=True)
class Packed:
    """The contents of a run's two files."""

    answers: bytes
    weights: bytes


def pack(run: Run, ground: Ground, outcome: Outcome) -> Packed:
    """What a run's files will hold; the same outcome gives the same bytes."""
    weights = pack_tensors(
        {"schema": SCHEMA, "run": run.to_dict(), "state_dict": outcome.state_dict}
    )
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
    if outcome.accuracies is not None:
        arrays["accuracies"] = outcome.accuracies
    return Packed(pack_arrays(arrays), weights)


def write_run(folder: Path, run: Run, packed: Packed) -> None:
    """Write both files of a run, each atomically, the answers last."""
    path = answers_path(folder, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(weights_path(folder, run), lambda file: file.write(packed.weights))
    write_atomically(path, lambda file: file.write(packed.answers))


def read_run(folder: Path, run: Run, ground: Ground) -> Kept | None:
    """Read and check a run's answers, and check that its weights are those written with them; None if it
    is not finished.

    Raises:
        StorageError: a file is damaged, missing next to the other, or of another version, machine, data or
            setting, in a line that names it.
    """
    path = answers_path(folder, run)
    sealed = read_file_if_any(path)
    if sealed is None:
        return None
    try:
        all_predictions = run.keeps == ALL
        more = () if all_predictions else ("accuracies",)
        arrays = unpack_arrays(sealed, ("about", "losses", "predictions", *more))
        about = load_json(str(arrays["about"]).encode())
        if not isinstance(about, dict):
            raise ArgumentError("about", "no object", "one")
        expected = {"schema": SCHEMA, "run": run.to_dict(), "ground": dict(ground)}
        for name, now in expected.items():
            check_same(name, about.get(name), now)
        predictions, losses = arrays["predictions"], arrays["losses"]
        n_parameters, weights_sha256 = about.get("parameters"), about.get("checkpoint_sha256")
        if not (is_int(n_parameters) and isinstance(weights_sha256, str)):
            raise ArgumentError(
                "parameters, checkpoint_sha256",
                f"{shown(n_parameters)}, {shown(weights_sha256)}",
                "a whole number and text",
            )
        check_stored("predictions", predictions, "uint8", (run.n_kept, None, *GRID.shape))
        accuracies = None if all_predictions else arrays["accuracies"]
        if accuracies is not None:
            check_stored(
                "accuracies", accuracies, "float64", (len(run.epochs), len(run.accuracies))
            )
            if not np.isfinite(accuracies).all():
                raise ArgumentError("accuracies", "some that are not finite", "finite numbers")
        check_stored("losses", losses, "float32", (run.epochs[-1], None))
        if (largest := int(predictions.max())) >= N_CLASSES:
            raise ArgumentError("predictions", str(largest), f"classes in 0..{N_CLASSES - 1}")
        kept = Kept(
            predictions,
            accuracies,
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
        raise StorageError(f"{weights}: got no file, expected one next to {path.name}")
    if hashlib.sha256(contents).hexdigest() != kept.checkpoint_sha256:
        raise StorageError(f"{weights}: damaged: its SHA-256 is not the one in {path.name}")
    return kept


@dataclass(frozen=True)
class Layout:
    """What the weights of a network are.

    Attributes:
        weights: the state dict of a network that was not trained.
        parameters: how many numbers of it are trained.
    """

    weights: Mapping[str, Tensor]
    parameters: int


def layout_of(run: Run) -> Layout:
    """The names, dtypes and shapes of the weights of a run's network, and the number of its parameters."""
    return _layout_of(run.network, run.activation, run.variant)


@functools.lru_cache(maxsize=1)
def _layout_of(network: str, activation: str, variant: str) -> Layout:
    built = network_of(Run("", "", 0, network, activation=activation, variant=variant))
    return Layout(built.state_dict(), trained_parameters(built))


def read_weights(folder: Path, run: Run) -> dict[str, Tensor]:
    """Read the weights of a finished run, and check that they are weights of its network.

    Raises:
        StorageError: the file is missing, damaged, of another layout, run or network, in a line that names
            it.
    """
    path = weights_path(folder, run)
    sealed = read_file(path)
    try:
        content = unpack_tensors(sealed)
        names = {"schema", "run", "state_dict"}
        if type(content) is not dict or content.keys() != names:
            got = str(list(content)) if type(content) is dict else describe(content)
            raise ValueError(f"got {one_line(got)}, expected a dict of schema, run, state_dict")
        if _json(content["schema"]) != _json(SCHEMA):
            raise ArgumentError("schema", shown(content["schema"]), str(SCHEMA))
        if _json(content["run"]) != _json(run.to_dict()):
            raise ArgumentError("run", "another", run.name)
        weights = content["state_dict"]
        expected = layout_of(run).weights
        if not isinstance(weights, dict) or list(map(str, weights)) != list(expected):
            raise ArgumentError("state_dict", "others", f"the weights {', '.join(expected)}")
        for name, weight in expected.items():
            check_stored(
                f"state_dict[{name!r}]", weights[name], dtype_name(weight.dtype), weight.shape
            )
    except ValueError as error:
        raise StorageError(f"{path}: {one_line(error)}") from error
    return dict(weights)


def _json(value: object) -> str | None:
    """A value as JSON, by which it can be compared whatever it is; None if JSON cannot hold it."""
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return None
