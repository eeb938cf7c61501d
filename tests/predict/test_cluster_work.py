"""Tasks on a cluster whose workers come and go, without one."""

from __future__ import annotations

import functools
import itertools
from unittest import mock

import pytest

from lenetshift.checks.errors import StorageError
from lenetshift.predict.cluster.crew import Crew
from lenetshift.predict.cluster.work import MOST_LOST, Task, TaskFailed, Unfit, gather

distributed = pytest.importorskip("distributed")


class Reporter:
    """Keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


class Cluster:
    """A client of workers that answer at once, one after the other, with ``answer(address, task)``."""

    status = "running"

    def __init__(self, addresses: list[str], answer) -> None:
        self.addresses, self.answer = addresses, answer
        self.submitted: list[object] = []
        self.most_at_once = 0
        self._open = 0
        self._turn = itertools.count()

    def scheduler_info(self, n_workers: int) -> dict:
        return {"workers": {address: {"nthreads": 1} for address in self.addresses}}

    def run(self, function, workers):
        return {workers[0]: function()}

    def submit(self, function, argument, *, workers, key, pure):
        self.submitted.append(argument)
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        address = workers[next(self._turn) % len(workers)]
        future = mock.Mock(done=lambda: True, status="finished")

        def result(timeout):
            self._open -= 1
            try:
                return self.answer(address, argument)
            except Exception:
                future.status = "error"
                raise

        future.result = result
        return future


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch) -> None:
    monkeypatch.setattr(distributed, "wait", lambda *_, **__: None)


def crew_of(client, reporter=None, **settings) -> Crew:
    return Crew(client, lambda: {"isa": "x"}, {"isa": "x"}, reporter or Reporter(), **settings)


def tasks(n: int) -> list[Task]:
    return [Task(f"task {k}", (k,), about=-k) for k in range(n)]


def test_every_task_is_done_and_few_are_out_at_once() -> None:
    client = Cluster(["a", "b"], lambda address, k: k * k)
    taken = []

    def coming():
        for task in tasks(50):
            taken.append(task)
            assert len(taken) - len(done) <= 2 * 2
            yield task

    done = []
    for task, result in gather(client, crew_of(client), print, coming(), "task"):
        done.append((task.about, result))
    assert sorted(done) == sorted((-k, k * k) for k in range(50))
    assert client.most_at_once == 4


def test_without_tasks_no_worker_is_needed() -> None:
    client = Cluster([], None)
    assert list(gather(client, crew_of(client, patience=0), print, [], "task")) == []


def test_a_worker_that_turns_out_unfit_gets_no_more_work() -> None:
    asked = []

    def answer(address, k):
        asked.append(address)
        return Unfit("a", "No module named 'timm'") if address == "a" else k

    reporter = Reporter()
    client = Cluster(["a", "b"], answer)
    found = gather(client, crew_of(client, reporter), print, tasks(9), "task")
    assert sorted(result for _, result in found) == list(range(9))
    assert asked.count("a") <= 2 * 2  # what it had been given before its first answer came
    assert reporter.lines == ["worker a is not used: No module named 'timm'"]


def test_only_unfit_workers_are_an_error() -> None:
    client = Cluster(["a"], lambda address, k: Unfit(address, "no"))
    crew = crew_of(client, patience=0.01, advice=": and so on")
    with pytest.raises(StorageError, match=r"no worker that can be used \(1 others\): and so on$"):
        list(gather(client, crew, print, tasks(2), "task"))


def test_an_error_of_the_function_is_not_taken_for_a_loss() -> None:
    def answer(address, k):
        raise OSError("disk")

    client = Cluster(["a"], answer)
    with pytest.raises(TaskFailed) as failed:
        list(gather(client, crew_of(client), print, tasks(2), "task"))
    assert isinstance(failed.value.error, OSError)


def test_a_task_whose_workers_go_again_and_again_is_named() -> None:
    client, addresses = mock.Mock(), itertools.count()
    client.submit.side_effect = lambda *_, **__: mock.Mock(done=lambda: False)
    crew = mock.Mock(fit_workers=lambda: {f"tcp://worker:{next(addresses)}": 1})
    with pytest.raises(StorageError, match=r"^task 0: several workers died during this run$"):
        list(gather(client, crew, print, tasks(1), "run"))
    assert client.submit.call_count == 1 + MOST_LOST


def test_another_ground_is_named() -> None:
    reporter = Reporter()
    client = Cluster(["a"], None)
    crew = Crew(client, lambda: {"isa": "y"}, {"isa": "x"}, reporter, patience=0.01)
    with pytest.raises(StorageError):
        crew.fit_workers()
    assert reporter.lines == ["worker a is not used: isa: got y, expected x"]


def test_a_scheduler_that_is_gone_is_not_waited_for() -> None:
    client = Cluster([], None)
    client.status = "connecting"
    with pytest.raises(ConnectionError, match=r"^the scheduler is gone$"):
        crew_of(client, patience=1e9).fit_workers()


def test_a_worker_that_cannot_be_asked_is_named_once() -> None:
    reporter = Reporter()
    client = Cluster(["a"], None)
    fails = functools.partial(__import__, "no_such_module")
    crew = Crew(client, fails, {}, reporter, patience=0.01)
    for _ in range(2):
        with pytest.raises(StorageError):
            crew.fit_workers()
    assert reporter.lines == ["worker a is not used: No module named 'no_such_module'"]
