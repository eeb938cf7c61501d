"""A study: its folder, and doing the runs of its plan that are not finished yet."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from ..checks.errors import StorageError
from ..predict.progress import Reporter
from ..storage.folder import STUDY, open_folder
from .experiments.runs import GRID, Run
from .experiments.trainings import Training, trainings_of
from .plans import Plan
from .run_files import Ground, Packed, read_run, write_run

FinishedTrainings = Generator[tuple[Training, Sequence[Packed]], None, None]
"""Trainings as they finish, in any order, each with the outcomes of its runs; closing it stops the others."""

Workers = Callable[[Plan, Ground, Sequence[Training], Reporter], FinishedTrainings]
"""What does trainings, given the plan, its ground, the trainings, the longest first, and the reporter."""


@contextlib.contextmanager
def open_study(folder: Path, *, resume: bool) -> Iterator[None]:
    """Open a folder for a study (:func:`lenetshift.storage.folder.open_folder`).

    Raises:
        StorageError: it cannot be used, or holds a study and ``resume`` is not set.
    """
    with open_folder(folder, STUDY):
        if not resume and any((folder / STUDY.subfolder).iterdir()):
            raise StorageError(
                f"{folder} holds a study already: continue with --resume, or choose another folder"
            )
        yield


def carry_out(plan: Plan, folder: Path, workers: Workers, reporter: Reporter) -> None:
    """Do the runs that are not finished yet.

    Args:
        plan: of the study.
        folder: where the finished runs lie and will lie.
        workers: :func:`lenetshift.study.processes.on_this_machine` or
            :func:`lenetshift.study.cluster.on_cluster`.
        reporter: each finished training is reported to it.

    Raises:
        StorageError: a finished run's file is damaged, or of another version, machine or data; the disk
            has too little room; or the workers are lost.
    """
    ground = plan.ground()
    todo = [run for run in plan.runs if read_run(folder, run, ground) is None]
    _check_room(folder, todo, ground)
    # The longest first: all workers end at about one time.
    trainings = sorted(trainings_of(todo), key=lambda training: -training.work)
    if done := plan.work - sum(training.work for training in trainings):
        reporter.advance(done)
    reporter.line(f"{len(todo)} of {len(plan.runs)} runs to do")
    with contextlib.closing(workers(plan, ground, trainings, reporter)) as finished:
        for training, outcomes in finished:
            for run, packed in zip(training.runs, outcomes, strict=True):
                write_run(folder, run, packed)
            reporter.stage(training.longest.name)
            reporter.advance(training.work)


def _check_room(folder: Path, todo: Sequence[Run], ground: Ground) -> None:
    """Raise StorageError if the disk lacks room for the results: before the first hour, not after it."""
    weights = 1.7e6  # bytes, the MLP's
    answers = sum(run.n_kept for run in todo) * ground["n_test"] * len(GRID) / 2  # compressed
    needed = answers + weights * len(todo)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder}: {free / 1e6:.0f} MB are free, {needed / 1e6:.0f} MB may be needed"
        )
