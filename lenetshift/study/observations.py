"""The facts of a study: what is measured on the images and on the weights of its runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ..checks.errors import ArgumentError
from ..data.dataset import Dataset, evenly_spaced
from .experiments.runs import GRID, Run, network_of, one_thread
from .facts.layer_similarity import aligned_similarity, layer_similarity
from .facts.pixel_correlation import pixel_correlation
from .facts.pixels_from_s2 import pixels_from_s2
from .plans import Plan
from .run_files import read_weights

N_SEEDS = 5
"""The most seeds whose networks are looked at."""

N_IMAGES, N_FITTED = 1_000, 10_000
"""Test images whose layers are compared; training images to which pixels are fitted."""

SIDES = (14, 12, 11, 7)
"""Units a side of S2."""


def facts_of(plan: Plan, folder: Path) -> dict[str, Any]:
    """The facts of a study whose runs are finished, as a dossier holds them: means over seeds.

    Networks whose training diverged, or whose layers are all alike, are left out.
    """
    train_set, test_set = plan.datasets()
    some = _some(test_set, N_IMAGES)
    of = {model: _networks(plan, folder, model) for model in ("lenet5", "mlp")}
    with one_thread():
        return {
            "pixel_correlation": pixel_correlation(train_set.images),
            "layer_similarity": {
                model: _mean_over(networks, lambda n: layer_similarity(n, some.images, GRID.dx))
                for model, networks in of.items()
            },
            "aligned_similarity": _mean_over(
                of["lenet5"], lambda n: aligned_similarity(n, some.images, GRID.dx)
            ),
            "pixels_from_s2": _mean_over(
                of["lenet5"],
                lambda n: pixels_from_s2(
                    n, _some(train_set, N_FITTED).images, test_set.images, SIDES
                ),
            ),
        }


def _some(dataset: Dataset, n: int) -> Dataset:
    rows = evenly_spaced(min(n, len(dataset)), len(dataset))
    return Dataset(dataset.images[rows], dataset.labels[rows])


def _networks(plan: Plan, folder: Path, model: str) -> list[nn.Module]:
    """The networks of Table 1 of some seeds, with their weights."""
    runs = [run for run in plan.runs if (run.experiment, run.setting) == ("table", model)]
    return [_loaded(folder, run) for run in runs[:N_SEEDS]]


def _loaded(folder: Path, run: Run) -> nn.Module:
    network = network_of(run)
    network.load_state_dict(read_weights(folder, run))
    return network.eval()


def _mean_over(networks: list[nn.Module], measure: Callable[[nn.Module], Any]) -> dict[str, Any]:
    """The mean of a measurement over networks, and how many there are."""
    found = []
    for network in networks:
        try:
            found.append(measure(network))
        except ArgumentError:  # not finite
            continue
    return {"n_seeds": len(found), "mean": _mean(found) if found else None}


def _mean(values: list[Any]) -> Any:
    """The mean of numbers, of lists of them and of mappings to them; None of None. To four decimals."""
    first = values[0]
    if isinstance(first, dict):
        return {str(key): _mean([value[key] for value in values]) for key in first}
    if isinstance(first, (list, tuple)):
        return [_mean(list(some)) for some in zip(*values, strict=True)]
    return None if first is None else round(float(np.mean(values)), 4)
