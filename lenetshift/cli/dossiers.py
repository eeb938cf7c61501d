"""The dossier of a study that ``report.html`` shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..checks.errors import Differs, UsageError


def dossier_about(folder: Path | None, sha256: Mapping[str, str]) -> dict[str, Any] | None:
    """The dossier in the folder of ``--study``, if one is given; UsageError unless it is about data with
    these hashes."""
    if folder is None:
        return None
    from ..study.verification import read_dossier  # a fifth of a second to import

    try:
        dossier = read_dossier(folder)
    except Differs as error:
        raise UsageError(f"argument --study: {error}") from error
    if dossier["data_sha256"] != dict(sha256):
        raise UsageError(f"argument --study: {folder} is about other data than this run")
    return dossier
