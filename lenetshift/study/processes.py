"""A study's runs on this machine: processes, each with one thread."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool

import joblib  # type: ignore[import-untyped]
import torch

from ..checks.errors import StorageError
from ..predict.progress import Reporter
from .experiments.runs import Run, perform
from .plans import Plan
from .run_files import Ground, Packed, pack
from .studies import Done, Workers


def on_this_machine(jobs: int) -> Workers:
    """So many processes; for one job this process itself.

    The iterator raises StorageError where a process was killed.
    """
    return functools.partial(_do_all, jobs)


def _do_all(jobs: int, plan: Plan, ground: Ground, todo: Sequence[Run], reporter: Reporter) -> Done:
    # Handed out one by one: what an interruption costs is the runs in progress.
    settings = {"batch_size": 1, "pre_dispatch": jobs, "return_as": "generator_unordered"}
    try:
        with joblib.Parallel(n_jobs=jobs, **settings) as parallel:
            yield from parallel(joblib.delayed(do)(plan, run, ground) for run in todo)
    except BrokenProcessPool as error:
        raise StorageError(
            "a process of the study was killed (too little memory?): --resume goes on"
        ) from error


def do(plan: Plan, run: Run, ground: Ground) -> tuple[Run, Packed]:
    """One run, in one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run, pack(run, ground, perform(run, *plan.datasets()))
    finally:
        torch.set_num_threads(before)
