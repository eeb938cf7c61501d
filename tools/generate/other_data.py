"""Writes a page about the study on other data: docs/reproduction/NAME/index.md, with its figures and summary.

    python -m lenetshift.study --data DIR --experiments table convolution position_bias --out study
    python tools/generate/other_data.py [study DIR] "Fashion-MNIST"

Without a dossier and its data, uses the stored summary, and judges its values by the present rules.
The report's numbers are about MNIST, so that Table 1 has no verdicts here; the rules for the parts of its
claims are the same.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import reproduction_claims
from reproduction import KEPT, draw, origin
from reproduction_format import decimals, interval, table, verdict
from reproduction_values import judged

from lenetshift.models.table import DISPLAY_NAMES
from lenetshift.storage.files import write_text
from lenetshift.study.experiments import EXPERIMENTS
from lenetshift.study.publish import DOSSIER
from lenetshift.study.summary import SUMMARY, read_summary, summarize_dossier, write_summary
from lenetshift.study.verification import verify


def file_name(name: str) -> str:
    """A data set's name as files have it: ``fashion-mnist``."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def page(summary: Mapping[str, Any], name: str, mnist: Mapping[str, Any]) -> str:
    """The page.

    Args:
        summary: of :func:`lenetshift.study.summary.summarize_dossier`.
        name: of the data set, for readers.
        mnist: the summary of the study on MNIST.
    """
    return "\n\n".join(_paragraphs(summary, name, mnist)) + "\n"


def _paragraphs(summary: Mapping[str, Any], name: str, mnist: Mapping[str, Any]) -> Iterator[str]:
    yield f"# The study on {name}"
    yield (
        "The report is about MNIST. Here the same networks learn other images, under the same shifts and the "
        "same rules for its claims; [REPRODUCTION.md](../../../REPRODUCTION.md) says what the words mean. "
        "Where they say *digits*, read *images*; 2 and 3 are the classes of these numbers. Only what these "
        "experiments test is here, and a claim's verdict is that of its parts that are here. This page is "
        "written by `python tools/generate/other_data.py`."
    )
    yield origin(summary)
    yield "## Beside MNIST"
    yield (
        "The verdict on each part, and its main look, with the interval of 95 %. A part is "
        "judged by all its looks; *depends* says that they differ."
    )
    yield _beside(summary, name, mnist)
    if summary["table"] is not None:
        yield "## Accuracy"
        yield "Per cent right; mean ± standard deviation over seeds, and where 95 % of runs lie."
        yield _cells(summary)
    for claim in summary["claims"]:
        parts = _tested(claim)
        if parts:
            yield f"## Claim {claim['claim']}"
            yield reproduction_claims.claim({**claim, "parts": parts, "verdict": _of_parts(parts)})
    for experiment in summary["study"]["experiments"]:
        if experiment != "table":
            yield f"![{EXPERIMENTS[experiment].shows}]({experiment}.png)"


def _tested(claim: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [part for part in claim["parts"] if part["looks"]]


def _beside(summary: Mapping[str, Any], name: str, mnist: Mapping[str, Any]) -> str:
    """A row for each part that was tested."""
    there = {part["name"]: part for claim in mnist["claims"] for part in claim["parts"]}
    rows = [
        (claim["claim"], part["hypothesis"], *_in_short(there[part["name"]]), *_in_short(part))
        for claim in summary["claims"]
        for part in _tested(claim)
    ]
    return table(("claim", "hypothesis", "MNIST", "main look", name, "main look"), rows)


def _in_short(part: Mapping[str, Any]) -> tuple[str, str]:
    look = part["looks"][0]
    number = (
        "" if look["value"] is None else f"{decimals(look['value'])} {interval(look['interval'])}"
    )
    return verdict(part["verdict"]), number


def _of_parts(parts: list[Mapping[str, Any]]) -> str | None:
    words = {part["verdict"] for part in parts}
    return words.pop() if len(words) == 1 else "partly"


def _cells(summary: Mapping[str, Any]) -> str:
    rows = [
        (
            DISPLAY_NAMES[cell["model"]],
            cell["column"],
            cell["n"],
            f"{cell['mean']:.1f} ± {cell['sd']:.1f}",
            interval(cell["interval"]),
        )
        for cell in summary["table"]["cells"]
    ]
    return table(("model", "images", "seeds", "ours", "95 % of runs"), rows)


def keep(dossier: Path, data: Path, name: str) -> None:
    """Verify a dossier, and store its summary."""
    verify(dossier, data)
    folder = KEPT / file_name(name)
    folder.mkdir(parents=True, exist_ok=True)
    write_summary(folder / SUMMARY, summarize_dossier((dossier / DOSSIER).read_bytes()))


def write(name: str) -> None:
    """Judge the stored summary by the present rules, and write its page and figures."""
    folder = KEPT / file_name(name)
    summary = judged(read_summary(folder / SUMMARY))
    write_summary(folder / SUMMARY, summary)
    draw(summary, folder)
    (folder / "table.png").unlink(missing_ok=True)  # it shows the report's numbers
    mnist = read_summary(KEPT / SUMMARY)
    write_text(folder / "index.md", page(summary, name, mnist))


if __name__ == "__main__":
    *of_dossier, title = sys.argv[1:]
    if of_dossier:
        keep(*map(Path, of_dossier), title)
    write(title)
