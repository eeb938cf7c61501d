"""Table 1, our numbers next to the report's, as text, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..data.load import MNIST_SHA256
from ..metrics import Counts
from ..models.table import BY_NAME, DISPLAY_NAMES
from ..study.experiments.runs import GRID
from ..study.experiments.table import MISPRINT, PRINTED
from .defaults import CHOSEN, FITTED
from .settings import Config

MISPRINT_NOTE = (
    f"{MISPRINT} The row would also add up with 8783 right answers instead of 8733, but these are 88 %, "
    "and the report prints 87 %."
)
"""Which of the two numbers is wrong, and why."""


@dataclass(frozen=True)
class Row:
    """One line of Table 1: a model's counts, by us or by the report."""

    model: str
    source: str
    """``"ours"`` or ``"report"``."""
    unmoved: Counts
    moved: Counts
    misprint: bool = False

    @property
    def name(self) -> str:
        """The model's name in tables."""
        return DISPLAY_NAMES[self.model]

    @property
    def parts(self) -> list[tuple[Counts, str, str]]:
        """Unmoved, then moved: the counts, an asterisk if the report misprinted them, and the accuracy in per
        cent: ours to a tenth, the report's as it printed it, whole."""
        digits = 0 if self.source == "report" else 1
        return [
            (counts, star, f"{100 * counts['accuracy']:.{digits}f} %")
            for counts, star in ((self.unmoved, "*" * self.misprint), (self.moved, ""))
        ]


def table_rows(results: Mapping[str, Mapping[str, Any]], *, with_report: bool = True) -> list[Row]:
    """The rows of Table 1: for each model ours, then the report's if it has one.

    Args:
        results: per model name a mapping with ``unmoved`` and ``moved``, each
            ``{"correct", "wrong", "accuracy"}`` (counts, and a fraction).
        with_report: whether to put the report's rows next to ours; they are about MNIST only.
    """
    rows = []
    for model in [name for name in DISPLAY_NAMES if name in results]:
        rows.append(Row(model, "ours", results[model]["unmoved"], results[model]["moved"]))
        if with_report and model in PRINTED:
            printed = PRINTED[model]
            unmoved, moved = (
                Counts(correct=correct, wrong=wrong, accuracy=accuracy)
                for correct, wrong, accuracy in (printed.unmoved, printed.moved)
            )
            rows.append(Row(model, "report", unmoved, moved, printed.misprint))
    return rows


def misprint_note(rows: Sequence[Row]) -> str:
    """:data:`MISPRINT_NOTE`, with a remark if our run happens to have the number that is not taken."""
    taken = any(
        row.source == "ours" and row.model == "pooled_mlp" and row.unmoved["correct"] == 8783
        for row in rows
    )
    return MISPRINT_NOTE + (" That this run has 8783 right answers too is chance." if taken else "")


def _notes(rows: Sequence[Row], note: str) -> list[str]:
    misprint = [f"* {misprint_note(rows)}"] if any(row.misprint for row in rows) else []
    return misprint + ([note] if note else [])


def format_text(rows: Sequence[Row], title: str, note: str = "") -> str:
    """Table 1 for a terminal: at most 100 columns, a model's rows together, notes below."""
    name_width = max([len(row.name) for row in rows], default=0)
    # An asterisk hangs to the right of its number, so that the digits stay aligned.
    lines = [
        title,
        "",
        f"{'':{name_width}}  {'':6}  {'unmoved':^26}   {'moved':^26}",
        f"{'model':{name_width}}  {'':6}" + f"  {'correct':>8} {'wrong':>7}  {'accuracy':>8}" * 2,
    ]
    previous = ""
    for row in rows:
        name = row.name if row.model != previous else ""
        if name and previous:
            lines.append("")
        line = f"{name:{name_width}}  {row.source:6}"
        for part, star, accuracy in row.parts:
            line += f"  {part['correct']:>8} {part['wrong']:>7}{star or ' '} {accuracy:>8}"
        lines.append(line)
        previous = row.model
    notes = []
    for text in _notes(rows, note):
        indent = "  " if text.startswith("*") else ""
        notes += textwrap.wrap(text, width=98, subsequent_indent=indent)
    return "\n".join([*lines, "", *notes]).rstrip("\n") + "\n"


