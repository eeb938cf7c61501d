"""The first experiment, Table 1: how many test images are answered right, unmoved and moved.

Four models learn the same unmoved images and answer every test image under every shift of a grid.
Measured by :func:`lenetshift.metrics.summarize`: the right and wrong answers at shift (0, 0), and
over all shifts.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..metrics import Counts
from ..models import MODEL_NAMES
from ..shifts import ShiftGrid

MODELS = MODEL_NAMES
"""The report's Models 0 to 3."""

GRID = ShiftGrid(dx=range(-5, 6), dy=range(-2, 3))
"""The report's 55 shifts, in pixels."""


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
