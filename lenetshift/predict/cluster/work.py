"""Tasks for the workers of a cluster. The task of a lost worker is repeated by another one."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

from ...checks.errors import ClusterError
from .connection import PATIENCE
from .crew import LOOK, Crew

MOST_LOST = 3
"""How often all workers of a task may disappear before it is done; Dask allows a worker as many deaths."""


@dataclass(frozen=True, eq=False)
class Task:
    """A call of the function that the workers run.

    Attributes:
        name: in messages; each task has another.
        arguments: of the function.
        about: for whoever takes the result; the workers do not see it.
    """

    name: str
    arguments: tuple[Any, ...]
    about: Any = None


@dataclass(frozen=True)
class Unfit:
    """What the function returns on a worker that turns out not to be able to do it.

    Attributes:
        address: of the worker.
        reason: why not.
    """

    address: str
    reason: str


class TaskFailed(Exception):
    """The function raised an error.

    Attributes:
        error: what it raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def gather(
    client: Any, crew: Crew, function: Callable[..., Any], tasks: Iterable[Task], what: str
) -> Generator[tuple[Task, Any], None, None]:
    """The tasks with their results, as these come. Two for each thread of the workers are handed out at
    once; the others are taken when there is room for them.

    Args:
        client: of the scheduler.
        crew: the workers that can be used.
        function: what they run.
        tasks: its calls.
        what: a task, in messages.

    Raises:
        ClusterError: no worker is left that can be used, or several workers died during one task.
        TaskFailed: the function raised an error.
    """
    import distributed

    coming, waiting = iter(tasks), list[Task]()
    submitted: dict[Any, tuple[Task, frozenset[str]]] = {}  # by future, with its workers' addresses
    n_lost: Counter[str] = Counter()
    number = itertools.count()

    def killed_by(task: Task) -> ClusterError:
        return ClusterError(f"{task.name}: several workers died during this {what}")

    while True:
        if not (waiting or submitted):
            waiting.extend(itertools.islice(coming, 1))
        if not (waiting or submitted):
            return
        workers = crew.fit_workers()
        for future, (task, addresses) in list(submitted.items()):
            if not addresses.isdisjoint(workers):
                continue
            # Dask would keep it for these addresses, though all their workers are gone.
            future.cancel()
            del submitted[future]
            n_lost[task.name] += 1
            if n_lost[task.name] > MOST_LOST:
                raise killed_by(task)
            waiting.insert(0, task)
        while len(submitted) < 2 * sum(workers.values()):
            if not waiting:
                waiting.extend(itertools.islice(coming, 1))
            if not waiting:
                break
            task = waiting.pop(0)
            future = client.submit(
                function, *task.arguments,
                workers=list(workers), key=f"{task.name}-{next(number)}", pure=False,
            )  # fmt: skip
            submitted[future] = task, frozenset(workers)
        with contextlib.suppress(distributed.TimeoutError):
            distributed.wait(list(submitted), timeout=LOOK, return_when="FIRST_COMPLETED")
        for future in [future for future in submitted if future.done()]:
            task, _ = submitted[future]
            try:
                result = future.result(timeout=PATIENCE)
            except distributed.KilledWorker as error:
                raise killed_by(task) from error
            except Exception as error:
                if future.status == "error":
                    raise TaskFailed(error) from error
                if not isinstance(error, distributed.TimeoutError):
                    raise
                continue  # its worker is gone, and the result with it
            del submitted[future]
            if isinstance(result, Unfit):
                crew.leave_out(result.address, result.reason)
                waiting.append(task)
            else:
                yield task, result
            future.release()
