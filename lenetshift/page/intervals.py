"""Where one more run of the default settings lies, by the study that the package was released with.

``tools/generate/reproduction.py`` writes ``published/intervals.json`` from the study's summary.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..data.load import MNIST_SHA256
from ..models.table import BY_NAME
from ..study.experiments import position_bias, table
from ..study.experiments.statistics import Sample, prediction_interval, within
from .mended import FOLDER

FILE = FOLDER / "intervals.json"


def intervals_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What ``published/intervals.json`` holds.

    Args:
        summary: of a study, as :func:`lenetshift.study.summary.write_summary` writes it.

    Returns:
        ``settings``: what the trainings of the experiment ``table`` share; ``seeds``: of the models of
        Table 1; ``intervals``: model -> ``unmoved`` and ``moved`` -> low and high end, in per cent.
    """
    rows = {
        (row["setting"], row["measure"]): row
        for row in summary["summaries"]
        if row["experiment"] == "table" and row["epochs"] == table.EPOCHS
    }
    found: dict[str, dict[str, list[float]]] = {}
    for model in BY_NAME:
        for column in table.COLUMNS:
            row = rows[model, column]
            one_more = prediction_interval(Sample(row["n_seeds"], row["mean"], row["sd"]))
            ends = [round(end, 4) for end in within(one_more, 0, 100)]
            found.setdefault(model, {})[column] = ends
    run = table.runs([0])[0]
    return {
        "settings": {
            "epochs": table.EPOCHS,
            "learning_rate": run.learning_rate,
            "batch_size": run.batch_size,
            "activation": run.activation,
            "grid": {name: [shifts[0], shifts[-1]] for name, shifts in summary["grid"].items()},
            "bias_rule": {str(digit): list(by) for digit, by in position_bias.RULE.items()},
        },
        "seeds": summary["study"]["seeds"],
        "intervals": found,
    }


def text_of(summary: Mapping[str, Any]) -> str:
    """The contents of ``published/intervals.json``, with a line for each model."""
    value = intervals_of(summary)
    rows = [f"  {json.dumps(name)}: {json.dumps(of)}" for name, of in value["intervals"].items()]
    parts = [f" {json.dumps(name)}: {json.dumps(value[name])}" for name in ("settings", "seeds")]
    return "{\n" + ",\n".join([*parts, ' "intervals": {\n' + ",\n".join(rows) + "\n }"]) + "\n}\n"


def intervals_for(value: Mapping[str, Any]) -> Mapping[str, Mapping[str, Sequence[float]]]:
    """Model -> column -> where one more run lies, in per cent; empty unless a run is of MNIST, of all its
    images, and of the default settings, whatever its seed.

    Args:
        value: what ``results.json`` holds.
    """
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    config = value["config"]
    same = all(config[name] == setting for name, setting in kept["settings"].items())
    if not same or value["subset"] or value["environment"]["data_sha256"] != MNIST_SHA256:
        return {}
    intervals: dict[str, dict[str, list[float]]] = kept["intervals"]
    return intervals


def n_seeds() -> int:
    """How many trainings of each model the intervals come from."""
    seeds: int = json.loads(FILE.read_text(encoding="utf-8"))["seeds"]
    return seeds
