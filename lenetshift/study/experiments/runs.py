"""A run: one network, trained once from one seed, and evaluated on every moved test image.

An experiment is a list of runs, each of its settings for some seeds. A run is plain data, so that it can
be written down, compared, and done in another process.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...data.dataset import Dataset
from ...data.moving import jitter, position_biased
from ...models.table import FUSED
from ...models.train import train
from ...predict.evaluator import ShiftEvaluator
from ...shifts import ShiftGrid
from .networks import build_network

GRID = ShiftGrid()
"""The report's 55 shifts, in pixels: those of every evaluation, and those that jitter draws from."""

FEWER_SEEDS = 5
"""The most seeds of a network that has no fused training."""

CENTRED, JITTERED, BIASED = "centred", "jittered", "biased"
"""The training images: as they are; each moved at random over the test's own shifts, anew in every
epoch; or moved by a rule, digit -> shift."""


@dataclass(frozen=True)
class Run:
    """What one run does: everything that decides its outcome, except data and versions.

    Attributes:
        experiment, setting: names, of small letters, digits, - and _: they are part of file names.
        seed: of the weights and the order of the images.
        network: as :func:`lenetshift.study.experiments.networks.build_network` knows it.
        epochs: ascending; the network is evaluated after each of them, trained to the last.
        training: ``"centred"``, ``"jittered"`` or ``"biased"``.
        rule: digit, dx, dy of each digit that is moved for ``"biased"``.
    """

    experiment: str
    setting: str
    seed: int
    network: str
    epochs: tuple[int, ...] = (2,)
    learning_rate: float = 0.1
    batch_size: int = 64
    activation: str = "tanh"
    training: str = CENTRED
    rule: tuple[tuple[int, int, int], ...] = field(default=())

    @property
    def name(self) -> str:
        """Its name within a study."""
        return f"{self.experiment}/{self.setting}.seed{self.seed}"

    @property
    def method(self) -> str:
        """How it trains: ``"fused"`` if the network has fused training, else ``"autograd"``."""
        return "fused" if self.network in FUSED else "autograd"

    @property
    def work(self) -> float:
        """Roughly how long it takes, in fused epochs; only the order and the time left depend on it."""
        slow = 1 if self.method == "fused" else 60 if self.network == "place_blind" else 8
        return self.epochs[-1] * slow + len(self.epochs) * (0.5 if slow == 1 else 2)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON holds them."""
        return {**asdict(self), "epochs": list(self.epochs), "rule": [list(r) for r in self.rule]}


@dataclass(frozen=True)
class Outcome:
    """What a run gives.

    Attributes:
        predictions: uint8 ``[len(epochs), N, n_dy, n_dx]``.
        losses: float32 ``[epochs[-1], n_steps]``, of every step.
        state_dict: the weights after the last epoch.
        parameters: how many of them are trained.
        seconds: of training and evaluation.
    """

    predictions: NDArray[np.uint8]
    losses: NDArray[np.float32]
    state_dict: dict[str, Tensor]
    parameters: int
    seconds: float


def per_seed(seeds: Sequence[int], settings: Iterable[Run]) -> list[Run]:
    """The runs of an experiment: each setting for every seed, or for the first few if it has no fused
    training."""
    return [
        replace(run, seed=seed)
        for run in settings
        for seed in (seeds if run.method == "fused" else seeds[:FEWER_SEEDS])
    ]


def perform(run: Run, train_set: Dataset, test_set: Dataset) -> Outcome:
    """Train and evaluate; the same run gives the same outcome on the same kind of machine."""
    start = time.perf_counter()
    network = build_network(run.network, run.activation, run.seed)
    rule = {digit: (dx, dy) for digit, dx, dy in run.rule}
    if run.training == BIASED:
        train_set = position_biased(train_set, rule)
    losses: list[Tensor] = []
    predictions = []
    for epoch in range(run.epochs[-1]):
        losses += train(
            network,
            jitter(train_set, GRID, run.seed, epoch) if run.training == JITTERED else train_set,
            epochs=1,
            first_epoch=epoch,
            learning_rate=run.learning_rate,
            batch_size=run.batch_size,
            seed=run.seed,
            method=run.method,
        )
        if epoch + 1 in run.epochs:
            answers = ShiftEvaluator(network, GRID).answer(test_set.images)
            predictions.append(answers.predictions.numpy())
    return Outcome(
        np.stack(predictions),
        torch.stack(losses).numpy(),
        network.state_dict(),
        sum(parameter.numel() for parameter in network.parameters()),
        time.perf_counter() - start,
    )
