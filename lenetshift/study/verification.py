"""Whether a dossier is true: everything it publishes is recomputed from its predictions and the data."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..checks.errors import Differs as Differs
from ..checks.errors import StorageError
from ..storage.files import read_file, read_file_if_any
from ..storage.schemas import checked_json, schema
from ..storage.sealed import unpack_arrays
from .contents import contents
from .experiments.runs import Run, perform
from .plans import Plan
from .publish import DOSSIER, LABELS, SUMS, file_sha256, published, tables
from .run_files import read_run
from .summary import SCHEMA_FILE

_RELATIVE = 1e-9  # sums in another order, quantiles of another SciPy


def verify(folder: Path, data: Path | None = None) -> dict[str, Any]:
    """Check a dossier and return what ``dossier.json`` holds.

    Args:
        folder: of the study.
        data: folder of the IDX files that the study used; None for the packaged MNIST.

    Raises:
        Differs: schema, data, a file's hash, a number, an interval or a verdict is not as recomputed.
        StorageError: a file is missing, damaged, or of another version than this.
        DataError: the data cannot be read.
    """
    value = read_dossier(folder)
    plan = plan_of(value, data)
    _compare("data_sha256", value["data_sha256"], plan.data_sha256())
    _check_labels(folder, plan)
    ground = value["ground"]
    now = plan.ground()
    _compare("ground", ground, {**ground, **{k: now[k] for k in ("data", "n_train", "n_test")}})
    recomputed = json.loads(json.dumps(contents(plan, folder, ground)))
    _compare("runs", value["runs"], recomputed["runs"])  # everything else follows from these
    _compare("", {name: value[name] for name in recomputed}, recomputed)
    for name, text in tables(value).items():
        written = read_file_if_any(folder / name)
        if written is None or written.decode(errors="replace") != text:
            raise Differs(f"{name}: it is not the table that {DOSSIER} gives")
    _check_sums(folder, value)
    return value


def read_dossier(folder: Path) -> dict[str, Any]:
    """``dossier.json``, valid under its schema.

    Raises:
        StorageError: it is missing or cannot be read.
        Differs: it is not JSON, or does not follow the schema.
    """
    contents = read_file(folder / DOSSIER)
    try:
        value: dict[str, Any] = checked_json(contents, schema(SCHEMA_FILE))
    except ValueError as error:
        raise Differs(f"{DOSSIER}: {error}") from error
    return value


def plan_of(value: Mapping[str, Any], data: Path | None = None) -> Plan:
    """The plan that a dossier says it carried out; Differs if there is no such plan."""
    study = value["study"]
    try:
        return Plan(study["seeds"], tuple(study["experiments"]), study["quick"], data)
    except ValueError as error:
        raise Differs(f"{DOSSIER}: study: {error}") from error


def retrain(
    folder: Path, value: Mapping[str, Any], data: Path | None = None
) -> tuple[Run, int, int]:
    """Repeat one run of a verified dossier, drawn at random.

    Returns:
        The run, how many of its predictions differ now, and how many there are. On the same version,
        PyTorch, instruction set and data, none may differ.
    """
    plan = plan_of(value, data)
    run = random.SystemRandom().choice(plan.runs)
    kept = read_run(folder, run, value["ground"])
    assert kept is not None, "verified a moment ago"
    outcome = perform(run, *plan.datasets())
    return run, int((outcome.predictions != kept.predictions).sum()), kept.predictions.size


def _check_labels(folder: Path, plan: Plan) -> None:
    sealed = read_file_if_any(folder / LABELS)
    if sealed is None:
        raise StorageError(f"{folder / LABELS}: got no file, expected one")
    try:
        labels = unpack_arrays(sealed, ("labels",))["labels"]
    except ValueError as error:
        raise Differs(f"{LABELS}: {error}") from error
    expected = plan.datasets()[1].labels.numpy()
    if labels.dtype != np.uint8 or labels.ndim != 1:
        raise Differs(f"{LABELS}: got {labels.dtype} {list(labels.shape)}, expected uint8 [N]")
    if labels.shape != expected.shape:
        raise Differs(f"{LABELS}: got {len(labels)} labels, the data have {len(expected)}")
    wrong = (labels != expected).nonzero()[0]
    if len(wrong):
        at = int(wrong[0])
        raise Differs(f"{LABELS}: label {at} is {labels[at]}, the data have {expected[at]}")


def _check_sums(folder: Path, value: Mapping[str, Any]) -> None:
    """Every file of the dossier is listed in the sums, and has the listed hash."""
    text = read_file_if_any(folder / SUMS)
    if text is None:
        raise StorageError(f"{folder / SUMS}: got no file, expected one: the study is not complete")
    sums = {}
    for line in text.decode(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        sums[name] = digest
    for name in published(value):
        if name not in sums:
            raise Differs(f"{SUMS}: got no line for {name}, expected one")
    for name, digest in sums.items():
        if not name or "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise Differs(f"{SUMS}: got {name!r}, expected a file of the folder")
        if file_sha256(folder / name) != digest:
            raise Differs(f"{name}: its SHA-256 is not the one in {SUMS}")


def _compare(where: str, recorded: Any, recomputed: Any) -> None:
    """Raise Differs at the first place, in the file's order, where two JSON values differ."""
    if isinstance(recorded, dict) and isinstance(recomputed, dict):
        for key in dict.fromkeys([*recomputed, *recorded]):
            inner = f"{where}.{key}" if where else key
            if (key in recorded) != (key in recomputed):
                which = "only recomputed" if key in recomputed else "only in the file"
                raise Differs(f"{DOSSIER}: {inner}: {which}")
            _compare(inner, recorded[key], recomputed[key])
    elif isinstance(recorded, list) and isinstance(recomputed, list):
        if len(recorded) != len(recomputed):
            raise Differs(
                f"{DOSSIER}: {where}: got {len(recorded)} items, recomputed {len(recomputed)}"
            )
        for index, (old, new) in enumerate(zip(recorded, recomputed, strict=True)):
            name = new.get("name", index) if isinstance(new, dict) else index
            _compare(f"{where}[{name}]", old, new)
    elif not _equal(recorded, recomputed):
        raise Differs(f"{DOSSIER}: {where}: got {recorded!r}, recomputed {recomputed!r}")


def _equal(recorded: Any, recomputed: Any) -> bool:
    if isinstance(recomputed, float) and not math.isfinite(recomputed):
        return recorded is None  # JSON has no such number
    numbers = all(
        isinstance(item, (int, float)) and not isinstance(item, bool)
        for item in (recorded, recomputed)
    )
    if numbers:
        return math.isclose(recorded, recomputed, rel_tol=_RELATIVE, abs_tol=_RELATIVE)
    return type(recorded) is type(recomputed) and recorded == recomputed
