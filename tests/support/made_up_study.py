"""A whole study whose measures are made up: its dossier is put together as that of any other, but no network
is trained and nothing is read."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lenetshift.checks.text import json_value
from lenetshift.study import contents
from lenetshift.study.experiments.measures import DEFINITIONS
from lenetshift.study.experiments.position_bias import FIGURES, RULE
from lenetshift.study.experiments.runs import GRID, HELD_OUT, LAST, Run
from lenetshift.study.plans import Plan
from lenetshift.study.run_files import Kept
from lenetshift.study.summary import summarize_dossier

GROUND = {
    **{"lenetshift": "0.0", "torch": "0.0", "isa": "avx2", "data": "none"},
    **{"n_train": 60_000, "n_test": 10_000},
}
ENVIRONMENT = {"commit": "none", "python": "3.0", "processor": "made up", "logical_cpus": 1}


def made_up_dossier(n_seeds: int = 5, plan: Plan | None = None) -> dict[str, Any]:
    """What ``dossier.json`` would hold; by default, of a whole study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "read_run", lambda folder, run, ground: _kept())
        patch.setattr(contents, "_after_epochs", _after_epochs)
        patch.setattr(contents, "facts_of", lambda plan, folder: _facts())
        value = contents.contents(plan or Plan(n_seeds), Path(), GROUND)
    made: dict[str, Any] = json_value({**value, "environment": ENVIRONMENT})
    return made


def made_up_summary(n_seeds: int = 5, plan: Plan | None = None) -> dict[str, Any]:
    """Its summary."""
    return summarize_dossier(json.dumps(made_up_dossier(n_seeds, plan)).encode())


def _kept() -> Kept:
    predictions = np.zeros((1, 10_000, *GRID.shape), np.uint8)
    return Kept(predictions, None, np.zeros((1, 1), np.float32), 100, "0" * 64, "0" * 64)


def _after_epochs(run: Run, *_: Any) -> dict[int, tuple[dict[str, float], dict[str, Any]]]:
    draws = np.random.default_rng(zlib.crc32(run.name.encode()))
    return {epoch: _measures(run, epoch, draws) for epoch in run.epochs}


def _measures(
    run: Run, epoch: int, draws: np.random.Generator
) -> tuple[dict[str, float], dict[str, Any]]:
    """Accuracies that grow with the epochs, and fall with the distance; perceptrons have lower ones."""
    perceptron = "mlp" in run.network
    learnt = 1 - 0.5 * np.exp(-5 * epoch * run.learning_rate**0.5)
    unmoved = (92 if perceptron else 97) * learnt + draws.normal(0, 0.3)
    reach = (3 if perceptron else 4) * learnt + draws.normal(0, 0.05)
    by_dx = {f"dx={dx}": 10 + (unmoved - 10) * np.exp(-((dx / reach) ** 2)) for dx in GRID.dx}
    moved = float(np.mean([*by_dx.values()])) - 3
    values = dict.fromkeys(DEFINITIONS, moved / 2)
    values |= {"unmoved": unmoved, "moved": moved, "kept": moved + 2, "change": moved - unmoved}
    values |= {"loss": 2.3 * (1 - learnt) + 0.05}
    if run.keeps == LAST:
        return values | ({HELD_OUT: unmoved - 1} if run.held_out else {}), {}
    values |= by_dx
    digits = sorted({digit for digit, _, _ in run.rule} if len(run.rule) <= 2 else RULE)
    answered = {}
    for digit in digits if run.rule else ():
        shares = {dx: 50 + 9 * dx * (1 if digit in (3, 1, 4, 0) else -1) for dx in GRID.dx}
        values |= {f"answered {digit} at dx={dx}": share for dx, share in shares.items()}
        by_class = {str(c): [draws.uniform(0, 100) for _ in GRID.dx] for c in range(10)}
        answered[str(digit)] = {"all": [*shares.values()], **by_class}
    if run.experiment == "table" and run.rule:
        values |= dict.fromkeys(FIGURES, 100.0)
    return values, answered


def _facts() -> dict[str, Any]:
    def like(layers: tuple[str, ...]) -> dict[str, Any]:
        rows = {layer: [1 - abs(dx) / 10 for dx in GRID.dx] for layer in layers}
        return {"n_seeds": 5, "mean": rows}

    convolutions = ("C1", "S2", "C3", "S4")
    aligned = {layer: [None if dx % 2 else 0.9 for dx in GRID.dx] for layer in convolutions}
    return {
        "pixel_correlation": {str(d): round(0.7**d, 4) for d in range(1, 15)},
        "layer_similarity": {
            "lenet5": like(("pixels", *convolutions, "C5", "F6", "logits")),
            "mlp": like(("pixels", "hidden", "logits")),
        },
        "aligned_similarity": {"n_seeds": 5, "mean": aligned},
        "pixels_from_s2": {"n_seeds": 5, "mean": {"14": 0.95, "12": 0.94, "11": 0.93, "7": 0.88}},
    }
