"""Made-up measures of a study: every setting, number of epochs and measure that its runs have."""

from __future__ import annotations

import zlib

import numpy as np

from lenetshift.study import contents
from lenetshift.study.experiments.position_bias import FIGURE_INDICES
from lenetshift.study.experiments.runs import GRID, LAST, Run
from lenetshift.study.experiments.table import COLUMNS, report_value
from lenetshift.study.plans import Plan
from lenetshift.study.run_files import Kept

LABELS = np.arange(12) % 10
ROWS = {index: row for row, index in enumerate([*FIGURE_INDICES, *range(8)])}


def names_of(run: Run) -> list[str]:
    """The measures that a dossier has of a run after each of its epochs."""
    n_epochs = len(run.epochs)
    predictions = np.zeros((run.n_kept, len(LABELS), *GRID.shape), np.uint8)
    accuracies = np.zeros((n_epochs, len(run.accuracies))) if run.keeps == LAST else None
    losses = np.ones((run.epochs[-1], 2), np.float32)
    kept = Kept(predictions, accuracies, losses, 1, "", "")
    names = {tuple(v) for v, _ in contents._after_epochs(run, kept, LABELS, ROWS).values()}
    (always_the_same,) = names
    return list(always_the_same)


def measures_of(plan: Plan, level=60.0, scatter=0.05):
    """Experiment -> (setting, epochs) -> measure -> values that scatter about one level, those of the
    experiment ``nearest`` about the report's rows; always the same."""
    measures = {}
    by_setting = {}
    for run in plan.runs:
        by_setting.setdefault((run.experiment, run.setting), []).append(run)
    for (experiment, setting), runs in by_setting.items():
        of_experiment = measures.setdefault(experiment, {})
        for name in names_of(runs[0]):
            middle = level
            if experiment == "nearest" and name in COLUMNS:
                middle = report_value(runs[0].network, name)
            draws = np.random.default_rng(zlib.crc32(f"{experiment} {setting} {name}".encode()))
            for epoch in runs[0].epochs:
                values = middle + scatter * draws.normal(size=len(runs))
                of_experiment.setdefault((setting, epoch), {})[name] = values.tolist()
    return measures


def shifted(measures, setting, measure, by):
    """One experiment's measures with one measure of one setting higher, after all numbers of epochs."""
    changed = dict(measures)
    for key, of in measures.items():
        if key[0] == setting:
            changed[key] = {**of, measure: [value + by for value in of[measure]]}
    return changed
