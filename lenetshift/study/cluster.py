"""A study's runs on a Dask cluster: any number of machines, each with this package and these data.

The run of a lost worker is repeated by another one. A worker with another version of lenetshift or PyTorch,
another instruction set or other data would give other answers: it is given no runs.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import itertools
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..checks.errors import StorageError
from ..predict.progress import Reporter
from .experiments.runs import Run
from .plans import Plan
from .processes import do_run
from .run_files import Ground
from .studies import FinishedRuns, Workers

PATIENCE = 30
"""Seconds to wait for the scheduler, and for a worker if none is left."""

LOOK = 2.0
"""Seconds between two checks of which workers there are."""

MOST_LOST = 3
"""How often all workers of a run may disappear before it is done; Dask allows a worker as many deaths."""


def on_cluster(address: str, patience: float = PATIENCE) -> Workers:
    """The workers of a Dask scheduler.

    Args:
        address: of the scheduler, such as ``tcp://10.0.0.1:8786``.
        patience: see :data:`PATIENCE`.

    Raises:
        StorageError: ``distributed`` is not installed, or nothing listens at the address. The iterator
            raises it if what answers is not a scheduler, the cluster is lost, no worker is left that can be
            used, or several workers died during one run.
    """
    if importlib.util.find_spec("distributed") is None:
        raise StorageError(
            "argument --scheduler: distributed is not installed: pip install 'lenetshift[dask]'"
        )
    try:
        _wait_for(address, patience)
    except ValueError as error:
        raise StorageError(
            f"argument --scheduler: got {address!r}, expected an address such as tcp://10.0.0.1:8786"
        ) from error
    except OSError as error:
        raise StorageError(
            f"no Dask scheduler answers at {address} in {patience:g} s: {error.strerror or error}"
        ) from error
    return functools.partial(_do_all, address, patience)


def _wait_for(address: str, patience: float) -> None:
    """Wait until something listens at an address. A client of Distributed would also wait, but longer
    than this, and would print more than a line when it is closed.

    Raises:
        OSError: nothing does so within ``patience`` seconds, or there is no such host.
        ValueError: it is not an address.
    """
    from distributed.comm.addressing import get_address_host_port

    host, port = get_address_host_port(address, strict=True)
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.create_connection((host, port), timeout=max(0.1, patience)).close()
            return
        except socket.gaierror:  # no such host
            raise
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(min(0.2, patience / 10))


def _do_all(
    address: str,
    patience: float,
    plan: Plan,
    ground: Ground,
    todo: Sequence[Run],
    reporter: Reporter,
) -> FinishedRuns:
    import distributed

    lost = StorageError(f"the cluster at {address} is lost: continue with --resume")
    try:
        client = distributed.Client(address, timeout=patience, set_as_default=False)
    except (OSError, ValueError, distributed.TimeoutError, AssertionError) as error:
        # Distributed asserts that its own thread starts within 10 s, which a busy machine may not grant.
        raise StorageError(f"no Dask scheduler answers at {address} in {patience:g} s") from error
    with client, client.as_current():
        try:
            yield from _gather(client, _Crew(client, plan, ground, patience, reporter), todo)
        except (OSError, distributed.TimeoutError, distributed.CancelledError) as error:
            raise lost from error


def _gather(client: Any, crew: _Crew, todo: Sequence[Run]) -> FinishedRuns:
    """Hand out two runs for each thread of the workers, and the others as results come."""
    import distributed

    waiting = list(todo)
    submitted: dict[Any, tuple[Run, frozenset[str]]] = {}  # by future, with its workers' addresses
    n_lost: Counter[str] = Counter()
    number = itertools.count()
    while waiting or submitted:
        workers = crew.fit_workers()
        for future, (run, addresses) in list(submitted.items()):
            if not addresses.isdisjoint(workers):
                continue
            # Dask would keep it for these addresses, though all their workers are gone.
            future.cancel()
            del submitted[future]
            n_lost[run.name] += 1
            if n_lost[run.name] > MOST_LOST:
                raise _killed_by(run)
            waiting.insert(0, run)
        while waiting and len(submitted) < 2 * sum(workers.values()):
            run = waiting.pop(0)
            future = client.submit(
                do_run, crew.plan, run, crew.ground,
                workers=list(workers), key=f"{run.name}-{next(number)}", pure=False,
            )  # fmt: skip
            submitted[future] = run, frozenset(workers)
        with contextlib.suppress(distributed.TimeoutError):
            distributed.wait(submitted, timeout=LOOK, return_when="FIRST_COMPLETED")
        for future in [future for future in submitted if future.done()]:
            run, _ = submitted[future]
            try:
                packed = future.result(timeout=PATIENCE)
            except distributed.KilledWorker as error:
                raise _killed_by(run) from error
            except distributed.TimeoutError:  # its worker is gone, and the result with it
                continue
            del submitted[future]
            yield packed
            future.release()


def _killed_by(run: Run) -> StorageError:
    return StorageError(f"{run.name}: several workers died during this run")


class _Crew:
    """The workers that are used: those on the same ground as this process."""

    def __init__(
        self, client: Any, plan: Plan, ground: Ground, patience: float, reporter: Reporter
    ) -> None:
        self.client, self.plan, self.ground = client, plan, ground
        self._patience, self._reporter = patience, reporter
        self._checked: dict[str, bool] = {}  # address -> whether it is fit

    def fit_workers(self) -> Mapping[str, int]:
        """Address -> number of threads of the workers that are there now; each is checked once.

        Raises:
            StorageError: there was none for ``patience`` seconds.
            ConnectionError: the scheduler is gone.
        """
        deadline = time.monotonic() + self._patience
        while True:
            present = self.client.scheduler_info(n_workers=-1).get("workers")
            if present is None:
                raise ConnectionError("the scheduler is gone")
            for address in present:
                if address not in self._checked:
                    self._checked[address] = self._is_fit(address)
            fit = {a: int(w["nthreads"]) for a, w in present.items() if self._checked[a]}
            if fit:
                return fit
            if time.monotonic() > deadline:
                raise StorageError(
                    f"the cluster has no worker that can be used ({len(present)} others): "
                    "continue with --resume"
                )
            time.sleep(min(LOOK, self._patience / 10))

    def _is_fit(self, address: str) -> bool:
        """Whether a worker is on the same ground; if not, the reason is reported."""
        try:
            answer = self.client.run(Plan.ground, self.plan, workers=[address])
        except Exception as error:  # whatever importing or reading raises over there
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self._reporter.line(f"worker {address} is not used: {first}")
            return False
        if address not in answer:  # it went away meanwhile
            return False
        for name, expected in self.ground.items():
            if answer[address].get(name) != expected:
                self._reporter.line(
                    f"worker {address} is not used: {name}: "
                    f"got {answer[address].get(name)}, expected {expected}"
                )
                return False
        return True
