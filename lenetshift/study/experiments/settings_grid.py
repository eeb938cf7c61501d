"""Could the report's unknown settings explain its numbers, and can its numbers tell the settings?

What is varied: learning rate, batch size, epochs, activation, the same for all four models, each with
few seeds; so a number of epochs for each model is not tried, nor a learning rate below the least
here. What is measured: how far a setting's eight accuracies lie from Table 1, the root mean square in
points. What decides: which setting comes nearest to all four rows, and to the three without Model 2; how
many lie within a point of the nearest, any of which could be the report's own; and whether any meets
Model 2's row (:func:`nearest`, :func:`meets`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.table import DISPLAY_NAMES
from .criteria import Measures
from .drawing import COLOURS, MARKS, page
from .experiment import Experiment
from .runs import Run, per_seed
from .table import MODELS, report_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEARNING_RATES = (0.01, 0.03, 0.1, 0.3)
BATCH_SIZES = (16, 64, 256)
EPOCHS = (1, 2, 5)
ACTIVATIONS = ("tanh", "relu")
N_SEEDS = 2

TIE = 1.0
"""Two distances that differ by no more points than this count as equal."""

MET = (1.0, 3.0)
"""Points, unmoved and moved, within which a row is met: two standard deviations of one run in a trial
with 20 seeds (LeNet-5: 0.5 unmoved, 1.6 moved)."""

Row = tuple[float, float]
"""Accuracy unmoved and moved, per cent."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """A run for each setting and model, evaluated after each of the epochs."""
    rates, sizes = (
        (LEARNING_RATES[2:3], BATCH_SIZES[1:2]) if quick else (LEARNING_RATES, BATCH_SIZES)
    )
    settings = [
        Run(
            "settings_grid", f"{name}_{_shared(activation, rate, size)}", 0, name,
            EPOCHS[:2] if quick else EPOCHS, learning_rate=rate, batch_size=size, activation=activation,
        )
        for activation in ACTIVATIONS for rate in rates for size in sizes for name in MODELS
    ]  # fmt: skip
    return per_seed(seeds[:N_SEEDS], settings)


def _shared(activation: str, learning_rate: float, batch_size: int) -> str:
    """The name of what the four models have in common, without the epochs."""
    return f"{activation}_rate{learning_rate:g}_batch{batch_size}"


def distance(rows: Mapping[str, Row], models: Sequence[str] = MODELS) -> float:
    """Root mean square of the differences to the report's rows of some models, in points."""
    squares = [
        (ours - report) ** 2
        for name in models
        for ours, report in zip(rows[name], reported(name), strict=True)
    ]
    return math.sqrt(sum(squares) / len(squares))


def reported(model: str) -> Row:
    """A row of Table 1 from its counts, in per cent."""
    return report_value(model, "unmoved"), report_value(model, "moved")


def nearest(
    settings: Mapping[str, Mapping[str, Row]], models: Sequence[str] = MODELS
) -> tuple[str, float, int]:
    """The setting whose rows are nearest to the report's, its distance, and how many settings, itself
    among them, lie within :data:`TIE` of it.

    Args:
        settings: name -> model -> accuracies; may not be empty.
        models: whose rows count.
    """
    distances = {name: distance(rows, models) for name, rows in settings.items()}
    best = min(distances, key=lambda name: distances[name])
    return best, distances[best], sum(d <= distances[best] + TIE for d in distances.values())


def meets(row: Row, model: str) -> bool:
    """Whether accuracies lie within :data:`MET` of the report's row of a model."""
    return all(
        abs(ours - report) <= margin
        for ours, report, margin in zip(row, reported(model), MET, strict=True)
    )


def nearest_settings(measures: Measures, runs: Sequence[Run]) -> dict[str, Any]:
    """Which settings come nearest to Table 1, and the accuracies of all, as a dossier holds them.

    Args:
        measures: of this experiment.
        runs: of the study.
    """
    run_of = {run.setting: run for run in runs if run.experiment == EXPERIMENT.name}
    rows: dict[str, dict[str, Row]] = {}
    for (setting, epochs), values in measures.items():
        run = run_of[setting]
        name = f"{_shared(run.activation, run.learning_rate, run.batch_size)}_epochs{epochs}"
        means = (float(np.mean(values["unmoved"])), float(np.mean(values["moved"])))
        rows.setdefault(name, {})[run.network] = means
    model_2 = "symmetric_lenet5"
    found = {}
    others = [model for model in MODELS if model != model_2]
    for name, models in (("all four models", MODELS), ("all but Model 2", others)):
        setting, off_by, ties = nearest(rows, models)
        found[name] = {"setting": setting, "distance": off_by, "within_a_point": ties}
    return {
        "n_settings": len(rows),
        "nearest": found,
        "meet_model_2": [name for name, row in rows.items() if meets(row[model_2], model_2)],
        "rows": {
            name: {m: list(row) for m, row in by_model.items()} for name, by_model in rows.items()
        },
    }


def draw(value: Mapping[str, Any]) -> Figure:
    """Accuracy unmoved against moved, a mark for each setting."""
    figure, (axes,) = page(
        "Which settings give the report's rows?",
        "a mark a setting of learning rate, batch size, epochs and activation; cross: the report",
        1,
    )
    rows = value["settings_grid"]["rows"]
    for number, model in enumerate(MODELS):
        colour = COLOURS[number]
        unmoved, moved = zip(*(models[model] for models in rows.values()), strict=True)
        axes.plot(
            unmoved, moved, MARKS[number], color=colour, alpha=0.5, label=DISPLAY_NAMES[model]
        )
        axes.plot(*reported(model), "x", color=colour, markersize=12, mew=3)
    axes.set_xlabel("accuracy (unmoved), per cent")
    axes.set_ylabel("accuracy (moved), per cent")
    axes.legend(frameon=False, fontsize=9)
    return figure


EXPERIMENT = Experiment(
    "settings_grid",
    runs,
    draw,
    "Accuracy unmoved against moved for every setting of the grid, and the report's rows",
)
