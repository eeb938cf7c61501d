"""The report's Table 1, and the same table with our numbers beside it, as text, CSV and Markdown.

Source of the numbers: Tanaka Shin'ichi, "Characteristics of convolutional neural networks"
(畳み込みニューラルネットワークの特性), Tohoku University, 2024-04-20, revised 2024-04-23, Table 1.
"""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .figures import draw_accuracy_maps, draw_shift_figure
from .metrics import Counts, summarize
from .shifts import ShiftGrid
from .storage import (
    MNIST_SHA256,
    SCHEMA,
    Checkpoint,
    Job,
    environment,
    loss_summary,
    write_json,
    write_npz,
    write_text,
)

BIASED = "biased_lenet5"
"""LeNet-5 trained on position-biased data: the report's second experiment."""

DISPLAY_NAMES: dict[str, str] = {
    "lenet5": "Model 0 LeNet-5",
    "mlp": "Model 1 MLP",
    "symmetric_lenet5": "Model 2 symmetric LeNet-5",
    "pooled_mlp": "Model 3 pooled MLP",
    "biased_lenet5": "LeNet-5, position-biased",
}
"""What each model is called where people read it, in the order of the tables."""

MISPRINT = (
    "Misprint in the report: Model 3's unmoved row does not add up, 8733 + 1217 = 9950 and not "
    "10,000; most likely 1267 was meant for 1217. The numbers stand here as printed."
)


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
        """What people call the model."""
        return DISPLAY_NAMES[self.model]

    def percent(self, counts: Counts) -> str:
        """Ours to a tenth of a per cent; the report's as it printed them, in whole per cent."""
        return f"{100 * counts['accuracy']:.{0 if self.source == 'report' else 1}f} %"


def _counts(correct: int, wrong: int, accuracy: float) -> Counts:
    return {"correct": correct, "wrong": wrong, "accuracy": accuracy}


FIGURE_INDICES = (4017, 4888, 5392, 8655)
"""The test images (0-based) of the report's figures 1 to 4."""

REPORT_TABLE: dict[str, Row] = {
    row.model: row
    for row in (
        Row("lenet5", "report", _counts(9696, 304, 0.97), _counts(331140, 218860, 0.60)),
        Row("mlp", "report", _counts(9278, 722, 0.93), _counts(224942, 325058, 0.41)),
        Row("symmetric_lenet5", "report", _counts(9618, 382, 0.96), _counts(268626, 281374, 0.49)),
        Row("pooled_mlp", "report", _counts(8733, 1217, 0.87), _counts(223386, 326614, 0.41), True),
    )
}
"""The report's Table 1 as printed, the misprint included."""


def table_rows(results: Mapping[str, Mapping[str, Any]], *, with_report: bool = True) -> list[Row]:
    """The rows of Table 1: for each model ours, then the report's where it has one.

    Args:
        results: per model name a mapping with ``unmoved`` and ``moved``, each
            ``{"correct", "wrong", "accuracy"}`` (counts, and a fraction).
        with_report: whether to put the report's rows beside ours; they are about MNIST only.
    """
    rows = []
    for model in [name for name in DISPLAY_NAMES if name in results]:
        rows.append(Row(model, "ours", results[model]["unmoved"], results[model]["moved"]))
        if with_report and model in REPORT_TABLE:
            rows.append(REPORT_TABLE[model])
    return rows


def _notes(rows: Sequence[Row], note: str) -> list[str]:
    misprint = [f"* {MISPRINT}"] if any(row.misprint for row in rows) else []
    return misprint + ([note] if note else [])


def _cells(row: Row) -> list[str]:
    star = "*" if row.misprint else ""
    return [
        str(row.unmoved["correct"]),
        f"{row.unmoved['wrong']}{star}",
        row.percent(row.unmoved),
        str(row.moved["correct"]),
        str(row.moved["wrong"]),
        row.percent(row.moved),
    ]


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
        numbers = _cells(row)
        name = row.name if row.model != previous else ""
        if name and previous:
            lines.append("")
        line = f"{name:{name_width}}  {row.source:6}"
        for correct, wrong, accuracy in (numbers[:3], numbers[3:]):
            digits, star = wrong.rstrip("*"), "*" if wrong.endswith("*") else " "
            line += f"  {correct:>8} {digits:>7}{star} {accuracy:>8}"
        lines.append(line)
        previous = row.model
    notes = [line for text in _notes(rows, note) for line in _wrap(text)]
    return "\n".join([*lines, "", *notes]).rstrip("\n") + "\n"


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, width=98, subsequent_indent="  " if text.startswith("*") else "")


def format_markdown(rows: Sequence[Row], title: str, note: str = "") -> str:
    """Table 1 in Markdown, with the columns of the report's own table."""
    header = ["model", "", "correct", "wrong", "accuracy"]
    header += ["correct (moved)", "wrong (moved)", "accuracy (moved)"]
    lines = [f"**{title}**", "", _pipes(header), "|---|---|" + "---:|" * 6]
    for row in rows:
        cells = [cell.replace("*", "\\*") for cell in _cells(row)]
        lines.append(_pipes([row.name, row.source, *cells]))
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
    writer.writerow(
        [
            "model",
            "name",
            "source",
            "correct",
            "wrong",
            "accuracy",
            "correct_moved",
            "wrong_moved",
            "accuracy_moved",
            "note",
        ]
    )
    for row in rows:
        digits = 2 if row.source == "report" else 6
        counts = [
            value
            for part in (row.unmoved, row.moved)
            for value in (part["correct"], part["wrong"], f"{part['accuracy']:.{digits}f}")
        ]
        remark = MISPRINT if row.misprint else (note if row.source == "ours" else "")
        writer.writerow([row.model, row.name, row.source, *counts, remark])
    return text.getvalue()


