"""A study on a real Dask cluster: the same bytes, also if a worker is killed."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import time
from pathlib import Path

import pytest
from dask_cluster import ALONE, local_cluster, processes, start

from lenetshift.checks.errors import StorageError
from lenetshift.ops import isa
from lenetshift.study import cluster
from lenetshift.study.plans import Plan
from lenetshift.study.processes import on_this_machine
from lenetshift.study.publish import dossier_of, publish
from lenetshift.study.studies import carry_out, open_study

pytestmark = pytest.mark.slow

distributed = pytest.importorskip("distributed")

PLAN = Plan(2, ("table", "symmetry"), quick=True)


class Progress:
    """Keeps the lines that a study prints."""

    def __init__(self, on_advance=lambda units: None) -> None:
        self.lines, self.on_advance = [], on_advance

    def stage(self, name) -> None:
        pass

    def advance(self, units) -> None:
        self.on_advance(units)

    def line(self, text) -> None:
        self.lines.append(text)


def study(folder: Path, workers, progress=None) -> Progress:
    progress = progress or Progress()
    with open_study(folder, resume=True):
        carry_out(PLAN, folder, workers, progress)
        publish(PLAN, folder, dossier_of(PLAN, folder), lambda folder, value: [])
    return progress


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("local")
    study(folder, on_this_machine(1))
    return contents(folder)


@pytest.fixture
def two_workers():
    with local_cluster(2) as two:
        yield two


@pytest.fixture
def deadline():
    """Ends a test that does not end."""

    def end(*_) -> None:
        raise AssertionError("the study does not go on")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("n", [1, 2])
def test_a_killed_workers_run_is_done_elsewhere(n, local, tmp_path) -> None:
    """By the other worker, or by the only one when it is back, on another address."""
    killed = []
    with local_cluster(n) as some:

        def kill_one(units) -> None:
            if not killed:
                killed.append(some.workers[0].process.pid)
                os.kill(killed[0], signal.SIGKILL)

        on_cluster = cluster.on_cluster(some.scheduler_address, patience=200)
        study(tmp_path, on_cluster, Progress(kill_one))
    assert killed
    assert contents(tmp_path) == local


def test_a_worker_on_other_ground_gets_no_run(two_workers, local, tmp_path) -> None:
    """It has another instruction set; the same line reports another version or other data."""
    address = two_workers.scheduler_address
    odd = start("worker", address, *ALONE, tmp_path / "odd", LENETSHIFT_ISA="portable")
    try:
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(3, timeout=60)
        progress = study(tmp_path / "study", cluster.on_cluster(address))
    finally:
        odd.terminate()
        odd.wait()
    lines = [line for line in progress.lines if "is not used" in line]
    assert len(lines) == 1
    assert lines[0].endswith(f"is not used: isa: got portable, expected {isa()}")
    assert contents(tmp_path / "study") == local


def test_no_fit_worker(tmp_path) -> None:
    no_worker = pytest.raises(StorageError, match="the cluster has no worker that can be used")
    with local_cluster(0) as empty, no_worker:
        study(tmp_path, cluster.on_cluster(empty.scheduler_address, patience=0.5))


def test_no_scheduler(tmp_path) -> None:
    line = r"^no Dask scheduler answers at tcp://127.0.0.1:1 in 0.5 s: Connection ref"
    with pytest.raises(StorageError, match=line):
        study(tmp_path, cluster.on_cluster("tcp://127.0.0.1:1", patience=0.5))


@pytest.mark.parametrize("error", [AssertionError, TimeoutError, OSError])
def test_a_client_that_cannot_start_is_one_line(error, tmp_path, monkeypatch) -> None:
    """Distributed asserts that its thread starts within 10 s."""

    def client(*_args, **_settings):
        raise error

    monkeypatch.setattr(distributed, "Client", client)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(StorageError, match=rf"^no Dask scheduler answers at {address}"):
            study(tmp_path, cluster.on_cluster(address, patience=0.5))


def test_without_distributed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StorageError, match=r"pip install 'lenetshift\[dask\]'"):
        study(tmp_path, cluster.on_cluster("tcp://127.0.0.1:1"))


@pytest.mark.parametrize("address", ["nowhere:", "nonsense", "ftp://x:1", "tcp://", ""])
def test_no_address(address) -> None:
    line = r"^(argument --scheduler: got|no Dask scheduler answers)"
    with pytest.raises(StorageError, match=line):
        cluster.on_cluster(address, patience=0.5)


def test_an_unknown_host_is_reported_at_once() -> None:
    start = time.monotonic()
    line = r"^no Dask scheduler answers at tcp://nohost.invalid:1 "
    with pytest.raises(StorageError, match=line):
        cluster.on_cluster("tcp://nohost.invalid:1")
    assert time.monotonic() - start < cluster.PATIENCE


@pytest.mark.usefixtures("deadline")
def test_a_cluster_that_dies_loses_nothing(local, tmp_path) -> None:
    """Scheduler and workers are killed after the second training; what is finished is kept."""
    finished, folder = [], tmp_path / "study"
    with processes(tmp_path) as dying:
        dying.add_worker()

        def kill_all(units) -> None:
            finished.append(units)
            if len(finished) == 2:
                dying.kill()

        on_cluster = cluster.on_cluster(dying.address, patience=60)
        with pytest.raises(StorageError, match="continue with --resume"):
            study(folder, on_cluster, Progress(kill_all))
    before = contents(folder)
    assert sum(name.endswith(".npz") for name in before) >= 2
    study(folder, on_this_machine(1))
    assert contents(folder) == local
