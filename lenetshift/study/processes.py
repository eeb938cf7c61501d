"""A study's runs on this machine: processes with one thread each."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool

import joblib  # type: ignore[import-untyped]

from ..checks.errors import StorageError
from ..predict.progress import Reporter
from .experiments.trainings import Training, perform_all
from .plans import Plan
from .run_files import Ground, Packed, pack
from .studies import FinishedTrainings, Workers

_MANAGER_SECONDS = 30
"""The longest wait until the thread that manages a stopped pool ends."""

WATCH_SECONDS = 0.5
"""Seconds between two checks, by a worker, that the study's process is still there."""


def on_this_machine(jobs: int) -> Workers:
    """That many processes; for one job, this process itself.

    The processes end with this one, whatever ends it. The iterator raises StorageError if one of them
    was killed.
    """
    return functools.partial(_do_all, jobs)


def _do_all(
    jobs: int, plan: Plan, ground: Ground, todo: Sequence[Training], reporter: Reporter
) -> FinishedTrainings:
    # Handed out one by one: an interruption costs only the trainings in progress.
    settings = {"batch_size": 1, "pre_dispatch": jobs, "return_as": "generator_unordered"}
    if jobs > 1:
        settings |= {"initializer": _end_with_parent, "initargs": (os.getpid(),)}
    try:
        with (
            _replaced_quietly(),
            joblib.Parallel(n_jobs=jobs, **settings) as parallel,
            contextlib.ExitStack() as stack,
        ):
            with _signals_delayed():
                results = parallel(joblib.delayed(do_training)(plan, each, ground) for each in todo)
                stack.push(functools.partial(_close, results))
            for finished in results:  # noqa: UP028  `yield from` would close it with a warning
                yield finished
    except BrokenProcessPool as error:
        raise StorageError(
            "a process of the study was killed (too little memory?): continue with --resume"
        ) from error


def _close(finished: FinishedTrainings, kind: type[BaseException] | None, *_: object) -> None:
    """Stop the trainings in progress if an exception ends the study, without a warning about them. The thread
    of joblib that manages the processes can fail when its pool is stopped; its traceback is not shown."""
    if kind is None:
        return

    def manages(thread: threading.Thread | None) -> bool:
        return thread is not None and thread.name.startswith("ExecutorManagerThread")

    hook = threading.excepthook
    threading.excepthook = lambda args: None if manages(args.thread) else hook(args)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            finished.close()
        for thread in filter(manages, threading.enumerate()):
            thread.join(_MANAGER_SECONDS)
    finally:
        threading.excepthook = hook


@contextlib.contextmanager
def _replaced_quietly() -> Iterator[None]:
    """Where psutil is installed, joblib replaces a process that holds 300 MB more than after its first
    training, as a larger network makes it do, and warns of a leak; no training is lost by that."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "A worker stopped while some jobs were given", UserWarning
        )
        yield


@contextlib.contextmanager
def _signals_delayed() -> Iterator[None]:
    """Call the handlers of signals only at the end: joblib cannot clear away a pool that an exception of
    a handler leaves half started."""
    came: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                handlers[number] = signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def _end_with_parent(parent: int) -> None:
    """Watch the parent from a thread, and end this process when it is gone. Only a watch notices
    SIGKILL: the parent then notifies no one, and a worker would wait five minutes for another training."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def do_training(plan: Plan, training: Training, ground: Ground) -> tuple[Training, list[Packed]]:
    """Do a training, in one thread: with it, the packed outcome of each of its runs."""
    outcomes = perform_all(training, *plan.datasets())
    packed = [pack(run, ground, one) for run, one in zip(training.runs, outcomes, strict=True)]
    return training, packed
