"""Trainings: runs that differ only in the epochs after which they look at one training, done at once.

Experiments share trainings: the LeNet-5 of Table 1 after two epochs is that of a trajectory of forty. Each
training is done once, and gives the outcome of each of its runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

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
    same: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        same.setdefault(run.training_of_its_own, []).append(run)
    return [Training(tuple(group)) for group in same.values()]


def perform(run: Run, train_set: Dataset, test_set: Dataset) -> Outcome:
    """Do a run alone; it gives what it gives among others."""
    (outcome,) = perform_all(Training((run,)), train_set, test_set)
    return outcome


def perform_all(training: Training, train_set: Dataset, test_set: Dataset) -> list[Outcome]:
    """Train once and evaluate, in one thread; the same training gives the same outcomes on the same kind of
    machine.

    Returns:
        The outcome of each of the training's runs.
    """
    run = training.longest
    train_set, held_out = without_held_out(run, train_set)
    found = [_Found(one) for one in training.runs]
    labels = test_set.labels.numpy()
    with one_thread():
        network = network_of(run)
        state = RunState(network.state_dict())
        for _ in continue_run(run, network, state, train_set, test_set.images):
            if state.predictions is None:
                continue
            predictions = state.predictions.numpy()
            row = accuracies(predictions, labels)
            if held_out:
                row[HELD_OUT] = accuracy_unmoved(network, held_out)
            for one in found:
                one.add(state, predictions, row)
    n_trained = trained_parameters(network)
    return [one.outcome(n_trained) for one in found]


@dataclass
class _Found:
    """What is found for a run while its training goes on, perhaps beyond its last epoch."""

    run: Run
    predictions: list[NDArray[np.uint8]] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    state_dict: dict[str, Tensor] = field(default_factory=dict)

    def add(self, state: RunState, predictions: NDArray[np.uint8], row: dict[str, float]) -> None:
        """Take what the run needs of an evaluation, after any epoch."""
        epoch, run = len(state.losses), self.run
        if epoch not in run.epochs:
            return
        self.predictions = [predictions] if run.keeps == LAST else [*self.predictions, predictions]
        self.rows.append([row[name] for name in run.accuracies])
        if epoch == run.epochs[-1]:
            self.losses = list(state.losses)
            # Copies: the training may go on.
            self.state_dict = {name: tensor.clone() for name, tensor in state.state_dict.items()}

    def outcome(self, n_trained: int) -> Outcome:
        """After the run's last epoch."""
        return Outcome(
            np.stack(self.predictions),
            np.array(self.rows) if self.run.keeps == LAST else None,
            torch.stack(self.losses).numpy(),
            self.state_dict,
            n_trained,
        )
