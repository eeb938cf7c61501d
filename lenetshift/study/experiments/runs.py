"""A run: one network, trained from one seed, and evaluated on every moved test image.

An experiment is a list of runs, each of its settings for some seeds. A run is plain data, so that it can
be written down, compared, and done in another process, together with others that share its training.
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
from ...data.seeds import epoch_choices
from ...models.table import FUSED
from ...models.train import OnProgress, train
from ...predict.predict_shifts import predict_shifts
from ...shifts import ShiftGrid
from . import variants
from .networks import build_network, perceptrons

GRID = ShiftGrid()
"""The report's 55 shifts, in pixels: those of every evaluation, and those that jitter draws from."""

FEWER_SEEDS = 5
"""The most seeds of a network that has no fused training."""

ALL, LAST = "all", "last"
"""The epochs whose predictions are kept: all that are evaluated, or the last."""

ACCURACIES = ("unmoved", "moved", "kept", "change")
"""The names of :func:`accuracies`."""

HELD_OUT = "held_out"
"""Accuracy unmoved on the training images that were held out."""

PARTS = 1000
"""Of all images that a share is counted in."""

CENTRED, JITTERED, BIASED = "centred", "jittered", "biased"
"""The training images: as they are; each moved at random over the test's own shifts, anew in every
epoch; or moved by a rule, digit -> shift."""

COST: dict[str, tuple[float, float]] = {
    **dict.fromkeys(perceptrons.NETWORKS, (1, 5)),
    "mlp_permuted": (3, 13),
    "lenet5_random_filters": (5, 8),
    "lenet5_blur": (15, 9),
    "lenet5_max_blur": (25, 11),
    "lenet5_kernel_7": (13, 13),
    "lenet5_kernel_9": (18, 21),
    "lenet5_permuted": (10, 45),
    "lenet5_untied": (25, 90),
    "lenet5_border_8": (25, 17),
    "lenet5_global_average_c5": (32, 25),
    "lenet5_global_max_c5": (32, 25),
    "lenet5_global_max_zero": (28, 70),
    "lenet5_global_max_circular": (28, 80),
    "lenet5_global_max_border_4": (20, 17),
    "lenet5_global_max_border_12": (45, 40),
    "lenet5_global_max_border_12_max": (45, 40),
    "lenet5_global_max_border_12_max_blur": (70, 50),
    "lenet5_global_max_border_28": (80, 290),
    "place_blind": (70, 145),
}
"""Networks without fused training -> an epoch of training, an evaluation of 10,000 images under
:data:`GRID`, both in fused epochs of LeNet-5. What is not here takes about 10 of them for each."""


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
        share: of the images of these digits that are moved, 0 to 1; the others stay where they are.
        held_out: training images, the last ones, that it does not train on; :data:`HELD_OUT` is measured on
            them.
        variant: what is different in training, as :mod:`lenetshift.study.experiments.variants` knows it.
        keeps: ``"all"``: the predictions after each of the epochs; ``"last"``: those after the last one, and
            the :data:`ACCURACIES`, and :data:`HELD_OUT`, after each.
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
    share: float = 1.0
    held_out: int = 0
    variant: str = ""
    keeps: str = ALL

    @property
    def name(self) -> str:
        """Its name within a study."""
        return f"{self.experiment}/{self.setting}.seed{self.seed}"

    @property
    def training_of_its_own(self) -> Run:
        """The run without what its weights after an epoch do not depend on. Two runs with the same are one
        training (:mod:`lenetshift.study.experiments.trainings`), of which one may go on longer."""
        return replace(self, experiment="", setting="", epochs=(), keeps=ALL)

    @property
    def accuracies(self) -> tuple[str, ...]:
        """The names of the accuracies that are kept of every epoch, if its predictions are not."""
        return (*ACCURACIES, HELD_OUT) if self.held_out else ACCURACIES

    @property
    def n_kept(self) -> int:
        """After how many of the epochs the predictions are kept."""
        return len(self.epochs) if self.keeps == ALL else 1

    @property
    def method(self) -> str:
        """How it trains: ``"fused"`` if the network has fused training, else ``"autograd"``."""
        return "fused" if self.network in FUSED and not self.variant else "autograd"

    @property
    def work(self) -> float:
        """Roughly how long it takes, in fused epochs; only the order and the time left depend on it."""
        epoch, evaluation = COST.get(self.network, (10, 10))
        if self.method == "fused":
            epoch = 1
        if self.network in FUSED and not self._has_other_layers:
            evaluation = 0.5
        return self.epochs[-1] * epoch + len(self.epochs) * evaluation

    @property
    def _has_other_layers(self) -> bool:
        """Whether its variant changes the network, and not only the training."""
        return bool(self.variant) and variants.VARIANTS[self.variant].network is not None

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON holds them."""
        return {**asdict(self), "epochs": list(self.epochs), "rule": [list(r) for r in self.rule]}


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


def accuracies(predictions: NDArray[np.uint8], labels: NDArray[np.int64]) -> dict[str, float]:
    """The accuracies that are kept of every epoch, in per cent and points.

    Args:
        predictions: ``[N, n_dy, n_dx]`` on the report's grid.
        labels: ``[N]``.
    """
    right = predictions == labels[:, None, None]
    row, column = GRID.index(0, 0)
    unmoved = right[:, row, column]
    moved = 100 * float(right.mean())
    # Of no image that is right unmoved nothing can be said; 0 keeps the value finite.
    kept = 100 * float(right[unmoved].mean()) if unmoved.any() else 0.0
    return {
        "unmoved": 100 * float(unmoved.mean()),
        "moved": moved,
        "kept": kept,
        "change": moved - 100 * float(unmoved.mean()),
    }


def per_seed(seeds: Sequence[int], settings: Iterable[Run]) -> list[Run]:
    """The runs of an experiment: each setting for every seed, or for the first few if it has no fused
    training."""
    return [
        replace(run, seed=seed)
        for run in settings
        for seed in (seeds if run.method == "fused" else seeds[:FEWER_SEEDS])
    ]


def network_of(run: Run) -> nn.Module:
    """A run's network before its training."""
    if run.variant:
        return variants.build(run.variant, run.network, run.activation, run.seed)
    return build_network(run.network, run.activation, run.seed)


