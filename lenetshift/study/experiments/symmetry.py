"""Claim 3: does C3's asymmetry matter, and does Model 2's 49 % come from too few epochs?

What is varied: C3's connections, the table of 1998 or all; the epochs, 1 to 12. What is measured:
accuracy unmoved and over all patterns, after every epoch. What decides: Model 2 less Model 0 after the
same number of epochs, in points; and whether Model 2 meets its own row of Table 1, both numbers at
once, after any; if not, the claim is left open, because these are epochs at one learning rate and batch
size, and the report names neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...models.table import DISPLAY_NAMES
from .criteria import (
    OPEN,
    SUPPORTED,
    Criterion,
    Judgement,
    Measures,
    Part,
    after_the_last_epoch,
    different,
    equivalent,
    measured,
)
from .drawing import curve, page, rows_of
from .experiment import Experiment
from .runs import Run, per_seed
from .statistics import SeedInterval, prediction_interval, sample
from .table import report_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODELS = ("lenet5", "symmetric_lenet5")
EPOCHS = tuple(range(1, 13))


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """Model 0 and Model 2, evaluated after every epoch."""
    epochs = EPOCHS[:3] if quick else EPOCHS
    return per_seed(seeds, [Run("symmetry", name, 0, name, epochs) for name in MODELS])


def draw(value: Mapping[str, Any]) -> Figure:
    """Accuracy over all patterns after each epoch."""
    figure, (axes,) = page(
        "Does C3's asymmetry matter?",
        "accuracy over all patterns; dashed: the report's Model 2; bands: 95 % over seeds",
        1,
    )
    rows = rows_of(value, "symmetry")
    epochs = sorted({epoch for _, epoch in rows})
    for number, model in enumerate(MODELS):
        moved = [rows[model, epoch]["moved"] for epoch in epochs]
        curve(axes, number, DISPLAY_NAMES[model], epochs, moved)
    axes.axhline(report_value("symmetric_lenet5", "moved"), color="black", linestyle="--")
    axes.set_xticks(epochs)
    axes.set_xlabel("epochs")
    axes.set_ylabel("accuracy (moved), per cent")
    axes.legend(frameon=False)
    return figure


def row_of_model_2(measures: Measures) -> Judgement:
    """Whether some number of epochs gives both numbers of Model 2's row; the value is the distance of
    the moved accuracy where it is nearest."""
    model = "symmetric_lenet5"
    report = {column: report_value(model, column) for column in ("unmoved", "moved")}
    met, found = False, []
    for (setting, _), values in measures.items():
        if setting == model:
            intervals = {column: prediction_interval(sample(values[column])) for column in report}
            met |= all(intervals[column].includes(report[column]) for column in report)
            moved = intervals["moved"]
            shifted = SeedInterval(moved.low - report["moved"], moved.high - report["moved"])
            found.append((sample(values["moved"]).mean - report["moved"], shifted))
    nearest = min(found, key=lambda distance_and_interval: abs(distance_and_interval[0]))
    return Judgement(SUPPORTED if met else OPEN, *nearest)


EXPERIMENT = Experiment(
    "symmetry",
    runs,
    draw,
    "Accuracy over all patterns after 1 to 12 epochs, LeNet-5 and symmetric LeNet-5",
    (
        Part(
            3,
            "what it becomes",
            "Symmetric and asymmetric C3 end alike.",
            "accuracy over all patterns: Model 2 less Model 0, after the last epoch",
            equivalent(after_the_last_epoch("symmetric_lenet5"), after_the_last_epoch("lenet5")),
        ),
        Part(
            3,
            "how fast it learns",
            "Symmetric and asymmetric C3 learn at different speeds.",
            "accuracy over all patterns: Model 2 less Model 0, after 1 epoch",
            different(measured("symmetric_lenet5", epochs=1), measured("lenet5", epochs=1)),
        ),
        Part(
            3,
            "too few epochs",
            "Model 2's row of Table 1 is that of some number of epochs.",
            "Model 2's accuracies unmoved and over all patterns after 1, 2, ... epochs; the value is the "
            "least distance of the moved one from the report's 48.8 %, in points, with the 95 % interval "
            "of one more run",
            Criterion(
                "after some number of epochs both lie in the 95 % interval of one more run",
                "nothing here: the epochs are tried at one learning rate and batch size",
                row_of_model_2,
            ),
        ),
    ),
)
