"""Trainings: each is done once for all runs that look at it, after whatever epochs.

Experiments share trainings: the LeNet-5 of Table 1 after two epochs is that of a trajectory of forty. Each
training is done once, and gives the outcome of each of its runs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...data.dataset import Dataset
from .networks import trained_parameters
from .runs import (
    HELD_OUT,
    LAST,
    Run,
    RunState,
    accuracies,
    accuracy_unmoved,
    continue_run,
    network_of,
    one_thread,
    without_held_out,
)


@dataclass(frozen=True)
class Outcome:
    """What a run gives.

    Attributes:
        predictions: uint8 ``[n, N, n_dy, n_dx]``, for each of the epochs or the last.
        accuracies: float64 ``[len(epochs), len(run.accuracies)]`` if only the last predictions are kept, else
            None.
        losses: float32 ``[epochs[-1], n_steps]``, of every step.
        state_dict: the weights after the last epoch.
        parameters: how many of them are trained.
    """

    predictions: NDArray[np.uint8]
    accuracies: NDArray[np.float64] | None
    losses: NDArray[np.float32]
    state_dict: dict[str, Tensor]
    parameters: int


@dataclass(frozen=True)
class Training:
    """Runs with the same ``training_of_its_own``, in any order; at least one."""

    runs: tuple[Run, ...]

    @property
    def longest(self) -> Run:
        """The run that trains the most epochs, evaluated after the epochs of all of them."""
        epochs = {epoch for run in self.runs for epoch in run.epochs}
        longest = max(self.runs, key=lambda run: run.epochs[-1])
        return replace(longest, epochs=tuple(sorted(epochs)))

    @property
    def work(self) -> float:
        """Roughly how long it takes, in fused epochs."""
        return self.longest.work


def trainings_of(runs: Iterable[Run]) -> list[Training]:
    """Runs by their training, in the order of each training's first run."""
    same: dict[Run, list[Run]] = {}
    for run in runs:
        same.setdefault(run.training_of_its_own, []).append(run)
    return [Training(tuple(group)) for group in same.values()]


def perform(run: Run, train_set: Dataset, test_set: Dataset) -> Outcome:
    """Do one run; its outcome is the same alone and among others."""
    (outcome,) = perform_all(Training((run,)), train_set, test_set)
    return outcome


def perform_all(training: Training, train_set: Dataset, test_set: Dataset) -> list[Outcome]:
    """Train once and evaluate, in one thread; the same training gives the same outcomes on the same kind of
    machine.

    Returns:
        The outcome of each of the training's runs.
    """
    longest = training.longest
    train_set, held_out = without_held_out(longest, train_set)
    labels = test_set.labels.numpy()
    predictions: dict[int, NDArray[np.uint8]] = {}
    rows: dict[int, dict[str, float]] = {}
    weights: dict[int, dict[str, Tensor]] = {}
    with one_thread():
        network = network_of(longest)
        state = RunState(network.state_dict())
        for _ in continue_run(longest, network, state, train_set, test_set.images):
            if state.predictions is None:
                continue
            epoch = len(state.losses)
            predictions[epoch] = state.predictions.numpy()
            rows[epoch] = accuracies(predictions[epoch], labels)
            if held_out:
                rows[epoch][HELD_OUT] = accuracy_unmoved(network, held_out)
            if any(epoch == run.epochs[-1] for run in training.runs):
                weights[epoch] = copy.deepcopy(state.state_dict)  # the training may go on

    def outcome(run: Run) -> Outcome:
        last = run.epochs[-1]
        kept = [last] if run.keeps == LAST else run.epochs
        of_epochs = [[rows[epoch][name] for name in run.accuracies] for epoch in run.epochs]
        return Outcome(
            np.stack([predictions[epoch] for epoch in kept]),
            np.array(of_epochs) if run.keeps == LAST else None,
            torch.stack(state.losses[:last]).numpy(),
            weights[last],
            trained_parameters(network),
        )

    return [outcome(run) for run in training.runs]
