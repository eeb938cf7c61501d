"""A study's published files: ``dossier.json``, its tables as CSV, labels, and the hash of every file.

``SHA256SUMS`` comes last, so a folder that has it is complete; ``sha256sum -c SHA256SUMS`` checks it
without this package.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..checks.text import json_value
from ..storage.environment import environment
from ..storage.files import read_file, write_atomically, write_json, write_text
from ..storage.sealed import pack_arrays
from .contents import contents
from .experiments import EXPERIMENTS
from .plans import Plan

DOSSIER, LABELS, SUMS = "dossier.json", "labels.npz", "SHA256SUMS"
_PRODUCTS = {"table1.csv", *(f"{name}.{kind}" for name in EXPERIMENTS for kind in ("png", "svg"))}
"""Files that a dossier has only if it has their experiment."""


def dossier_of(plan: Plan, folder: Path) -> dict[str, Any]:
    """The contents of ``dossier.json`` for a study whose runs in ``folder`` are finished, as JSON holds them:
    None for the loss of a training that diverged.

    Raises:
        StorageError: as :func:`lenetshift.study.contents.contents`.
    """
    cpu = torch.device("cpu")
    value = {**contents(plan, folder, plan.ground()), "environment": environment(cpu)}
    of_json: dict[str, Any] = json_value(value)
    return of_json


def publish(
    plan: Plan,
    folder: Path,
    value: Mapping[str, Any],
    draw: Callable[[Path, Mapping[str, Any]], Sequence[Path]],
) -> None:
    """Write all published files of a study.

    Args:
        plan: the study's.
        folder: of its run files.
        value: of :func:`dossier_of`.
        draw: writes a dossier's figures into a folder and returns their paths.
    """
    (folder / SUMS).unlink(missing_ok=True)  # from here on the folder is not complete
    labels = pack_arrays({"labels": plan.datasets()[1].labels.numpy().astype(np.uint8)})
    write_atomically(folder / LABELS, lambda file: file.write(labels))
    write_json(folder / DOSSIER, value)
    for name, text in tables(value).items():
        write_text(folder / name, text)
    figures = [path.relative_to(folder).as_posix() for path in draw(folder, value)]
    names = sorted([*published(value), *figures])
    for name in _PRODUCTS.difference(names):  # from an earlier dossier with other experiments
        (folder / name).unlink(missing_ok=True)
    sums = "".join(f"{file_sha256(folder / name)}  {name}\n" for name in names)
    write_text(folder / SUMS, sums)


def published(value: Mapping[str, Any]) -> list[str]:
    """The files of a dossier, except figures and ``SHA256SUMS``."""
    runs = [run[kind] for run in value["runs"] for kind in ("answers", "weights")]
    return [DOSSIER, LABELS, *tables(value), *runs]


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes; StorageError if it cannot be read."""
    return hashlib.sha256(read_file(path)).hexdigest()


def tables(value: Mapping[str, Any]) -> dict[str, str]:
    """File name -> CSV, of a dossier: a header line, numbers as in JSON, empty for null."""
    quick = {"study": "quick: no verdicts"} if value["study"]["quick"] else {}
    parts = [
        {
            **quick,
            **{"claim": claim["claim"], "of_the_claim": claim["verdict"]},
            **{name: part[name] for name in part if name not in ("looks", "verdict")},
            **{"of_the_part": part["verdict"], **look},
        }
        for claim in value["claims"]
        for part in claim["parts"]
        for look in part["looks"] or [{}]  # a part that was not looked at has a line, too
    ]
    runs = [
        {
            **{key: item["run"][key] for key in ("experiment", "setting", "seed")},
            **{"epochs": epochs, "measure": measure, "value": number},
        }
        for item in value["runs"]
        for epochs, measures in item["after_epoch"].items()
        for measure, number in measures.items()
    ]
    summaries = [{**quick, **row} for row in value["summaries"]]
    made = {"claims.csv": parts, "summaries.csv": summaries, "runs.csv": runs}
    if value["table"] is not None:
        made["table1.csv"] = [{**quick, **cell} for cell in value["table"]["cells"]]
    return {name: _csv([_flat(row) for row in rows]) for name, rows in made.items()}


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its interval, if it has one, as two columns."""
    flat: dict[str, Any] = {}
    for name, cell in row.items():
        if name == "interval":
            flat["low"], flat["high"] = cell or (None, None)
        else:
            flat[name] = cell
    return flat


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
