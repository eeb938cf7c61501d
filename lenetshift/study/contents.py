"""The contents of ``dossier.json``, from run files and labels alone: no network is run here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks.errors import StorageError
from .experiments import settings, table
from .experiments.claims import claims
from .experiments.criteria import Measures
from .experiments.measures import DEFINITIONS, accuracy_by_dx, answered_by_class, mean_loss, measure
from .experiments.position_bias import RULE, figures_as_reported
from .experiments.recorded import Recorded
from .experiments.runs import GRID, Run, accuracies
from .experiments.statistics import mean_of, sample, within
from .experiments.trainings import trainings_of
from .observations import facts_of
from .plans import Plan
from .run_files import SCHEMA, Kept, answers_path, read_run, weights_path

DEFINITIONS_BY_PLACE = {
    "dx=D": "test images answered right at shift (D, 0)",
    "held_out": "training images that were held out, answered right unmoved",
    "answered K at dx=D": "test images answered K at shift (D, 0), whatever they show",
    "figures 1 and 2": "of test images 4017 and 4888, patterns with |dx| of 3 or more that are answered "
    "3 on the right and 2 on the left; none of an image that is misread unmoved",
    "figures 3 and 4": "of test images 5392 and 8655, those misread unmoved",
}


def contents(plan: Plan, folder: Path, ground: Mapping[str, Any]) -> dict[str, Any]:
    """Everything in ``dossier.json`` that follows from plan, data and run files.

    Args:
        plan: the study's.
        folder: where its run files lie.
        ground: what they must have been written on.

    Raises:
        StorageError: a run's file is missing, damaged or of another ground.
    """
    labels = plan.datasets()[1].labels.numpy()
    rows = {index: row for row, index in enumerate(plan.test_indices())}
    runs = []
    measures: dict[str, dict[tuple[str, int], dict[str, list[float]]]] = {}
    by_class: dict[tuple[str, str, int], list[Any]] = {}
    for run in plan.runs:
        kept = read_run(folder, run, ground)
        if kept is None:
            raise StorageError(f"{answers_path(folder, run)}: got no file, expected a finished run")
        if kept.predictions.shape[1] != len(labels):
            raise StorageError(
                f"{answers_path(folder, run)}: predictions: got {kept.predictions.shape[1]} images, "
                f"expected {len(labels)}"
            )
        _check_accuracies(folder, run, kept, labels)
        after = {}
        for epoch, (values, answered) in _after_epochs(run, kept, labels, rows).items():
            after[str(epoch)] = values
            of_experiment = measures.setdefault(run.experiment, {})
            of_setting = of_experiment.setdefault((run.setting, epoch), {})
            for name, value in values.items():
                of_setting.setdefault(name, []).append(value)
            if answered:
                by_class.setdefault((run.experiment, run.setting, epoch), []).append(answered)
        runs.append(
            {
                "name": run.name,
                "run": run.to_dict(),
                "method": run.method,
                "parameters": kept.parameters,
                "answers": str(answers_path(Path(), run).as_posix()),
                "answers_sha256": kept.sha256,
                "weights": str(weights_path(Path(), run).as_posix()),
                "weights_sha256": kept.checkpoint_sha256,
                "after_epoch": after,
            }
        )
    used = Recorded(measures)
    of_report = plan.of_the_report
    return {
        "schema": SCHEMA,
        "note": plan.note,
        "study": {
            "seeds": plan.n_seeds,
            "experiments": list(plan.experiments),
            "quick": plan.quick,
            "thorough": plan.thorough,
        },
        "n_trainings": len(trainings_of(plan.runs)),
        "ground": dict(ground),
        "data_sha256": plan.data_sha256(),
        "grid": {"dx": list(GRID.dx), "dy": list(GRID.dy)},
        "definitions": _definitions(),
        "table": {
            "misprint": table.MISPRINT,
            "cells": table.cells(measures["table"], plan.quick, of_report),
        }
        if "table" in plan.experiments
        else None,
        "claims": claims(used, rows if of_report else (), plan.quick),
        "values": used.values_read(table.values_read() if "table" in plan.experiments else ()),
        "settings": settings.nearest_settings(measures["settings"], plan.runs)
        if "settings" in plan.experiments
        else None,
        "facts": facts_of(plan, folder) if "table" in plan.experiments else None,
        "summaries": [row for item in measures.items() for row in _summaries(*item, plan.quick)],
        "answered_by_class": _answered(by_class),
        "runs": runs,
    }


def _after_epochs(
    run: Run, kept: Kept, labels: NDArray[np.int64], rows: Mapping[int, int]
) -> dict[int, tuple[dict[str, float], dict[str, Any]]]:
    """Epoch -> the numbers of one network and, if it is position-biased, its answers by true class."""
    after = {}
    for n, epoch in enumerate(run.epochs):
        losses = kept.losses[epoch - 1]
        if kept.accuracies is None:
            after[epoch] = _measures(run, kept.predictions[n], labels, rows, losses)
        else:
            values = dict(zip(run.accuracies, kept.accuracies[n].tolist(), strict=True))
            after[epoch] = {**values, "loss": mean_loss(losses)}, {}
    return after


def _check_accuracies(folder: Path, run: Run, kept: Kept, labels: NDArray[np.int64]) -> None:
    """Raise StorageError unless the accuracies that a run keeps of every epoch can be those of predictions,
    and those after the last epoch are those of the predictions that it keeps."""
    if kept.accuracies is None:
        return
    last = accuracies(kept.predictions[-1], labels)
    for epoch, row in zip(run.epochs, kept.accuracies.tolist(), strict=True):
        values = dict(zip(run.accuracies, row, strict=True))
        expected = {
            **{name: min(max(value, 0.0), 100.0) for name, value in values.items()},
            "change": values["moved"] - values["unmoved"],
            **(last if epoch == run.epochs[-1] else {}),
        }
        for name, value in values.items():
            if not math.isclose(value, expected[name], rel_tol=0, abs_tol=1e-9):
                raise StorageError(
                    f"{answers_path(folder, run)}: accuracies: {name} after epoch {epoch}: got {value:g}, "
                    f"expected {expected[name]:g}"
                )


def _measures(
    run: Run,
    predictions: NDArray[np.uint8],
    labels: NDArray[np.int64],
    rows: Mapping[int, int],
    losses: NDArray[np.float32],
) -> tuple[dict[str, float], dict[str, Any]]:
    """The numbers of one network and, if it is position-biased, its answers by true class."""
    values = measure(predictions, labels, losses)
    by_dx = accuracy_by_dx(predictions, labels)
    values |= {f"dx={dx}": accuracy for dx, accuracy in zip(GRID.dx, by_dx, strict=True)}
    # If all digits are moved alike, the report's two say enough, and that the answers are spread over all.
    digits = sorted({digit for digit, _, _ in run.rule} if len(run.rule) <= 2 else RULE)
    answered = answered_by_class(predictions, labels, digits if run.rule else ())
    for digit, shares in answered.items():
        for dx, share in zip(GRID.dx, shares["all"], strict=True):
            values[f"answered {digit} at dx={dx}"] = share
    if run.experiment == "table" and run.rule:
        values |= figures_as_reported(predictions, labels, rows)
    return values, answered


def _definitions() -> list[dict[str, str]]:
    return [
        {
            "measure": name,
            "unit": "nats" if name == "loss" else "per cent",
            "definition": definition,
        }
        for name, definition in {**DEFINITIONS, **DEFINITIONS_BY_PLACE}.items()
    ]


def _summaries(experiment: str, of: Measures, quick: bool) -> Iterator[dict[str, Any]]:
    """Each measure over seeds; a single seed has no standard deviation and no interval."""
    for (setting, epoch), values in of.items():
        for name, per_seed in values.items():
            n = len(per_seed)
            row = {"experiment": experiment, "setting": setting, "epochs": epoch, "measure": name}
            row |= {"n_seeds": n, "mean": None, "sd": None, "interval": None}
            if np.isfinite(per_seed).all():  # else a training has diverged
                row["mean"] = float(np.mean(per_seed))
                if n > 1:
                    row["sd"] = sample(per_seed).sd
                    row["interval"] = None if quick else _interval(name, per_seed)
            yield {**row, "interval_over": "seeds"}


def _interval(name: str, per_seed: Sequence[float]) -> Any:
    """Where the mean lies, within the bounds of what it is about."""
    interval = mean_of(per_seed).interval
    return interval if name in ("loss", "change") else within(interval, 0, 100)


def _answered(by_class: Mapping[tuple[str, str, int], Sequence[Any]]) -> list[dict[str, Any]]:
    """Means over seeds of :func:`lenetshift.study.experiments.measures.answered_by_class`."""
    return [
        {
            "experiment": experiment,
            "setting": setting,
            "epochs": epoch,
            "answered": {
                digit: {
                    shown: np.mean([of[digit][shown] for of in per_seed], 0).tolist()
                    for shown in per_seed[0][digit]
                }
                for digit in per_seed[0]
            },
        }
        for (experiment, setting, epoch), per_seed in by_class.items()
    ]
