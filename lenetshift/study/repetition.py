"""Parts of a verified study done again: the last evaluation of some runs from their weights, the training of
one run. The dossier itself cannot prove that networks gave its predictions and losses; this can.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..checks.errors import Differs, StorageError
from ..predict.predict_shifts import predict_shifts
from .experiments.runs import (
    GRID,
    HELD_OUT,
    Run,
    accuracy_unmoved,
    network_of,
    one_thread,
    without_held_out,
)
from .experiments.trainings import perform
from .plans import Plan
from .run_files import Kept, answers_path, read_run, read_weights

ROUNDING = 1e-4
"""Rounding may change an answer if the logits of the two answers lie no farther apart than this times the
pattern's largest absolute logit. Between instruction sets, and between the fused and the plain way, a
logit of the study's networks differs by up to 1e-5 of that."""

MOST_BY_ROUNDING = 1e-3
"""The largest share of a run's predictions that rounding may change. Without this bound, weights of zero,
whose logits are all equal, would agree with any answers."""


@dataclass(frozen=True)
class Count:
    """How many of some numbers differ.

    Attributes:
        of: what they are, in the plural.
        different: how many differ.
        total: how many there are.
    """

    of: str
    different: int
    total: int

    def __str__(self) -> str:
        """Such as ``3 of 3300 predictions differ (0.09 %)``."""
        share = f" ({100 * self.different / self.total:.2g} %)" if self.different else ""
        return f"{self.different} of {self.total} {self.of} differ{share}"


def draw_runs(plan: Plan, n: int | None) -> list[Run]:
    """Some of a plan's runs, drawn anew in each call, in the plan's order; all for None, or if there are no
    more."""
    runs = plan.runs
    if n is None or n >= len(runs):
        return runs
    return [runs[index] for index in sorted(random.SystemRandom().sample(range(len(runs)), n))]


def evaluate_again(folder: Path, run: Run, value: Mapping[str, Any], plan: Plan) -> Count:
    """Evaluate a run of a verified dossier after its last epoch, from its weights.

    Args:
        folder: of the study.
        run: of the plan.
        value: the dossier.
        plan: the dossier's, with the data.

    Returns:
        How many predictions differ from the stored ones. On the ground of the study (version, PyTorch,
        instruction set and data) none of a network with fused ops may. Otherwise rounding may change
        some, within :data:`ROUNDING` and :data:`MOST_BY_ROUNDING`.

    Raises:
        Differs: more differ; or the accuracy on held-out images differs, by more than the share
            :data:`MOST_BY_ROUNDING` where rounding may change it.
        StorageError: a file of the run cannot be used.
    """
    kept = _kept(folder, run, value)
    stored = kept.predictions[-1]
    train_set, test_set = plan.datasets()
    images = test_set.images
    exact = run.method == "fused" and plan.ground() == value["ground"]
    with one_thread():
        network = network_of(run)
        network.load_state_dict(read_weights(folder, run))
        if kept.accuracies is not None and run.held_out:
            then = float(kept.accuracies[-1, run.accuracies.index(HELD_OUT)])
            found = accuracy_unmoved(network, without_held_out(run, train_set)[1])
            if abs(found - then) > (1e-9 if exact else 100 * MOST_BY_ROUNDING):
                raise Differs(
                    f"{run.name}: accuracy on held-out images: got {then:g}, evaluated from its weights "
                    f"{found:g}"
                )
        now = predict_shifts(network, images, GRID).numpy()
        wrong = np.argwhere(now != stored)
        count = Count("predictions", len(wrong), stored.size)
        if not count.different:
            return count
        if not exact and count.different <= MOST_BY_ROUNDING * count.total:
            wrong = wrong[~_near(network, images, stored, wrong)]
    if not len(wrong):
        return count
    image, row, column = (int(index) for index in wrong[0])
    raise Differs(
        f"{run.name}: evaluated from its weights, {count}"
        f"{'' if exact else ', more than rounding explains'}: that of test image {image} at shift "
        f"({GRID.dx[column]}, {GRID.dy[row]}) is {stored[image, row, column]}, now "
        f"{now[image, row, column]}"
    )


def train_again(folder: Path, run: Run, value: Mapping[str, Any], plan: Plan) -> Sequence[Count]:
    """Repeat a run of a verified dossier from its seed.

    Returns:
        How many predictions (of all evaluated epochs, or the last), accuracies (of every epoch, if the run
        keeps them), losses and weights differ from the stored ones. On the ground of the study none may.

    Raises:
        Differs: the losses are of another number of steps.
        StorageError: a file of the run cannot be used.
    """
    kept, weights = _kept(folder, run, value), read_weights(folder, run)
    outcome = perform(run, *plan.datasets())
    if kept.losses.shape != outcome.losses.shape:
        (_, then), (_, now) = kept.losses.shape, outcome.losses.shape
        raise Differs(
            f"{run.name}: losses: got {then} steps in an epoch, trained again it has {now}"
        )
    n_weights = sum(weight.numel() for weight in weights.values())
    different = sum(
        _different(weight.numpy(), outcome.state_dict[name].numpy())
        for name, weight in weights.items()
    )
    pairs: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {
        "predictions": (kept.predictions, outcome.predictions)
    }
    if kept.accuracies is not None and outcome.accuracies is not None:
        pairs["accuracies"] = kept.accuracies, outcome.accuracies
    pairs["losses"] = kept.losses, outcome.losses
    counts = [Count(of, _different(*pair), pair[0].size) for of, pair in pairs.items()]
    return [*counts, Count("weights", different, n_weights)]


def _kept(folder: Path, run: Run, value: Mapping[str, Any]) -> Kept:
    kept = read_run(folder, run, value["ground"])
    if kept is None:  # removed since the dossier was verified
        raise StorageError(f"{answers_path(folder, run)}: got no file, expected a finished run")
    return kept


def _near(
    network: nn.Module,
    images: torch.Tensor,
    stored: NDArray[np.uint8],
    places: NDArray[np.intp],
) -> NDArray[np.bool_]:
    """Whether rounding explains the stored answer at each of some places (image, row, column)."""
    chosen, rows = np.unique(places[:, 0], return_inverse=True)
    _, found = predict_shifts(network, images[torch.from_numpy(chosen)], GRID, return_logits=True)
    logits = found.numpy()[rows, places[:, 1], places[:, 2]]  # [n, K]
    answers = stored[tuple(places.T)][:, None]
    behind = logits.max(1) - np.take_along_axis(logits, answers, 1)[:, 0]
    near: NDArray[np.bool_] = behind <= ROUNDING * np.abs(logits).max(1)  # False for NaN
    return near


def _different(then: NDArray[Any], now: NDArray[Any]) -> int:
    """How many numbers differ; NaN equals NaN."""
    return int(((then != now) & ~((then != then) & (now != now))).sum())
