"""Could the report's unknown settings explain its numbers, and can they be told from them?

What is varied: learning rate, batch size, epochs, activation, the same for all four models, each with
few seeds; so neither a number of epochs for each model is tried, nor a learning rate below the least
here. What is measured: how far a setting's eight accuracies lie from Table 1, the root mean square in
points. What decides: which setting comes nearest to all four rows, and to the three without Model 2; how
many lie within a point of the nearest, so that the report's own cannot be told among them; and whether
any meets Model 2's row (:func:`nearest`, :func:`meets`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .runs import Run, per_seed
from .table import MODELS, OUTCOMES

LEARNING_RATES = (0.01, 0.03, 0.1, 0.3)
BATCH_SIZES = (16, 64, 256)
EPOCHS = (1, 2, 5)
ACTIVATIONS = ("tanh", "relu")
N_SEEDS = 2

TIE = 1.0
"""Points within which two distances say nothing."""

MET = (1.0, 3.0)
"""Points, unmoved and moved, within which a row is met: two standard deviations of one run in a trial
with 20 seeds (LeNet-5: 0.5 unmoved, 1.6 moved)."""

Row = tuple[float, float]
"""Accuracy unmoved and moved, per cent."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """A run a setting and model, evaluated after each of the epochs."""
    rates, sizes = (
        (LEARNING_RATES[2:3], BATCH_SIZES[1:2]) if quick else (LEARNING_RATES, BATCH_SIZES)
    )
    settings = [
        Run(
            "settings_grid", f"{name}_{activation}_rate{rate:g}_batch{size}", 0, name,
            EPOCHS[:2] if quick else EPOCHS, learning_rate=rate, batch_size=size, activation=activation,
        )
        for activation in ACTIVATIONS for rate in rates for size in sizes for name in MODELS
    ]  # fmt: skip
    return per_seed(seeds[:N_SEEDS], settings)


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
    outcome = OUTCOMES[model]
    return outcome.unmoved["correct"] / 100, outcome.moved["correct"] / 5500


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
