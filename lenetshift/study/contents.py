"""The contents of ``dossier.json``, from run files and labels alone: no network is run here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks.errors import StorageError
from .experiments import settings_grid, table
from .experiments.claims import claims
from .experiments.criteria import Measures
from .experiments.measures import DEFINITIONS, accuracy_by_dx, answered_by_class, measure
from .experiments.position_bias import RULE, figures_as_reported
from .experiments.runs import GRID, Run
from .experiments.statistics import interval_of_mean, sample
from .plans import Plan
from .run_files import SCHEMA, answers_path, read_run, weights_path

DEFINITIONS_BY_PLACE = {
    "dx=D": "test images answered right at shift (D, 0)",
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
        after = {}
        for epoch, predictions in zip(run.epochs, kept.predictions, strict=True):
            if len(predictions) != len(labels):
                raise StorageError(
                    f"{answers_path(folder, run)}: predictions: got {len(predictions)} images, "
                    f"expected {len(labels)}"
                )
            values, answered = _measures(run, predictions, labels, rows, kept.losses[epoch - 1])
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
    return {
        "schema": SCHEMA,
        "note": plan.note,
        "study": {
            "seeds": plan.n_seeds,
            "experiments": list(plan.experiments),
            "quick": plan.quick,
        },
        "ground": dict(ground),
        "data_sha256": plan.data_sha256(),
        "grid": {"dx": list(GRID.dx), "dy": list(GRID.dy)},
        "definitions": _definitions(),
        "table": {"misprint": table.MISPRINT, "cells": table.cells(measures["table"])}
        if "table" in plan.experiments
        else None,
        "claims": claims(measures, rows),
        "settings_grid": settings_grid.nearest_settings(measures["settings_grid"], plan.runs)
        if "settings_grid" in plan.experiments
        else None,
        "summaries": [row for item in measures.items() for row in _summaries(*item)],
        "answered_by_class": _answered(by_class),
        "runs": runs,
    }


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


def _summaries(experiment: str, of: Measures) -> Iterator[dict[str, Any]]:
    """Each measure over seeds."""
    for (setting, epoch), values in of.items():
        for name, per_seed in values.items():
            row = {"experiment": experiment, "setting": setting, "epochs": epoch, "measure": name}
            if np.isfinite(per_seed).all():
                s = sample(per_seed)
                mean: dict[str, Any] = {
                    "n_seeds": s.n, "mean": s.mean, "sd": s.sd,
                    "interval": interval_of_mean(s),
                }  # fmt: skip
            else:  # a training that diverged has no loss
                mean = {"n_seeds": len(per_seed), "mean": None, "sd": None, "interval": None}
            yield {**row, **mean, "interval_over": "seeds"}


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
