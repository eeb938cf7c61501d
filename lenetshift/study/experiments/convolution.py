"""Claims 0 to 2: is LeNet-5 robust to movement because of its convolutions, or because of the data?

What is varied: the network, the report's four; the training images, centred as they are or jittered over the
test's own shifts; the epochs. What is measured: accuracy unmoved and over all patterns, and against dx, with
the kernel's 5 pixels marked. What decides: one network less another, in points, centred and jittered, after
each number of epochs and at equal accuracy unmoved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.build import MODEL_NAMES
from ...models.table import DISPLAY_NAMES
from .criteria import ROBUSTNESS, Look, Measures, Part, Quantity, larger, looks, not_larger, of
from .drawing import COLOURS, MARKS, THIN, UNDER, against_dx, legend_above, page, rows_of
from .experiment import Experiment
from .runs import CENTRED, JITTERED, Run, per_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPOCHS = (1, 2, 3, 5, 10)
KERNEL = 5
"""Pixels along a side of LeNet-5's kernels."""

COVERED = "lenet5"
"""The model whose curves lie under those of another, the symmetric LeNet-5."""

LATER = (1, 5, 10)
"""After which numbers of epochs parts are looked at besides 2."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """Four models, two kinds of training images."""
    epochs = EPOCHS[:2] if quick else EPOCHS
    settings = [
        Run("convolution", f"{name}_{training}", 0, name, epochs, training=training)
        for training in (CENTRED, JITTERED)
        for name in MODEL_NAMES
    ]
    return per_seed(seeds, settings)


def lost_at(setting: str, distance: int) -> Quantity:
    """Points that a setting loses when images are moved so far left or right, dy = 0."""

    def lost(measures: Measures, look: Look) -> list[float]:
        found = measures[setting, look.epochs]
        columns = (found[f"dx={dx}"] for dx in (0, -distance, distance))
        return [centre - (left + right) / 2 for centre, left, right in zip(*columns, strict=True)]

    return Quantity(setting, lost)


def at_the_accuracy_of(setting: str, other: str) -> Quantity:
    """A setting's accuracy over all patterns where it reads as many unmoved images as another: for each seed,
    between two of its numbers of epochs, which are joined by straight lines in the order of accuracy unmoved,
    equal ones in their own. Beyond the least and the most it is that at the nearest one, which favours a
    setting that has learnt less."""

    def interpolated(measures: Measures, look: Look) -> list[float]:
        epochs = sorted(epoch for name, epoch in measures if name == setting)
        unmoved, moved = (
            np.array([measures[setting, epoch][measure] for epoch in epochs])
            for measure in ("unmoved", "moved")
        )
        values = []
        for seed, wanted in enumerate(measures[other, look.epochs]["unmoved"]):
            order = np.argsort(unmoved[:, seed], kind="stable")
            values.append(float(np.interp(wanted, unmoved[order, seed], moved[order, seed])))
        return values

    return Quantity(setting, interpolated)


def draw(value: Mapping[str, Any]) -> Figure:
    """Accuracy against dx after 2 epochs; and accuracy moved against unmoved, epoch by epoch."""
    figure, panels = page(
        "Is the robustness the convolution's or the data's?",
        "left: accuracy after 2 epochs, dy = 0; dotted: the kernel's 5 pixels; bands: 95 % over seeds; "
        "right: after 1 to 10 epochs; Model 0, the wide line, lies under Model 2",
        3,
    )
    rows = rows_of(value, "convolution")
    for axes, training in zip(panels, (CENTRED, JITTERED), strict=False):
        of_models = {DISPLAY_NAMES[model]: rows[f"{model}_{training}", 2] for model in MODEL_NAMES}
        title = f"trained on {training} digits"
        against_dx(axes, title, of_models, "", under=DISPLAY_NAMES[COVERED])
        for edge in (-KERNEL, KERNEL):
            axes.axvline(edge, color="grey", linestyle=":")
    panels[0].set_ylabel("accuracy, per cent")
    legend_above(figure, panels[0], 2)
    trajectories(panels[2], rows)
    panels[2].tick_params(labelleft=True)
    figure.subplots_adjust(wspace=0.18)
    return figure


def trajectories(axes: Any, rows: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
    """Accuracy moved against unmoved after each number of epochs, a line for each model."""
    for number, model in enumerate(MODEL_NAMES):
        for training, line in ((CENTRED, "-"), (JITTERED, "--")):
            epochs = sorted(epoch for name, epoch in rows if name == f"{model}_{training}")
            points = [rows[f"{model}_{training}", epoch] for epoch in epochs]
            axes.plot(
                [point["unmoved"]["mean"] for point in points],
                [point["moved"]["mean"] for point in points],
                line, marker=MARKS[number], color=COLOURS[number],
                **(UNDER if model == COVERED else THIN),
            )  # fmt: skip
    axes.set_title("moved against unmoved (dashed: jittered)", size=11, pad=10)
    axes.set_xlabel("accuracy (unmoved), per cent")
    axes.set_ylabel("accuracy (moved), per cent")


_ROBUSTNESS = looks((2,), *ROBUSTNESS) + looks(LATER, *ROBUSTNESS)

EXPERIMENT = Experiment(
    "convolution",
    runs,
    draw,
    "Accuracy against dx for the four models, trained on centred and on jittered digits; and accuracy moved "
    "against unmoved after each number of epochs",
    (
        Part(
            0,
            "ahead unmoved",
            "Unmoved, LeNet-5 reads more digits than an MLP.",
            "LeNet-5 less the MLP",
            larger(of("lenet5_centred"), of("mlp_centred")),
            looks((2, *LATER), "unmoved"),
            known=True,
        ),
        Part(
            1,
            "convolution helps",
            "LeNet-5 is more robust to movement than an MLP.",
            "LeNet-5 less the MLP",
            larger(of("lenet5_centred"), of("mlp_centred")),
            _ROBUSTNESS,
            known=True,
        ),
        Part(
            1,
            "at equal accuracy unmoved",
            "LeNet-5 is more robust to movement than an MLP that reads as many unmoved digits.",
            "accuracy over all patterns: LeNet-5 less the MLP after as many epochs as give it "
            "LeNet-5's accuracy unmoved, or its last",
            larger(
                of("lenet5_centred", "moved"), at_the_accuracy_of("mlp_centred", "lenet5_centred")
            ),
            looks((1, 2, 5, 10), "moved"),
            known=True,
        ),
        Part(
            1,
            "well below the kernel",
            "At shifts well below the kernel's size LeNet-5 is more robust than an MLP.",
            "points lost at |dx| = 2, dy = 0: the MLP less LeNet-5",
            larger(lost_at("mlp_centred", 2), lost_at("lenet5_centred", 2)),
            looks((2, *LATER), "lost at 2 pixels"),
            known=True,
        ),
        Part(
            1,
            "only centred digits",
            "The lead over the MLP is there only because training digits are centred.",
            "LeNet-5 less the MLP, both trained on jittered digits",
            not_larger(of("lenet5_jittered"), of("mlp_jittered")),
            looks((2,), "change", "moved", "kept") + looks(LATER, "change", "moved", "kept"),
            known=True,
        ),
        Part(
            1,
            "jittered, at equal accuracy",
            "With jittered digits LeNet-5 is no more robust than an MLP that reads as many unmoved digits.",
            "accuracy over all patterns, both trained on jittered digits: LeNet-5 less the MLP after as many "
            "epochs as give it LeNet-5's accuracy unmoved, or its last",
            not_larger(
                of("lenet5_jittered", "moved"),
                at_the_accuracy_of("mlp_jittered", "lenet5_jittered"),
            ),
            looks((1, 2), "moved"),  # later, no MLP reads as many
            known=True,
        ),
        Part(
            2,
            "Model 3",
            "An MLP behind 4-fold pooling is no more robust than one without.",
            "Model 3 less Model 1",
            not_larger(of("pooled_mlp_centred"), of("mlp_centred")),
            _ROBUSTNESS,
            known=True,
        ),
    ),
)
