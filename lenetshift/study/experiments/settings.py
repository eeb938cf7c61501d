"""Could the report's unknown settings explain its numbers, and can its numbers tell the settings?

What is varied: learning rate, batch size and activation, the same for all four models, and the epochs, every
number of them up to 8 to 40, more at smaller learning rates. What is measured: accuracy unmoved and over all
patterns after every epoch, and how far eight such accuracies lie from Table 1's, the root mean square in
points. What is looked for: the setting that comes nearest with equal numbers of epochs for the four models;
with a number of its own for each; and with numbers that one stopping rule gives for all (:func:`nearest`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...models.table import DISPLAY_NAMES
from .criteria import Measures
from .drawing import COLOURS, MARKS, cross, legend_above, page
from .experiment import Experiment
from .runs import HELD_OUT, LAST, Run
from .table import COLUMNS, MODELS, report_value
from .variants import VARIANTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACTIVATIONS = ("tanh", "relu")
LEARNING_RATES, MORE_LEARNING_RATES = (0.003, 0.01, 0.03, 0.1), (0.001, 0.3)
BATCH_SIZES, MORE_BATCH_SIZES = (32, 64), (16, 128, 256)
LONGEST = {0.003: 40, 0.01: 30, 0.03: 15, 0.1: 8}
"""Learning rate -> the most epochs: from there on all networks read more than the report's. Others: 40 below,
and 8 above these."""

N_HELD_OUT = 10_000
"""Training images that the stopping rule looks at."""

HELD_OUT_SETTINGS = (("relu", 0.003, 32), ("tanh", 0.1, 64))
"""Activation, learning rate and batch size of the trainings with held-out images: the nearest in a trial with
one seed, and the package's own."""

VARIANT_SETTING, VARIANT_EPOCHS = ("tanh", 0.1, 64), tuple(range(1, 6))
"""Of the variants of training, which a thorough study tries."""

PATIENCE = (1, 2, 3, 5)
"""Epochs without a gain after which the rule stops."""

TIE = 1.0
"""Two distances that differ by no more points than this count as equal."""