def without_held_out(run: Run, train_set: Dataset) -> tuple[Dataset, Dataset]:
    """The images that a run trains on, and those that it holds out."""
    n = len(train_set) - run.held_out
    images, labels = train_set.images, train_set.labels
    return Dataset(images[:n], labels[:n]), Dataset(images[n:], labels[n:])


def accuracy_unmoved(network: nn.Module, dataset: Dataset) -> float:
    """Per cent of a data set's images that a network reads."""
    unmoved = ShiftGrid(range(1), range(1))
    answers = predict_shifts(network, dataset.images, unmoved)[:, 0, 0]
    return 100 * float((answers == dataset.labels).double().mean())


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
        train_set = _biased(run, train_set)
    variant = None
    if run.variant:
        variant = variants.Trainer(
            run.variant, network, train_set,
            learning_rate=run.learning_rate, batch_size=run.batch_size, seed=run.seed,
        )  # fmt: skip
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
        state.losses += (
            [variant.epoch(epoch)]
            if variant is not None
            else train(
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
        )
        state.training_seconds += time.perf_counter() - start
        state.state_dict = network.state_dict()
        state.predictions = state.evaluation_seconds = None
        yield


def _biased(run: Run, train_set: Dataset) -> Dataset:
    """The training images with some of the rule's digits moved: each with the probability ``run.share``,
    drawn once for all epochs."""
    moved = position_biased(train_set, {digit: (dx, dy) for digit, dx, dy in run.rule})
    if run.share == 1:
        return moved
    drawn = epoch_choices(len(train_set), PARTS, run.seed, 0)
    chosen = (drawn < round(PARTS * run.share)).to(train_set.images.device)[:, None, None]
    return Dataset(torch.where(chosen, moved.images, train_set.images), train_set.labels)
