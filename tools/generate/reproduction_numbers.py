"""The numbers in REPRODUCTION.md's sentences: ``WHAT`` in ``<!-- n WHAT -->61.3<!-- n -->``.

``WHAT`` is a name of :data:`NUMBERS` and its arguments, divided by spaces; the last may hold spaces::

    mean convolution lenet5_centred 2 moved      mean over seeds: experiment, setting, epochs, measure
    verdict 1 only centred digits                on a part of a claim
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from reproduction_format import decimals, interval, listed
from reproduction_tables import answered_at, best_epochs_of_model_2, lost
from reproduction_values import Summary, if_only_main_looks, values_of

from lenetshift.study.experiments import nearest, position_bias
from lenetshift.study.experiments.drawing import rows_of
from lenetshift.study.experiments.runs import HELD_OUT
from lenetshift.study.experiments.table import COLUMNS, EPOCHS, MODELS, VERDICTS, report_value


def number(summary: Summary, what: str) -> str:
    """The text of a number; ValueError if there is none of that name."""
    kind, *rest = what.split(" ", 1)
    if kind not in NUMBERS:
        raise ValueError(f"got the number {what!r}, expected {', '.join(NUMBERS)} with arguments")
    n_arguments = len(inspect.signature(NUMBERS[kind]).parameters) - 1
    arguments = rest[0].split(" ", n_arguments - 1) if rest else []
    try:
        return NUMBERS[kind](summary, *arguments)
    except (KeyError, TypeError, StopIteration, ValueError) as error:
        raise ValueError(f"got the number {what!r}, which the study does not have") from error


def mean(summary: Summary, experiment: str, setting: str, epochs: str, measure: str) -> str:
    """A measure's mean over seeds, per cent."""
    return f"{decimals(rows_of(summary, experiment)[setting, int(epochs)][measure]['mean'])}"


def cell(summary: Summary, model: str, column: str, field: str) -> str:
    """A cell of Table 1: its ``report``, ``mean``, ``sd``, ``verdict``, or how far the report's lies off."""
    for one in summary["table"]["cells"]:
        if (one["model"], one["column"]) == (model, column):
            value = one[field]
            return value if isinstance(value, str) else f"{abs(value):.1f}"
    raise KeyError(model)


def verdict(summary: Summary, claim: str, part: str) -> str:
    """The verdict on a part of a claim."""
    return _part(summary, claim, part)["verdict"] or "not judged"


def count(summary: Summary, word: str) -> str:
    """How many of Table 1's eight accuracies have a verdict."""
    if word not in VERDICTS:
        raise KeyError(word)
    return str(sum(one["verdict"] == word for one in summary["table"]["cells"]))


def distance(summary: Summary, kind: str) -> str:
    """How far the nearest setting lies off, by the way to choose the epochs, in points."""
    return f"{summary['settings']['nearest'][kind]['distance']:.1f}"


def distance_over_seeds(summary: Summary, kind: str) -> str:
    """How far the means over all seeds lie off, in the nearest setting of a way to choose the epochs."""
    rows, near = rows_of(summary, "nearest"), NEAREST_BY_KIND[kind]
    off = [
        rows[f"{model}_{near.name}", near.epochs_of(model)][column]["mean"]
        - report_value(model, column)
        for model in MODELS
        for column in COLUMNS
    ]
    return f"{math.sqrt(sum(one**2 for one in off) / len(off)):.1f}"


def moved_on_the_reports_unmoved(summary: Summary, field: str) -> str:
    """Model 2's accuracy moved where it reads as many unmoved digits as the report's, between two epochs of
    the setting nearest to Table 1: its ``mean`` or ``sd`` over seeds."""
    measures = values_of(summary)["nearest"]
    setting = f"{nearest.SYMMETRIC}_{nearest.OWN_EPOCHS.name}"
    epochs = sorted(epoch for name, epoch in measures if name == setting)
    unmoved, moved = (
        np.array([measures[setting, epoch][column] for epoch in epochs]) for column in COLUMNS
    )
    found = [
        _moved_on_the_reports_unmoved(*of_seed) for of_seed in zip(unmoved.T, moved.T, strict=True)
    ]
    return decimals(np.mean(found) if field == "mean" else np.std(found, ddof=1))


def least_moved_on_the_reports_unmoved(summary: Summary) -> str:
    """The same in the setting where it is least, of all that were tried without held-out images and read as
    many unmoved digits, whole per cent rounded down."""
    goal, found = report_value(nearest.SYMMETRIC, COLUMNS[0]), []
    for of in summary["settings"]["trajectories"].values():
        curve = of.get(nearest.SYMMETRIC, {HELD_OUT: []})
        if HELD_OUT not in curve and max(curve[COLUMNS[0]]) >= goal > curve[COLUMNS[0]][0]:
            found.append(_moved_on_the_reports_unmoved(*(curve[column] for column in COLUMNS)))
    return str(math.floor(min(found)))


def _moved_on_the_reports_unmoved(unmoved: Sequence[float], moved: Sequence[float]) -> float:
    """Accuracy moved where a straight line between two epochs first reaches the report's accuracy unmoved."""
    goal = report_value(nearest.SYMMETRIC, COLUMNS[0])
    after = next(epoch for epoch, read in enumerate(unmoved) if read >= goal)
    part = (goal - unmoved[after - 1]) / (unmoved[after] - unmoved[after - 1])
    return moved[after - 1] + part * (moved[after] - moved[after - 1])


def gap_over_seeds(summary: Summary, kind: str) -> str:
    """LeNet-5's mean less the symmetric one's, moved, in one of the nearest settings, in points."""
    rows, near = rows_of(summary, "nearest"), NEAREST_BY_KIND[kind]
    model_0, model_2 = (
        rows[f"{model}_{near.name}", near.epochs_of(model)]["moved"]["mean"]
        for model in ("lenet5", nearest.SYMMETRIC)
    )
    return decimals(model_0 - model_2)


