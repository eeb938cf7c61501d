"""The first experiment, Table 1: how many test images are answered right, unmoved and moved.

Four models learn the same unmoved images and answer every test image under every shift of a grid.
Measured by :func:`lenetshift.metrics.summarize`: the right and wrong answers at shift (0, 0), and
over all shifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..metrics import Counts
from ..models import MODEL_NAMES
from . import position_bias
from .runs import BIASED, Run, per_seed

MODELS = MODEL_NAMES
"""The report's Models 0 to 3."""

EPOCHS = 2
"""How long the report's models train here."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """The four models, and LeNet-5 on position-biased images, for every seed.

    The cells of Table 1 are decided by :func:`lenetshift.experiments.claims.cells`.
    """
    models = [Run("table", name, 0, name, (EPOCHS,)) for name in MODELS]
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
    "lenet5": Outcome(_counts(9696, 304, 0.97), _counts(331140, 218860, 0.60)),
    "mlp": Outcome(_counts(9278, 722, 0.93), _counts(224942, 325058, 0.41)),
    "symmetric_lenet5": Outcome(_counts(9618, 382, 0.96), _counts(268626, 281374, 0.49)),
    "pooled_mlp": Outcome(_counts(8733, 1217, 0.87), _counts(223386, 326614, 0.41), True),
}
"""The report's Table 1 as printed (Tanaka Shin'ichi, "Characteristics of convolutional neural
networks", 畳み込みニューラルネットワークの特性, Tohoku University, 2024-04-20, revised
2024-04-23), the misprint included."""

MISPRINT = (
    "Misprint in the report: Model 3's unmoved row does not add up, 8733 + 1217 = 9950 and not "
    "10,000; most likely 1267 was meant for 1217. The numbers stand here as printed."
)
