"""Claim 3: does C3's asymmetry matter?

What is varied: C3's connections, the table of 1998 or all; the epochs, 1 to 12. What is measured: accuracy
unmoved and over all patterns, after every epoch. What decides: one model less the other after the same number
of epochs, in points. Whether Model 2's 49 % comes from too few epochs is the matter of
:mod:`lenetshift.study.experiments.nearest`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...models.table import DISPLAY_NAMES
from .convolution import COVERED
from .criteria import Part, equivalent, larger, looks, of
from .drawing import THIN, UNDER, curve, legend_above, page, rows_of
from .experiment import Experiment
from .runs import Run, per_seed
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
        name, style = DISPLAY_NAMES[model], UNDER if model == COVERED else THIN
        label = f"{name} (under Model 2)" if model == COVERED else name
        curve(axes, number, label, epochs, moved, **style)
    axes.axhline(report_value("symmetric_lenet5", "moved"), color="black", linestyle="--")
    axes.set_xticks(epochs)
    axes.set_xlabel("epochs")
    axes.set_ylabel("accuracy (moved), per cent")
    legend_above(figure, axes, 1)
    return figure


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
            "Model 2 less Model 0",
            equivalent(of("symmetric_lenet5"), of("lenet5")),
            looks((12,), "moved", "unmoved", "kept", "change") + looks((2, 5), "moved"),
            known=True,
        ),
        Part(
            3,
            "better after as many epochs",
            "With the asymmetric C3 LeNet-5 reads more digits after as many epochs.",
            "LeNet-5 less the symmetric LeNet-5",
            larger(of("lenet5"), of("symmetric_lenet5")),
            looks((1, 2), "unmoved", "moved"),
            known=True,
        ),
    ),
)