def position_answers(
    predictions: Tensor, rule: Mapping[int, tuple[int, int]], grid: ShiftGrid
) -> list[dict[str, Any]]:
    """How far the answer follows the position: the second experiment in one number per digit.

    Args:
        predictions: uint8 [N, n_dy, n_dx] of the position-biased model on all test images.
        rule: digit -> (dx, dy), how its training images were moved.
        grid: the shifts; a rule's shift that it lacks is left out.

    Returns:
        One ``{"digit", "dx", "dy", "fraction"}`` each: the fraction of all test images, whatever
        they show, that is answered ``digit`` when moved by (dx, dy).
    """
    answers = []
    for digit, (dx, dy) in rule.items():
        if dx in grid.dx and dy in grid.dy:
            row, column = grid.index(dx, dy)
            fraction = (predictions[:, row, column] == digit).double().mean().item()
            answers.append({"digit": digit, "dx": dx, "dy": dy, "fraction": fraction})
    return answers


def results(job: Job, checkpoints: Mapping[str, Checkpoint]) -> dict[str, Any]:
    """What ``results.json`` holds, from predictions and labels; times in seconds."""
    n_test, grid = job.n_test, job.config.grid
    models = {}
    for name, checkpoint in checkpoints.items():
        models[name] = {
            **summarize(checkpoint.evaluated()[:n_test], job.labels, grid),
            "training_seconds": checkpoint.training_seconds,
            "evaluation_seconds": checkpoint.evaluation_seconds,
            "loss": loss_summary(checkpoint.losses),
        }
    value = {
        "schema": SCHEMA,
        "note": job.note,
        "subset": bool(job.note),
        "config": {**job.config.to_dict(), "method": job.method},
        "environment": {**environment(job.device), "data_sha256": dict(job.sha256)},
        "data": {"n_train": len(job.train), "n_test": n_test},
        "models": models,
    }
    if BIASED in checkpoints:
        predictions = checkpoints[BIASED].evaluated()
        rule = job.config.bias_rule
        value["position_bias"] = position_answers(predictions[:n_test], rule, grid)
        value["figures"] = [
            {
                "figure": number,
                "index": index,
                "label": int(job.test.labels[index]),
                "predictions": predictions[job.rows.index(index)].tolist(),
            }
            for number, index in enumerate(job.figures, 1)
        ]
    return value


def table(value: Mapping[str, Any]) -> tuple[list[Row], str, str]:
    """Rows, title and note of Table 1, from what ``results.json`` holds.

    The report's rows stand beside ours if the data are MNIST, and are left out otherwise.
    """
    dx, dy = value["config"]["grid"]["dx"], value["config"]["grid"]["dy"]
    n = value["data"]["n_test"]
    n_shifts = (dx[1] - dx[0] + 1) * (dy[1] - dy[0] + 1)
    title = (
        f"Table 1. Answers to {n:,} test images unmoved, and moved by dx {dx[0]}..{dx[1]}, "
        f"dy {dy[0]}..{dy[1]} ({n * n_shifts:,} patterns)"
    )
    is_mnist = value["environment"]["data_sha256"] == MNIST_SHA256
    other = "The data are not MNIST, so the report's numbers are left out."
    note = " ".join(text for text in (value["note"], "" if is_mnist else other) if text)
    return table_rows(value["models"], with_report=is_mnist), title, note


def write_products(job: Job, checkpoints: Mapping[str, Checkpoint]) -> dict[str, Any]:
    """Write all files of a finished job, ``results.json`` last, and return what that holds."""
    value = results(job, checkpoints)
    grid, n_test = job.config.grid, job.n_test
    rows, title, note = table(value)
    write_text(job.out / "table1.csv", format_csv(rows, note))
    write_text(job.out / "table1.md", format_markdown(rows, title, note))
    arrays: dict[str, Any] = {
        "schema": SCHEMA,
        "note": job.note,
        "config": json.dumps(value["config"]),
        "dx": list(grid.dx),
        "dy": list(grid.dy),
        "labels": job.labels.to(torch.uint8),
        **{name: checkpoint.evaluated()[:n_test] for name, checkpoint in checkpoints.items()},
    }
    for figure in value.get("figures", ()):
        index = figure["index"]
        draw_shift_figure(
            job.out / f"figure{figure['figure']}.png",
            job.test.images[index],
            figure["label"],
            torch.tensor(figure["predictions"]),
            grid,
            f"Figure {figure['figure']}. Test image {index} (label {figure['label']}), "
            "answers of the position-biased LeNet-5",
            job.note,
        )
    if "figures" in value:
        arrays["figure_indices"] = list(job.figures)
        arrays["figure_predictions"] = checkpoints[BIASED].evaluated()[
            [job.rows.index(index) for index in job.figures]
        ]
    write_npz(job.out / "predictions.npz", arrays)
    maps = {}
    for name, model in value["models"].items():
        percent = [f"{100 * model[part]['accuracy']:.1f} %" for part in ("unmoved", "moved")]
        heading = f"{DISPLAY_NAMES[name]}: unmoved {percent[0]}, moved {percent[1]}"
        maps[heading] = model["accuracy_map"]
    draw_accuracy_maps(job.out / "accuracy_maps.png", maps, grid, job.note)
    write_json(job.out / "results.json", value)
    return value
