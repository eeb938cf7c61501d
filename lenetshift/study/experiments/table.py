"""The first experiment, Table 1: how many test images are answered right, unmoved and moved.

Four models learn the same unmoved images and answer every test image under every shift of a grid.
Measured by :func:`lenetshift.metrics.summarize`: the right and wrong answers at shift (0, 0), and
over all shifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...metrics import Counts
from ...models.table import ALL_MODELS, BASE_MODELS
from . import position_bias
from .runs import BIASED, Run, per_seed

MODELS = tuple(spec.name for spec in ALL_MODELS if spec.report is not None)
"""The report's Models 0 to 3, those with a row in its Table 1."""

EPOCHS = 2
"""How long the report's models train here."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """The four models, and LeNet-5 on position-biased images, for every seed.

    The cells of Table 1 are decided by :func:`lenetshift.study.experiments.claims.cells`.
    """
    models = [Run("table", spec.name, 0, spec.name, (EPOCHS,)) for spec in BASE_MODELS]
    rule = tuple((digit, dx, dy) for digit, (dx, dy) in position_bias.RULE.items())
    biased = Run("table", position_bias.MODEL, 0, "lenet5", (EPOCHS,), training=BIASED, rule=rule)
    return per_seed(seeds, [*models, biased])


@dataclass(frozen=True)
class Outcome:
    """What the report prints of one model: counts of answers to MNIST's 10,000 test images unmoved,
    and to the 550,000 patterns; accuracies in whole per cent."""

    unmoved: Counts
    moved: Counts
    misprint: bool = False


def _counts(correct: int, wrong: int, accuracy: float) -> Counts:
    return {"correct": correct, "wrong": wrong, "accuracy": accuracy}


OUTCOMES: dict[str, Outcome] = {
    spec.name: Outcome(
        _counts(*spec.report.unmoved), _counts(*spec.report.moved), spec.report.misprint
    )
    for spec in ALL_MODELS
    if spec.report is not None
}
"""The report's Table 1 as printed (Tanaka Shin'ichi, "Characteristics of convolutional neural
networks", 畳み込みニューラルネットワークの特性, Tohoku University, 2024-04-20, revised
2024-04-23), the misprint included."""

MISPRINT = (
    "Misprint in the report: Model 3's unmoved row does not add up, 8733 + 1217 = 9950 and not "
    "10,000; most likely 1267 was meant for 1217. The numbers stand here as printed."
)
