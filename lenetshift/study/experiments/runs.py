"""A run: one network, trained once from one seed, and evaluated on every moved test image.

An experiment is a list of runs, each of its settings for some seeds. A run is plain data, so that it can
be written down, compared, and done in another process.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...data.dataset import Dataset
from ...data.moving import jitter, position_biased
from ...models.table import FUSED
from ...models.train import OnProgress, train
from ...predict.predict_shifts import predict_shifts
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
    """

    predictions: NDArray[np.uint8]
    losses: NDArray[np.float32]
    state_dict: dict[str, Tensor]
    parameters: int


@dataclass
class RunState:
    """How far a run has come: enough to go on.

    Attributes:
        state_dict: the weights after ``len(losses)`` epochs.
        losses: one float32 tensor [n_steps] for each finished epoch.
        training_seconds: wall time of the finished epochs.
        predictions: uint8 [N, n_dy, n_dx], of these weights; None if they are not evaluated.
        evaluation_seconds: wall time of that evaluation, or None.
    """

    state_dict: dict[str, Tensor]
    losses: list[Tensor] = field(default_factory=list)
    training_seconds: float = 0.0
    predictions: Tensor | None = None
    evaluation_seconds: float | None = None


def per_seed(seeds: Sequence[int], settings: Iterable[Run]) -> list[Run]:
    """The runs of an experiment: each setting for every seed, or for the first few if it has no fused
    training."""
    return [
        replace(run, seed=seed)
        for run in settings
        for seed in (seeds if run.method == "fused" else seeds[:FEWER_SEEDS])
    ]


def perform(run: Run, train_set: Dataset, test_set: Dataset) -> Outcome:
    """Train and evaluate in one thread; the same run gives the same outcome on the same kind of machine."""
    with one_thread():
        network = build_network(run.network, run.activation, run.seed)
        state = RunState(network.state_dict())
        predictions = []
        for _ in continue_run(run, network, state, train_set, test_set.images):
            if state.predictions is not None:
                predictions.append(state.predictions.numpy())
    return Outcome(
        np.stack(predictions),
        torch.stack(state.losses).numpy(),
        state.state_dict,
        sum(parameter.numel() for parameter in network.parameters()),
    )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, as in every run: the last bits of its own layers may depend on the number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def continue_run(
    run: Run,
    network: nn.Module,
    state: RunState,
    train_set: Dataset,
    images: Tensor,
    *,
    grid: ShiftGrid = GRID,
    method: str | None = None,
    on_progress: OnProgress | None = None,
) -> Iterator[None]:
    """Do the rest of a run, and pause after each trained epoch and each evaluation, with ``state`` up to
    date.

    Args:
        run: what to do.
        network: as :func:`~lenetshift.study.experiments.networks.build_network` makes it for the run; it
            is given the weights of ``state`` and moved to the device of ``images``.
        state: how far the run has come; it is changed.
        train_set: on the same device as ``images``.
        images: the test images, uint8 [N, 28, 28].
        grid: the shifts of the evaluation, in pixels.
        method: of :func:`lenetshift.train`; by default the run's own.
        on_progress: as for :func:`lenetshift.train`.
    """
    network.load_state_dict(state.state_dict)
    network.to(images.device)
    if run.training == BIASED:
        train_set = position_biased(train_set, {digit: (dx, dy) for digit, dx, dy in run.rule})
    while True:
        epoch = len(state.losses)
        if epoch in run.epochs and state.predictions is None:
            start = time.perf_counter()
            state.predictions = predict_shifts(network, images, grid).cpu()
            state.evaluation_seconds = time.perf_counter() - start
            yield
        if epoch >= run.epochs[-1]:
            return
        start = time.perf_counter()
        state.losses += train(
            network,
            jitter(train_set, GRID, run.seed, epoch) if run.training == JITTERED else train_set,
            epochs=1,
            first_epoch=epoch,
            learning_rate=run.learning_rate,
            batch_size=run.batch_size,
            seed=run.seed,
            method=method or run.method,
            on_progress=on_progress,
        )
        state.training_seconds += time.perf_counter() - start
        state.state_dict = network.state_dict()
        state.predictions = state.evaluation_seconds = None
        yield
