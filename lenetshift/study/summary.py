"""A dossier's summary: everything except the results of each run; small enough to be kept with code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..checks.errors import StorageError
from ..storage.files import read_file, write_text
from ..storage.schemas import checked_json, schema

SCHEMA_FILE = Path(__file__).with_name("schema.json")
"""The JSON schema of a dossier."""

SUMMARY = "summary.json"


def summarize_dossier(dossier: bytes) -> dict[str, Any]:
    """``dossier.json`` with the number of its runs instead of the runs, and its SHA-256.

    The summaries of single settings of the experiment ``settings`` are left out: it has their trajectories.
    """
    value = json.loads(dossier)
    kept = {name: item for name, item in value.items() if name != "runs"}
    kept["summaries"] = [r for r in value["summaries"] if r["experiment"] != "settings"]
    return {
        "dossier_sha256": hashlib.sha256(dossier).hexdigest(),
        "n_runs": len(value["runs"]),
        **kept,
    }


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write it with one line for each item of its lists."""
    parts = []
    for name, item in summary.items():
        if isinstance(item, list) and item and isinstance(item[0], dict):
            rows = ",\n".join(f"  {json.dumps(row)}" for row in item)
            parts.append(f" {json.dumps(name)}: [\n{rows}\n ]")
        else:
            parts.append(f" {json.dumps(name)}: {json.dumps(item)}")
    write_text(path, "{\n" + ",\n".join(parts) + "\n}\n")


def read_summary(path: Path) -> dict[str, Any]:
    """What :func:`write_summary` wrote; StorageError if it cannot be read or has another layout."""
    contents = read_file(path)
    try:
        value: dict[str, Any] = checked_json(contents, summary_schema())
    except ValueError as error:
        raise StorageError(f"{path}: {error}") from error
    return value


def summary_schema() -> dict[str, Any]:
    """The JSON schema of a summary: that of a dossier, with what replaces its runs."""
    of_dossier = schema(SCHEMA_FILE)
    properties = {name: item for name, item in of_dossier["properties"].items() if name != "runs"}
    properties |= {"dossier_sha256": {"$ref": "#/$defs/sha256"}, "n_runs": {"type": "integer"}}
    return {**of_dossier, "properties": properties, "required": list(properties)}