Curve = NDArray[np.float64]
"""``[epochs, 2]``: accuracy unmoved and moved after every epoch, per cent, the mean over seeds."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """One seed of each setting and model; no predictions but the last are kept."""
    rates, sizes = (LEARNING_RATES[3:], BATCH_SIZES[1:]) if quick else (LEARNING_RATES, BATCH_SIZES)
    found = [
        one
        for activation in ACTIVATIONS
        for rate in rates
        for size in sizes
        for one in _four_models(activation, rate, size, quick)
    ]
    for setting in HELD_OUT_SETTINGS[1 if quick else 0 :]:
        found += _four_models(*setting, quick, held_out=500 if quick else N_HELD_OUT)
    return found


def more_runs(seeds: Sequence[int]) -> list[Run]:
    """What a thorough study does besides: more learning rates and batch sizes, and variants of training."""
    rates, sizes = (*LEARNING_RATES, *MORE_LEARNING_RATES), (*BATCH_SIZES, *MORE_BATCH_SIZES)
    found = [
        one
        for activation in ACTIVATIONS
        for rate in rates
        for size in sizes
        if rate in MORE_LEARNING_RATES or size in MORE_BATCH_SIZES
        for one in _four_models(activation, rate, size)
    ]
    activation, rate, size = VARIANT_SETTING
    for name, variant in VARIANTS.items():
        if name:
            found += [
                Run(
                    "settings", f"{model}_{name}", 0, model, VARIANT_EPOCHS, rate, size, activation,
                    variant=name, keeps=LAST,
                )
                for model in variant.models
            ]  # fmt: skip
    return found


def _four_models(
    activation: str, rate: float, size: int, quick: bool = False, held_out: int = 0
) -> list[Run]:
    name = setting_name(activation, rate, size) + ("_held_out" if held_out else "")
    longest = LONGEST.get(rate, 40 if rate < min(LONGEST) else 8)
    epochs = tuple(range(1, 1 + (3 if quick else longest)))
    return [
        Run(
            "settings", f"{model}_{name}", 0, model, epochs, rate, size, activation,
            held_out=held_out, keeps=LAST,
        )
        for model in MODELS
    ]  # fmt: skip


def setting_name(activation: str, learning_rate: float, batch_size: int) -> str:
    """The name of what the four models have in common, without the epochs."""
    return f"{activation}_rate{learning_rate:g}_batch{batch_size}"


def in_words(activation: str, learning_rate: float, batch_size: int) -> str:
    """The same in words."""
    name = {"tanh": "tanh", "relu": "ReLU"}[activation]
    return f"{name}, learning rate {learning_rate:g}, batches of {batch_size}"


def words_of_settings() -> dict[str, str]:
    """Each setting that a study may have, without its model -> words."""
    words = {}
    for activation in ACTIVATIONS:
        for rate in (*LEARNING_RATES, *MORE_LEARNING_RATES):
            for size in (*BATCH_SIZES, *MORE_BATCH_SIZES):
                words[setting_name(activation, rate, size)] = in_words(activation, rate, size)
    for setting in HELD_OUT_SETTINGS:
        words[f"{setting_name(*setting)}_held_out"] = (
            f"{in_words(*setting)}, without {N_HELD_OUT:,} held-out images"
        )
    usual = in_words(*VARIANT_SETTING)
    return words | {name: f"{usual}, {variant.title}" for name, variant in VARIANTS.items() if name}


def reported(model: str) -> NDArray[np.float64]:
    """A row of Table 1 from its counts: accuracy unmoved and moved, per cent."""
    return np.array([report_value(model, column) for column in COLUMNS])


@dataclass(frozen=True)
class Found:
    """Numbers of epochs of the four models in one setting, and how near they come.

    Attributes:
        setting: its name.
        epochs: model -> number of epochs.
        distance: root mean square of the eight differences from Table 1, in points.
    """

    setting: str
    epochs: Mapping[str, int]
    distance: float


def found(setting: str, curves: Mapping[str, Curve], epochs: Mapping[str, int]) -> Found:
    """How near a setting comes with these numbers of epochs."""
    off = np.array([curves[model][epoch - 1] - reported(model) for model, epoch in epochs.items()])
    return Found(setting, dict(epochs), float(np.sqrt((off**2).mean())))


def with_equal_epochs(setting: str, curves: Mapping[str, Curve]) -> Found:
    """The nearest with the same number of epochs for all models."""
    least = min(len(curve) for curve in curves.values())
    every = (found(setting, curves, dict.fromkeys(curves, epoch)) for epoch in range(1, least + 1))
    return min(every, key=lambda one: one.distance)


def with_own_epochs(setting: str, curves: Mapping[str, Curve]) -> Found:
    """The nearest with a number of epochs for each model: as many free whole numbers as models."""
    best = {
        model: 1 + int(((curve - reported(model)) ** 2).sum(1).argmin())
        for model, curve in curves.items()
    }
    return found(setting, curves, best)


def below_a_loss(setting: str, curves: Mapping[str, Curve], losses: Mapping[str, Any]) -> Found:
    """The nearest where each model stops after the first epoch whose mean training loss is below a value that
    is the same for all; at its last epoch if it never is."""
    values = [-math.inf, *np.unique(np.concatenate([losses[model] for model in curves]))]

    def stopped(value: float) -> dict[str, int]:
        return {model: int(np.argmax([*(losses[model] <= value), True])) + 1 for model in curves}

    numbers = {tuple(stopped(value).items()) for value in values}
    limited = [
        {model: min(epoch, len(curves[model])) for model, epoch in one} for one in sorted(numbers)
    ]
    return min((found(setting, curves, one) for one in limited), key=lambda one: one.distance)


def without_a_gain(
    setting: str, curves: Mapping[str, Curve], held_out: Mapping[str, Any], patience: int
) -> Found:
    """Where each model stops at its best epoch on held-out images, once that many epochs have not been
    better; at the best of all if there always is a better one."""
    stops = {}
    for model in curves:
        best = 0
        for epoch, value in enumerate(held_out[model]):
            if value > held_out[model][best]:
                best = epoch
            elif epoch - best >= patience:
                break
        stops[model] = best + 1
    return found(setting, curves, stops)


KINDS = ("equal epochs", "own epochs", "one training loss", "no gain on held-out images")
"""Ways to choose the epochs."""


def by_kind(
    setting: str, curves: Mapping[str, Curve], losses: Mapping[str, Any]
) -> dict[str, Found]:
    """The nearest in one setting for each kind that needs no held-out images."""
    return {
        KINDS[0]: with_equal_epochs(setting, curves),
        KINDS[1]: with_own_epochs(setting, curves),
        KINDS[2]: below_a_loss(setting, curves, losses),
    }


def nearest(candidates: Sequence[Found]) -> tuple[Found, int]:
    """The nearest, and how many settings, its own among them, come within :data:`TIE` of it."""
    best = min(candidates, key=lambda one: one.distance)
    near = {one.setting for one in candidates if one.distance <= best.distance + TIE}
    return best, len(near)


def nearest_settings(measures: Measures, runs: Sequence[Run]) -> dict[str, Any]:
    """Which settings come nearest to Table 1, and all trajectories, as a dossier holds them.

    Args:
        measures: of this experiment.
        runs: of the study.
    """
    curves = trajectories(measures, runs)
    kept_out = {name: of for name, of in curves.items() if HELD_OUT in next(iter(of.values()))}
    whole = {
        name: of for name, of in curves.items() if len(of) == len(MODELS) and name not in kept_out
    }
    each = [
        by_kind(name, of, {m: np.array(c["loss"]) for m, c in whole[name].items()})
        for name, of in ((name, columns(of)) for name, of in whole.items())
    ]
    candidates = {kind: [of[kind] for of in each] for kind in KINDS[:3]}
    candidates[KINDS[3]] = [
        without_a_gain(name, columns(of), {m: c[HELD_OUT] for m, c in of.items()}, patience)
        for name, of in kept_out.items()
        for patience in PATIENCE
    ]
    described = {}
    for kind, some in candidates.items():
        best, ties = nearest(some)
        described[kind] = {
            "setting": best.setting,
            "epochs": best.epochs,
            "distance": best.distance,
            "within_a_point": ties,
        }
    return {"n_settings": len(whole), "nearest": described, "trajectories": curves}


def columns(curves: Mapping[str, Mapping[str, Any]]) -> dict[str, Curve]:
    """Model -> its accuracies after every epoch."""
    return {model: np.stack([of[column] for column in COLUMNS], 1) for model, of in curves.items()}


def trajectories(
    measures: Measures, runs: Sequence[Run]
) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Setting -> model -> measure -> its value after every epoch, the mean over seeds, to three decimals."""
    run_of = {run.setting: run for run in runs if run.experiment == EXPERIMENT.name}
    after: dict[str, dict[int, Mapping[str, Any]]] = {}
    for (setting, epochs), values in measures.items():
        after.setdefault(setting, {})[epochs] = values
    curves: dict[str, dict[str, dict[str, list[float]]]] = {}
    for setting, by_epoch in after.items():
        model = run_of[setting].network
        names = [*COLUMNS, "loss", *([HELD_OUT] if run_of[setting].held_out else [])]
        curves.setdefault(setting.removeprefix(f"{model}_"), {})[model] = {
            name: [_mean(by_epoch[epoch][name]) for epoch in sorted(by_epoch)] for name in names
        }
    return curves


