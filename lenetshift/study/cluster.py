"""A study's runs on a Dask cluster: any number of machines, each with this package and these data."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from ..checks.errors import ArgumentError, StorageError
from ..predict.cluster.connection import PATIENCE, check_scheduler, connected
from ..predict.cluster.crew import Crew
from ..predict.cluster.work import Task, TaskFailed, gather
from ..predict.progress import Reporter
from .experiments.trainings import Training
from .plans import Plan
from .processes import do_training
from .run_files import Ground
from .studies import FinishedTrainings, Workers

ADVICE = ": continue with --resume"


def on_cluster(address: str, patience: float = PATIENCE) -> Workers:
    """The workers of a Dask scheduler.

    Args:
        address: of the scheduler, such as ``tcp://10.0.0.1:8786``.
        patience: seconds to wait for the scheduler, and for a worker if none is left.

    Raises:
        StorageError: ``distributed`` is not installed, or nothing listens at the address. The iterator
            raises it if what answers is not a scheduler, the cluster is lost, no worker is left that can be
            used, or several workers died during one training.
    """
    try:
        check_scheduler(address, patience)
    except ArgumentError as error:
        raise StorageError(f"argument --scheduler: {error.problem}") from error
    return functools.partial(_do_all, address, patience)


def _do_all(
    address: str,
    patience: float,
    plan: Plan,
    ground: Ground,
    todo: Sequence[Training],
    reporter: Reporter,
) -> FinishedTrainings:
    tasks = [Task(each.longest.name, (plan, each, ground)) for each in todo]
    try:
        with connected(address, patience, ADVICE) as client:
            asked = functools.partial(Plan.ground, plan)
            crew = Crew(client, asked, ground, reporter, patience, ADVICE)
            for _, finished in gather(client, crew, do_training, tasks, "training"):
                yield finished
    except TaskFailed as failed:
        raise failed.error from None
