"""Whether a dossier agrees with itself: everything that it publishes is recomputed from its predictions, its
losses and the data. Whether networks gave these is the matter of :mod:`lenetshift.study.repetition`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..checks.errors import Differs as Differs
from ..checks.errors import StorageError
from ..checks.text import one_line
from ..storage.files import read_file, read_file_if_any
from ..storage.folder import STUDY
from ..storage.schemas import checked_json, schema, shown
from ..storage.sealed import unpack_arrays
from .contents import contents
from .experiments import EXPERIMENTS
from .facts.agreement import first_difference
from .plans import Plan
from .publish import DOSSIER, LABELS, SUMS, file_sha256, published, tables
from .run_files import layout_of, read_weights, unlisted
from .summary import SCHEMA_FILE

_RELATIVE = 1e-9  # sums in another order, quantiles of another SciPy

_NOT_FINITE = re.compile(r",(nan|-?inf)$", re.MULTILINE)
"""The loss of a training that diverged, as earlier versions wrote it at the end of a line of runs.csv."""


def verify(folder: Path, data: Path | None = None) -> dict[str, Any]:
    """Check a dossier and return what ``dossier.json`` holds. No network is run.

    Args:
        folder: of the study.
        data: folder of the IDX files that the study used; None for the packaged MNIST.

    Raises:
        Differs: schema, plan, data, a file's hash, a number, an interval or a verdict is not as
            recomputed, or ``runs/`` has a file that the dossier does not list.
        StorageError: a file is missing, damaged, or of another version than this.
        DataError: the data cannot be read.
    """
    value = read_dossier(folder)
    plan = plan_of(value, data)
    _check_runs(folder, value, plan)
    _compare("data_sha256", value["data_sha256"], plan.data_sha256())
    _check_labels(folder, plan)
    ground = value["ground"]
    now = plan.ground()
    _compare("ground", ground, {**ground, **{k: now[k] for k in ("data", "n_train", "n_test")}})
    recomputed = json.loads(json.dumps(contents(plan, folder, ground)))
    _compare("runs", value["runs"], recomputed["runs"])  # everything else follows from these
    _compare_facts(value["facts"], recomputed.pop("facts"))
    _compare("", {name: value[name] for name in recomputed}, recomputed)
    for name, text in tables(value).items():
        written = read_file_if_any(folder / name)
        if written is None or _NOT_FINITE.sub(",", written.decode(errors="replace")) != text:
            raise Differs(f"{name}: it is not the table that {DOSSIER} gives")
    _check_sums(folder, value)
    _check_weights(folder, value, plan)
    return value


def others(folder: Path, value: Mapping[str, Any]) -> list[str]:
    """What else lies in the folder of a verified dossier: it is left alone, and says nothing of the study."""
    own = {SUMS, STUDY.subfolder, *(Path(name).parts[0] for name in _read_sums(folder))}
    return sorted(path.name for path in folder.iterdir() if path.name not in own)


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
    """The plan that a dossier says it carried out; Differs if there is no such plan, or if it has another
    number of runs than the dossier lists. Both are seen before a plan's runs are made."""
    study, n_listed = value["study"], len(value["runs"])
    try:
        plan = Plan(
            study["seeds"], tuple(study["experiments"]), study["quick"], data, study["thorough"]
        )
    except ValueError as error:
        raise Differs(f"{DOSSIER}: study: {one_line(error)}") from error
    in_order = [name for name in EXPERIMENTS if name in plan.experiments]
    _compare("study.experiments", study["experiments"], in_order)
    if plan.n_runs != n_listed:
        raise Differs(
            f"{DOSSIER}: runs: got {n_listed} items, recomputed {plan.n_runs}, those of the plan in study"
        )
    return plan


def _check_runs(folder: Path, value: Mapping[str, Any], plan: Plan) -> None:
    """The dossier lists the runs of its plan, and ``runs/`` has their files and no others."""
    planned = [{"name": run.name, "run": run.to_dict()} for run in plan.runs]
    listed = [{"name": item["name"], "run": item["run"]} for item in value["runs"]]
    _compare("runs", listed, planned)
    if more := unlisted(folder, plan.runs):
        count = f"{len(more)} files, such as {more[0]}" if len(more) > 1 else more[0]
        raise Differs(
            f"{one_line(count)}: not of the runs that {DOSSIER} lists; `study --resume` with all "
            "experiments and seeds lists them, and any other file belongs elsewhere"
        )


def _check_weights(folder: Path, value: Mapping[str, Any], plan: Plan) -> None:
    """Each run's weights are those of its network, and as many as stated."""
    for run, item in zip(plan.runs, value["runs"], strict=True):
        read_weights(folder, run)
        n_parameters = layout_of(run).parameters
        _compare(f"runs[{run.name}].parameters", item["parameters"], n_parameters)


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
    sums = _read_sums(folder)
    for name in published(value):
        if name not in sums:
            raise Differs(f"{SUMS}: got no line for {name}, expected one")
    for name, digest in sums.items():
        if not name or "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise Differs(f"{SUMS}: got {name!r}, expected a file of the folder")
        if file_sha256(folder / name) != digest:
            raise Differs(f"{name}: its SHA-256 is not the one in {SUMS}")


def _read_sums(folder: Path) -> dict[str, str]:
    """File name -> SHA-256, as the sums list them."""
    text = read_file_if_any(folder / SUMS)
    if text is None:
        raise StorageError(f"{folder / SUMS}: got no file, expected one: the study is not complete")
    sums: dict[str, str] = {}
    for line in text.decode(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        if name in sums:
            raise Differs(f"{SUMS}: got two lines for {one_line(name)}, expected one")
        sums[name] = digest
    return sums


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
        raise Differs(
            f"{DOSSIER}: {where}: got {one_line(shown(recorded))}, recomputed {one_line(shown(recomputed))}"
        )


def _compare_facts(recorded: Any, recomputed: Any) -> None:
    """Raise Differs at the first place where facts differ by more than rounding explains."""
    try:
        differs = first_difference(recorded, recomputed, "facts")
    except ValueError as error:  # a number that is none
        differs = str(error)
    if differs:
        raise Differs(f"{DOSSIER}: {one_line(differs)}")


def _equal(recorded: Any, recomputed: Any) -> bool:
    if isinstance(recomputed, float) and not math.isfinite(recomputed):
        return recorded is None  # JSON has no such number
    numbers = all(
        isinstance(item, (int, float)) and not isinstance(item, bool)
        for item in (recorded, recomputed)
    )
    if numbers:
        try:
            return math.isclose(recorded, recomputed, rel_tol=_RELATIVE, abs_tol=_RELATIVE)
        except OverflowError:  # a whole number that no float can hold
            return False
    return type(recorded) is type(recomputed) and recorded == recomputed