def _mean(values: Sequence[float]) -> float:
    mean = float(np.mean(values))
    return round(mean, 3) if math.isfinite(mean) else 1e9  # the loss of a training that diverged


def draw(value: Mapping[str, Any]) -> Figure:
    """Accuracy moved against unmoved: every trajectory, and the nearest of each kind, a panel a model."""
    figure, panels = page(
        "Which settings give the report's rows?",
        "a line for each setting, from the first epoch to the last; cross: the report; marks: the nearest of "
        "each way to choose the epochs",
        4,
        panel_width=3.4,
    )
    found = value["settings"]
    for number, (axes, model) in enumerate(zip(panels, MODELS, strict=True)):
        for of in found["trajectories"].values():
            if model in of:
                curve = of[model]
                axes.plot(curve["unmoved"], curve["moved"], color=COLOURS[number], alpha=0.25)
        for kind, mark in zip(KINDS, MARKS, strict=False):
            near = found["nearest"][kind]
            curve, epoch = found["trajectories"][near["setting"]][model], near["epochs"][model] - 1
            label = f"{kind}: {near['distance']:.1f} points"
            axes.plot(
                curve["unmoved"][epoch], curve["moved"][epoch], mark, color="black",
                markerfacecolor="none", markersize=9, mew=1.5, zorder=7, label=label,
            )  # fmt: skip
        cross(axes, *map(float, reported(model)))
        axes.set_title(DISPLAY_NAMES[model], size=11)
        axes.set_xlim(75, 101)
        axes.set_ylim(30, 80)
        axes.set_xlabel("accuracy (unmoved), per cent")
    panels[0].set_ylabel("accuracy (moved), per cent")
    figure.subplots_adjust(wspace=0.12)
    legend_above(figure, panels[-1], 2)
    return figure


EXPERIMENT = Experiment(
    "settings",
    runs,
    draw,
    "Accuracy moved against unmoved after every epoch, for every setting and model, and the report's rows",
    more_runs=more_runs,
)
