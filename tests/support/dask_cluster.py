"""Dask clusters of processes that tests can kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ALONE = ("--nthreads", 1, "--no-nanny", "--local-directory")


def start(kind: str, *options: object, **environment: str) -> subprocess.Popen[bytes]:
    """A scheduler or a worker in a process of its own."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *options]
    return subprocess.Popen(
        list(map(str, command)), env={**os.environ, **environment}, stderr=subprocess.DEVNULL
    )


class Processes:
    """A scheduler and its workers, each without a nanny that would start it again.

    Attributes:
        address: of the scheduler.
        scheduler, workers: the processes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, folder / "address.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        file = ("--scheduler-file", self._file)
        self.scheduler = start("scheduler", "--port", 0, "--host", "127.0.0.1", *file)

    @property
    def address(self) -> str:
        """Waits until the scheduler listens."""
        while not self._file.exists():
            assert self.scheduler.poll() is None
            time.sleep(0.05)
        address: str = json.loads(self._file.read_text())["address"]
        return address

    def add_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker, and wait until the scheduler knows it."""
        import distributed

        place = self._folder / f"worker{len(self.workers)}"
        self.workers.append(start("worker", self.address, *ALONE, place, **environment))
        with distributed.Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=120)
        return self.workers[-1]

    def kill(self) -> None:
        """Kill all processes, and wait until they are gone."""
        for process in (self.scheduler, *self.workers):
            process.kill()
            process.wait()


@contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    """A scheduler without workers yet; everything is killed at the end."""
    cluster = Processes(folder)
    try:
        yield cluster
    finally:
        cluster.kill()


def local_cluster(n: int, **settings: Any) -> Any:
    """A cluster of workers with one thread each; in this process if ``processes=False``."""
    import distributed

    return distributed.LocalCluster(
        n_workers=n,
        threads_per_worker=1,
        protocol="tcp",
        dashboard_address=None,
        silence_logs=50,
        **settings,
    )