def format_markdown(rows: Sequence[Row], title: str, note: str = "") -> str:
    """Table 1 in Markdown, with the columns of the report's own table."""
    header = ["model", "", "correct", "wrong", "accuracy"]
    header += ["correct (moved)", "wrong (moved)", "accuracy (moved)"]
    lines = [f"**{title}**", "", _pipes(header), "|---|---|" + "---:|" * 6]
    for row in rows:
        cells = [row.name, row.source]
        for part, star, accuracy in row.parts:
            cells += [str(part["correct"]), str(part["wrong"]) + star.replace("*", "\\*"), accuracy]
        lines.append(_pipes(cells))
    for text in _notes(rows, note):
        lines += ["", text.replace("*", "\\*", 1) if text.startswith("*") else text]
    return "\n".join(lines) + "\n"


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def format_position_bias(value: Mapping[str, Any]) -> str:
    """The second experiment for a terminal, from what ``results.json`` holds; may be empty."""
    lines = [
        f"Position-biased LeNet-5: of all test images moved by dx {answer['dx']}, "
        f"dy {answer['dy']}, {answer['fraction']:.1%} are answered {answer['digit']}"
        for answer in value.get("position_bias", ())
    ]
    dx, dy = value["config"]["grid"]["dx"], value["config"]["grid"]["dy"]
    for figure in value.get("figures", ()):
        answers, label = figure["predictions"], figure["label"]
        n_right = sum(answer == label for row in answers for answer in row)
        unmoved = answers[-dy[0]][-dx[0]]
        lines.append(
            f"Figure {figure['figure']}: test image {figure['index']}, label {label}, unmoved "
            f"answered {unmoved} ({'right' if unmoved == label else 'wrong'}), right at {n_right} "
            f"of {len(answers) * len(answers[0])} shifts"
        )
    return "".join(line + "\n" for line in lines)


def format_csv(rows: Sequence[Row], note: str = "") -> str:
    """Table 1 as CSV: one header line, accuracies as fractions, notes in the last column."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    counted = ("correct", "wrong", "accuracy")
    moved = (f"{name}_moved" for name in counted)
    writer.writerow(["model", "name", "source", *counted, *moved, "note"])
    for row in rows:
        digits = 2 if row.source == "report" else 6
        cells: list[object] = [row.model, row.name, row.source]
        for part in (row.unmoved, row.moved):
            cells += [part["correct"], part["wrong"], f"{part['accuracy']:.{digits}f}"]
        remark = misprint_note(rows) if row.misprint else (note if row.source == "ours" else "")
        writer.writerow([*cells, remark])
    return text.getvalue()


def n_shifts(value: Mapping[str, Any]) -> int:
    """The number of shifts in the grid, from what ``results.json`` holds."""
    grid = value["config"]["grid"]
    return math.prod(last - first + 1 for first, last in (grid["dx"], grid["dy"]))


def table(value: Mapping[str, Any]) -> tuple[list[Row], str, str]:
    """Rows, title and note of Table 1, from what ``results.json`` holds.

    The report's rows stand next to ours if the data are MNIST and the grid is the report's, and are
    left out otherwise.
    """
    dx, dy = value["config"]["grid"]["dx"], value["config"]["grid"]["dy"]
    n = value["data"]["n_test"]
    title = (
        f"Table 1. Answers to {n:,} test images unmoved, and moved by dx {dx[0]}..{dx[1]}, "
        f"dy {dy[0]}..{dy[1]} ({n * n_shifts(value):,} patterns)"
    )
    others = []
    if value["environment"]["data_sha256"] != MNIST_SHA256:
        others.append("data are not MNIST")
    if [dx, dy] != [[GRID.dx[0], GRID.dx[-1]], [GRID.dy[0], GRID.dy[-1]]]:
        others.append("shifts are not the report's")
    other = f"The {' and the '.join(others)}, so the report's numbers are left out."
    diverged = [DISPLAY_NAMES[name] for name, model in value["models"].items() if model["diverged"]]
    meaningless = f"Training diverged, so the answers mean nothing: {', '.join(diverged)}."
    own_epochs = " ".join(_own_epochs(value))
    notes = (value["note"], other if others else "", meaningless if diverged else "", own_epochs)
    note = " ".join(text for text in notes if text)
    return table_rows(value["models"], with_report=not others), title, note


def _own_epochs(value: Mapping[str, Any]) -> Iterator[str]:
    """What a reader must know of settings with a number of epochs for each model."""
    config = value["config"]
    if not isinstance(config["epochs"], Mapping):
        return
    names = [name for name in DISPLAY_NAMES if name in value["models"]]
    of_each = [f"{config['epochs'][name]} for {BY_NAME[name].sentence}" for name in names]
    yield f"Epochs of training: {', '.join(of_each)}."
    fitted = Config.report().to_dict()
    if all(config[name] == fitted[name] for name in CHOSEN):
        yield FITTED