def looks(summary: Summary) -> str:
    """How many looks the probabilities are corrected for."""
    return str(sum(len(part["looks"]) for one in summary["claims"] for part in one["parts"]))


def main_looks(summary: Summary) -> str:
    """How many parts have a main look."""
    return str(sum(bool(part["looks"]) for one in summary["claims"] for part in one["parts"]))


def open_by_correction(summary: Summary, word: str) -> str:
    """The parts that would have a verdict if only the main looks were corrected for their number."""
    names = [f"*{name}*" for name, verdict in if_only_main_looks(summary) if verdict == word]
    return listed(names) if names else "none"


def look(summary: Summary, claim: str, epochs: str, part: str) -> str:
    """The first look at a part after so many epochs: its value and interval."""
    looks = _part(summary, claim, part)["looks"]
    found = next(one for one in looks if one["epochs"] == int(epochs))
    return f"{decimals(found['value'])} {interval(found['interval'])}"


def _part(summary: Summary, claim: str, name: str) -> Mapping[str, Any]:
    """A part of a claim, by the claim's number and its own name."""
    of_claim = next(one for one in summary["claims"] if one["claim"] == int(claim))
    return next(part for part in of_claim["parts"] if part["name"] == name)


def settings_tried(summary: Summary) -> str:
    """How many settings were tried."""
    return str(summary["settings"]["n_settings"])


def report_gap(summary: Summary) -> str:
    """The report's Model 0 less its Model 2, moved, in points."""
    return f"{report_value('lenet5', 'moved') - report_value('symmetric_lenet5', 'moved'):.1f}"


def largest_gap(summary: Summary) -> str:
    """The most points by which LeNet-5 is ahead of the symmetric one after as many epochs, moved, in any
    setting without held-out images, where both read :data:`LEARNT` unmoved."""
    gaps = []
    for of in summary["settings"]["trajectories"].values():
        both = [of[model] for model in ("lenet5", "symmetric_lenet5") if model in of]
        if len(both) == 2 and HELD_OUT not in both[0]:
            unmoved, moved = (zip(*(one[c] for one in both), strict=True) for c in COLUMNS)
            gaps += [
                model_0 - model_2
                for (model_0, model_2), read in zip(moved, unmoved, strict=True)
                if min(read) >= LEARNT
            ]
    return f"{max(gaps):.1f}"


def best_epochs(summary: Summary) -> str:
    """The number of epochs at which Model 2 comes nearest to its row."""
    return str(best_epochs_of_model_2(summary))


def own_epochs(summary: Summary, model: str) -> str:
    """A model's number of epochs in the experiment nearest."""
    return str(nearest.OWN_EPOCHS.epochs_of(model))


def correlation(summary: Summary, pixels: str) -> str:
    """Of pixels so far apart."""
    return f"{summary['facts']['pixel_correlation'][pixels]:.2f}"


def r2(summary: Summary, side: str) -> str:
    """Of pixels from an S2 with so many units a side."""
    return f"{summary['facts']['pixels_from_s2']['mean'][side]:.2f}"


def loss(summary: Summary, experiment: str, setting: str, pixels: str) -> str:
    """Points lost at so many pixels, after two epochs."""
    return f"{lost(rows_of(summary, experiment)[setting, EPOCHS], int(pixels)):.1f}"


def share_of_loss(summary: Summary, pixels: str) -> str:
    """LeNet-5's loss at so many pixels divided by the MLP's."""
    of = rows_of(summary, "convolution")
    lenet5, mlp = (of[f"{model}_centred", EPOCHS] for model in ("lenet5", "mlp"))
    return f"{lost(lenet5, int(pixels)) / lost(mlp, int(pixels)):.2f}"


def first(summary: Summary, setting: str, digit: str) -> str:
    """The three other true digits that are most often answered with a moved one at its place."""
    run = next(run for run in position_bias.runs([0]) if run.setting == setting)
    dx = next(dx for moved, dx, _ in run.rule if moved == int(digit))
    by_class = answered_at(summary, setting, int(digit), dx)
    others = sorted((c for c in by_class if c != digit), key=lambda c: -by_class[c])
    return listed(others[:3])


def seeds(summary: Summary) -> str:
    """The most seeds of a setting."""
    return str(summary["study"]["seeds"])


NEAREST_BY_KIND = dict(
    zip(
        ("own epochs", "equal epochs", "one training loss", "LeCun"),
        nearest.NEAREST,
        strict=True,
    )
)
"""Way to choose the epochs, or what is different in training -> the setting of the experiment nearest."""

LEARNT = 90.0
"""Per cent."""

NUMBERS: dict[str, Callable[..., str]] = {
    "mean": mean,
    "cell": cell,
    "verdict": verdict,
    "count": count,
    "distance": distance,
    "distance_over_seeds": distance_over_seeds,
    "moved_on_the_reports_unmoved": moved_on_the_reports_unmoved,
    "least_moved_on_the_reports_unmoved": least_moved_on_the_reports_unmoved,
    "looks": looks,
    "main_looks": main_looks,
    "open_by_correction": open_by_correction,
    "look": look,
    "settings_tried": settings_tried,
    "report_gap": report_gap,
    "largest_gap": largest_gap,
    "gap_over_seeds": gap_over_seeds,
    "best_epochs": best_epochs,
    "own_epochs": own_epochs,
    "correlation": correlation,
    "r2": r2,
    "loss": loss,
    "share_of_loss": share_of_loss,
    "first": first,
    "seeds": seeds,
}
