"""A study's plan: which runs, on which data; and doing those that are not done yet."""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import torch

from .. import __version__
from ..checks import check_choice, check_int
from ..data import Dataset, dataset_sha256, load_mnist
from ..experiments import EXPERIMENTS
from ..experiments.runs import GRID, Run, perform
from ..ops import isa
from .files import StorageError, reason
from .folder import sole_user
from .jobs import Reporter
from .run_files import Ground, answers_path, read_run, write_run

QUICK_SEEDS, QUICK_TRAIN, QUICK_TEST = 2, 600, 60


@dataclass(frozen=True)
class Plan:
    """What a study is about; with it, its runs and all that they depend on are settled.

    Args:
        n_seeds: seeds 0..n_seeds - 1, at least 2.
        experiments: some of :data:`lenetshift.experiments.EXPERIMENTS`.
        quick: a few images and settings only, to see that all works.
        data: folder of the IDX files; None for the packaged MNIST.

    Raises:
        ValueError: too few seeds, or an unknown experiment.
    """

    n_seeds: int = 20
    experiments: tuple[str, ...] = tuple(EXPERIMENTS)
    quick: bool = False
    data: Path | None = None

    def __post_init__(self) -> None:
        """Check seeds and names."""
        check_int("seeds", self.n_seeds, 2)
        for name in self.experiments:
            check_choice("experiment", name, tuple(EXPERIMENTS))

    @property
    def runs(self) -> list[Run]:
        """All runs, in the order of the experiments."""
        seeds = range(self.n_seeds)
        return [
            run
            for name, runs in EXPERIMENTS.items()
            if name in self.experiments
            for run in runs(seeds, self.quick)
        ]

    @property
    def note(self) -> str:
        """What a reader must know before all numbers; empty for a whole study."""
        if not self.quick:
            return ""
        return (
            f"Quick: {QUICK_TRAIN} training and {QUICK_TEST} test images and few settings. "
            "These numbers and verdicts say nothing of the report."
        )

    def datasets(self) -> tuple[Dataset, Dataset]:
        """Training and test images; DataError where they cannot be read."""
        train_set, test_set = _whole_datasets(self.data)
        if not self.quick:
            return train_set, test_set
        return (
            train_set.subset(min(QUICK_TRAIN, len(train_set))),
            test_set.subset(min(QUICK_TEST, len(test_set))),
        )

    def data_sha256(self) -> dict[str, str]:
        """Of the whole sets, part by part."""
        parts = zip(("train", "test"), _whole_datasets(self.data), strict=True)
        return {
            f"{part}_{kind}": digest
            for part, dataset in parts
            for kind, digest in dataset_sha256(dataset).items()
        }

    def ground(self) -> dict[str, Any]:
        """What decides outcomes beside the runs' settings."""
        train_set, test_set = self.datasets()
        return {
            "lenetshift": __version__,
            "torch": str(torch.__version__),
            "isa": isa(),
            "data": " ".join(digest[:12] for digest in self.data_sha256().values()),
            "n_train": len(train_set),
            "n_test": len(test_set),
        }


@functools.lru_cache(maxsize=1)
def _whole_datasets(data: Path | None) -> tuple[Dataset, Dataset]:
    """Read once a process."""
    return load_mnist(data)


@contextlib.contextmanager
def open_study(folder: Path, *, resume: bool) -> Iterator[None]:
    """Make a study's folder ready and keep it to one study for as long as the context lasts; remove what
    a killed one left half-written.

    Raises:
        StorageError: it cannot be written, is in use, or holds a study and ``resume`` is not set.
    """
    with contextlib.ExitStack() as lock:
        try:
            (folder / "runs").mkdir(parents=True, exist_ok=True)
            lock.enter_context(sole_user(folder))
            if not resume and any((folder / "runs").iterdir()):
                raise StorageError(
                    f"{folder} holds a study already: go on with --resume, or choose another folder"
                )
            for left in (folder / "runs").rglob(".*.seed*.partial"):
                left.unlink()
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise StorageError(f"cannot write to {folder}: {reason(error)}") from error
        yield


def carry_out(plan: Plan, folder: Path, jobs: int, reporter: Reporter) -> None:
    """Do the runs that are not finished yet, each in one thread of one of ``jobs`` processes.

    Raises:
        StorageError: a finished run's file is damaged, or of another version, machine or data; the disk
            has too little room; or a process was killed.
    """
    ground = plan.ground()
    todo = []
    for run in plan.runs:
        if read_run(folder, run, ground) is None:
            todo.append(run)
        else:
            reporter.advance(run.work)
    _check_room(folder, todo, ground)
    todo.sort(key=lambda run: -run.work)  # the longest first: all processes end at about one time
    reporter.line(f"{len(todo)} of {len(plan.runs)} runs to do")
    # Handed out one by one: what an interruption costs is the runs in progress.
    settings = {"batch_size": 1, "pre_dispatch": jobs, "return_as": "generator_unordered"}
    try:
        with joblib.Parallel(n_jobs=jobs, **settings) as parallel:
            for run in parallel(joblib.delayed(_do)(plan, run, folder, ground) for run in todo):
                reporter.stage(run.name)
                reporter.advance(run.work)
    except BrokenProcessPool as error:
        raise StorageError(
            f"{folder}: a process of the study was killed (too little memory?): --resume goes on"
        ) from error


def _do(plan: Plan, run: Run, folder: Path, ground: Ground) -> Run:
    """One run, in a process of its own or in this one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        write_run(folder, run, ground, perform(run, *plan.datasets()))
    finally:
        torch.set_num_threads(before)
    return run


def _check_room(folder: Path, todo: Sequence[Run], ground: Ground) -> None:
    """Before the first hour, not after it."""
    weights = 1.7e6  # bytes, the perceptron's
    answers = sum(len(run.epochs) for run in todo) * ground["n_test"] * len(GRID) / 2  # compressed
    needed = answers + weights * len(todo)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder}: {free / 1e6:.0f} MB are free, {needed / 1e6:.0f} MB may be needed"
        )


def finished(plan: Plan, folder: Path) -> bool:
    """Whether every run has its answers, unread."""
    return all(answers_path(folder, run).exists() for run in plan.runs)
