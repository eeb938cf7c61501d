"""Claim 1: is LeNet-5 robust to movement because of its convolutions, or because of the data?

What is varied: the network, the report's four; the training images, centred as they are or jittered
over the test's own shifts; the epochs. What is measured: accuracy over all patterns, and against dx,
with the kernel's 5 pixels marked. What decides: LeNet-5 less the perceptron, in points, centred and
jittered; and how much LeNet-5 loses within half a kernel and at a whole one. The parts about centred
digits are decided by the runs of the experiment ``table``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...models.build import MODEL_NAMES
from ...models.table import DISPLAY_NAMES
from .criteria import Part, measured, not_larger
from .drawing import against_dx, page, rows_of
from .experiment import Experiment
from .runs import CENTRED, JITTERED, Run, per_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPOCHS = (1, 2, 5, 10)
KERNEL = 5
"""Pixels along a side of LeNet-5's kernels."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """Four models, two kinds of training images."""
    epochs = EPOCHS[:2] if quick else EPOCHS
    settings = [
        Run("convolution", f"{name}_{training}", 0, name, epochs, training=training)
        for training in (CENTRED, JITTERED)
        for name in MODEL_NAMES
    ]
    return per_seed(seeds, settings)


def draw(value: Mapping[str, Any]) -> Figure:
    """Accuracy against dx after 2 epochs."""
    figure, panels = page(
        "Is the robustness the convolution's or the data's?",
        "accuracy after 2 epochs, dy = 0; dotted: the kernel's 5 pixels; bands: 95 % over seeds",
        2,
    )
    rows = rows_of(value, "convolution")
    for axes, training in zip(panels, (CENTRED, JITTERED), strict=True):
        of = {DISPLAY_NAMES[model]: rows[f"{model}_{training}", 2] for model in MODEL_NAMES}
        against_dx(axes, f"trained on {training} digits", of, "")
        for edge in (-KERNEL, KERNEL):
            axes.axvline(edge, color="grey", linestyle=":")
    panels[0].set_ylabel("accuracy, per cent")
    panels[0].legend(frameon=False, fontsize=9)
    return figure


EXPERIMENT = Experiment(
    "convolution",
    runs,
    draw,
    "Accuracy against dx for the four models, trained on centred and on jittered digits",
    (
        Part(
            1,
            "only centred digits",
            "The lead over the perceptron is there only because training digits are centred.",
            "accuracy over all patterns, both trained on jittered digits: LeNet-5 less the perceptron, "
            "after 2 epochs",
            not_larger(measured("lenet5_jittered"), measured("mlp_jittered")),
        ),
    ),
)
