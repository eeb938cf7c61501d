"""A study's plan: which runs, on which data."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..checks.errors import ArgumentError
from ..checks.numbers import check_int
from ..checks.types import check_choice
from ..data.dataset import Dataset, evenly_spaced
from ..data.load import load_mnist
from .defaults import QUICK_TEST, QUICK_TRAIN, SEEDS
from .experiments import EXPERIMENTS
from .experiments.experiment import Experiment
from .experiments.ground import data_sha256, ground
from .experiments.runs import FEWER_SEEDS, Run
from .experiments.trainings import trainings_of


@dataclass(frozen=True)
class Plan:
    """Which runs a study does, and on which data.

    Args:
        n_seeds: seeds 0..n_seeds - 1, at least 2.
        experiments: some of :data:`lenetshift.study.experiments.EXPERIMENTS`.
        quick: only a few images and settings, to see that everything works.
        data: folder of the IDX files; None for the packaged MNIST.
        thorough: more settings than usual are tried, those of each experiment's ``more_runs``.

    Raises:
        ValueError: too few seeds, or an unknown experiment.
    """

    n_seeds: int = SEEDS
    experiments: tuple[str, ...] = tuple(EXPERIMENTS)
    quick: bool = False
    data: Path | None = None
    thorough: bool = False

    def __post_init__(self) -> None:
        """Check seeds, names, and that a study is not both quick and thorough."""
        if self.quick and self.thorough:
            raise ArgumentError("thorough", "a quick study", "one that is not")
        check_int("seeds", self.n_seeds, 2)
        for name in self.experiments:
            check_choice("experiment", name, tuple(EXPERIMENTS))

    @property
    def runs(self) -> list[Run]:
        """All runs, in the order of the experiments."""
        seeds = range(self.n_seeds)
        return [
            run
            for name, experiment in EXPERIMENTS.items()
            if name in self.experiments
            for run in self._runs_of(experiment, seeds)
        ]

    def _runs_of(self, experiment: Experiment, seeds: Sequence[int]) -> list[Run]:
        more = experiment.more_runs if self.thorough else None
        return [*experiment.runs(seeds, self.quick), *(more(seeds) if more else ())]

    @property
    def n_runs(self) -> int:
        """How many runs there are. They are not made for it: a plan that somebody wrote into a file may have
        more than any memory holds."""
        few = FEWER_SEEDS  # from here on, each seed adds the same number of runs
        if self.n_seeds <= few:
            return len(self.runs)
        n, next_n = (len(replace(self, n_seeds=seeds).runs) for seeds in (few, few + 1))
        return n + (self.n_seeds - few) * (next_n - n)

    @property
    def work(self) -> float:
        """Roughly how long it takes, in fused epochs."""
        return sum(training.work for training in trainings_of(self.runs))

    @property
    def note(self) -> str:
        """What a reader must know before any number; empty for a whole study."""
        if not self.quick:
            return ""
        return (
            f"Quick: {QUICK_TRAIN} training and {QUICK_TEST} test images and few settings. "
            "These numbers say nothing of the report, and there are no verdicts."
        )

    def datasets(self) -> tuple[Dataset, Dataset]:
        """Training and test images; DataError if they cannot be read."""
        train_set, test_set = _whole_datasets(self.data)
        if not self.quick:
            return train_set, test_set
        return (
            train_set.subset(min(QUICK_TRAIN, len(train_set))),
            test_set.subset(min(QUICK_TEST, len(test_set))),
        )

    def test_indices(self) -> list[int]:
        """The number, in the whole test set, of each image of ``datasets()[1]``."""
        n, total = len(self.datasets()[1]), len(_whole_datasets(self.data)[1])
        return [int(index) for index in evenly_spaced(n, total)]

    def data_sha256(self) -> dict[str, str]:
        """The SHA-256 of each part of the whole sets."""
        return data_sha256(*_whole_datasets(self.data))

    @property
    def of_the_report(self) -> bool:
        """Whether the data are the report's, so that its numbers and its four images are about them."""
        return self.data is None or self.data_sha256() == replace(self, data=None).data_sha256()

    def ground(self) -> dict[str, Any]:
        """What decides outcomes besides the runs' settings."""
        train_set, test_set = self.datasets()
        return {**ground(self.data_sha256()), "n_train": len(train_set), "n_test": len(test_set)}


@functools.lru_cache(maxsize=2)
def _whole_datasets(data: Path | None) -> tuple[Dataset, Dataset]:
    """Both sets, read once in a process."""
    return load_mnist(data)
