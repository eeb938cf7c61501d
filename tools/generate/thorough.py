"""Writes a page about all settings that a thorough study tries: docs/reproduction/thorough.md.

python -m lenetshift.study --thorough --experiments settings --out study
python tools/generate/thorough.py study
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import reproduction_numbers
from reproduction import KEPT, origin
from reproduction_format import table
from reproduction_tables import nearest_settings

from lenetshift.models.table import DISPLAY_NAMES
from lenetshift.storage.files import write_text
from lenetshift.study.experiments import settings
from lenetshift.study.experiments.table import MODELS
from lenetshift.study.publish import DOSSIER
from lenetshift.study.summary import summarize_dossier
from lenetshift.study.verification import verify


def page(summary: Mapping[str, Any]) -> str:
    """The page.

    Args:
        summary: of :func:`lenetshift.study.summary.summarize_dossier`, of a thorough study of the experiment
            settings.
    """
    return "\n\n".join(_paragraphs(summary)) + "\n"


def _paragraphs(summary: Mapping[str, Any]) -> Iterator[str]:
    yield "# Every setting that was tried"
    yield (
        "The report does not give its settings. Here are all those that we tried, and how near each comes to "
        "Table 1's eight accuracies: more of them than a study tries at its defaults, whose numbers "
        "[REPRODUCTION.md](../../REPRODUCTION.md) has and whose words it explains. This page is written by "
        "`python tools/generate/thorough.py`."
    )
    yield origin(summary)
    yield "## The nearest"
    yield nearest_settings(summary)
    yield (
        "After equal numbers of epochs, where both read 90 % of the unmoved digits, LeNet-5 is ahead of the "
        f"symmetric one by at most {reproduction_numbers.largest_gap(summary)} points on the moved ones; "
        f"by {reproduction_numbers.report_gap(summary)} in the report."
    )
    yield "## All"
    yield (
        "For each setting, the numbers of epochs of Models 0 / 1 / 2 / 3 that come nearest, and the root "
        "mean square of the differences from the report, in points. One seed each. A kind of training "
        "that is not for all four models is compared with the rows of those that it is for, which "
        "stand beside its name."
    )
    yield _all_settings(summary)


def _all_settings(summary: Mapping[str, Any]) -> str:
    words = settings.words_of_settings()
    rows = [
        (words[name] + _models(of), *_nearest_of(name, of))
        for name, of in summary["settings"]["trajectories"].items()
        if not name.endswith("_held_out")
    ]
    kinds = settings.KINDS[:3]
    head = [cell for kind in kinds for cell in (kind, "off by")]
    return table(("setting", "most epochs", *head), sorted(rows, key=lambda row: float(row[5])))


def _models(of: Mapping[str, Any]) -> str:
    """Which models, unless all."""
    names = [DISPLAY_NAMES[model] for model in of]
    return "" if len(names) == len(MODELS) else f" ({', '.join(names)})"


def _nearest_of(name: str, of: Mapping[str, Any]) -> Iterator[str]:
    """The most epochs; for each kind, numbers of epochs and distance."""
    yield str(max(len(curve["loss"]) for curve in of.values()))
    losses = {model: np.array(curve["loss"]) for model, curve in of.items()}
    for found in settings.by_kind(name, settings.columns(of), losses).values():
        yield " / ".join(str(epoch) for epoch in found.epochs.values())
        yield f"{found.distance:.1f}"


def write(dossier: Path) -> None:
    """Verify a dossier, and write the page."""
    value = verify(dossier)
    if not value["study"]["thorough"]:
        raise SystemExit(f"{dossier}: got a study that is not thorough, expected one that is")
    summary = summarize_dossier((dossier / DOSSIER).read_bytes())
    KEPT.mkdir(parents=True, exist_ok=True)
    write_text(KEPT / "thorough.md", page(summary))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
