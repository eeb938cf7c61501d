"""Shards answered by the workers of a Dask cluster."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from dask_cluster import local_cluster, processes
from evaluations import DIGITS, GRID, network
from torch import Tensor, nn
from torch.utils.data import DataLoader

import lenetshift
from lenetshift import Evaluation, ShiftEvaluator, evaluate_shifts
from lenetshift.checks.errors import StorageError
from lenetshift.predict.shards import cutting, on_cluster, sending
from lenetshift.predict.shards.cutting import Shard
from lenetshift.predict.shards.settings import ground

pytest.importorskip("distributed")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch) -> None:
    monkeypatch.setattr(cutting, "MOST_IMAGES", 7)


@pytest.fixture(scope="module", params=[1, 2])
def address(request) -> Iterator[str]:
    """The scheduler of a cluster of one or two workers, threads of this process."""
    with local_cluster(request.param, processes=False) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def one() -> Iterator[str]:
    with local_cluster(1, processes=False) as cluster:
        yield cluster.scheduler_address


def check_same(a: Evaluation, b: Evaluation) -> None:
    assert torch.equal(a.predictions, b.predictions)
    assert torch.equal(a.labels, b.labels)
    assert a.crop is not None or (a.lost_ink == b.lost_ink).all()
    assert (a.method, a.reason) == (b.method, b.reason)


class Shifted(nn.Module):
    """A network of one's own, which calls a function next to it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(brighter(x))


def brighter(x: Tensor) -> Tensor:
    return x + 0.25


MODELS: dict[str, tuple[nn.Module, dict[str, Any]]] = {
    "fused": (lenetshift.build_model("lenet5", seed=0), {}),
    "shared": (network(), {}),
    "rewritten": (network(), {"method": "rewritten"}),
    "plain": (Shifted(), {"method": "plain", "transform": lambda x: x - 0.5, "batch_size": 10}),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_answers_are_those_of_this_process(name, address) -> None:
    model, settings = MODELS[name]
    expected = evaluate_shifts(model, DIGITS, grid=GRID, **settings)
    check_same(evaluate_shifts(model, DIGITS, grid=GRID, **settings, scheduler=address), expected)
    assert expected.method == name


def test_batches_logits_and_a_folder(one, tmp_path) -> None:
    batches = DataLoader(DIGITS, batch_size=16)
    settings = {"grid": GRID, "return_logits": True}
    expected = evaluate_shifts(network(), batches, **settings)
    settings |= {"scheduler": one, "answers": tmp_path}
    there = evaluate_shifts(network(), batches, **settings)
    check_same(there, expected)
    torch.testing.assert_close(there.logits, expected.logits)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 8
    for file in files[2:4]:
        file.unlink()
    times = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    check_same(evaluate_shifts(network(), batches, **settings, resume=True), expected)
    assert sorted(tmp_path.iterdir()) == files
    assert times.items() <= {file: file.stat().st_mtime_ns for file in files}.items()


def test_what_was_kept_here_is_continued_there(one, tmp_path) -> None:
    first = DIGITS[:20]
    evaluate_shifts(network(), first, grid=GRID, answers=tmp_path)
    sorted(tmp_path.iterdir())[1].unlink()
    there = evaluate_shifts(
        network(), first, grid=GRID, answers=tmp_path, resume=True, scheduler=one
    )
    check_same(there, evaluate_shifts(network(), first, grid=GRID))


def test_without_anything_to_do_no_worker_is_needed(tmp_path) -> None:
    evaluate_shifts(network(), DIGITS, grid=GRID, answers=tmp_path)
    with local_cluster(0, processes=False) as empty:
        settings = {"answers": tmp_path, "resume": True, "scheduler": empty.scheduler_address}
        there = evaluate_shifts(network(), DIGITS, grid=GRID, **settings)
    check_same(there, evaluate_shifts(network(), DIGITS, grid=GRID))


def test_every_worker_tries_methods_on_the_same_sample(one, monkeypatch) -> None:
    """Those that this process would try them on: drawn evenly over the first batch."""
    seen = []
    real = ShiftEvaluator.answer

    def noted(self, images, **settings):
        seen.append(images)
        return real(self, images, **settings)

    monkeypatch.setattr(ShiftEvaluator, "answer", noted)
    evaluate_shifts(network(), DIGITS, grid=GRID, scheduler=one)
    assert torch.equal(seen[0], DIGITS.subset(12).images)
    assert sorted(map(len, seen[1:])) == [1] + [7] * 7


class Fails(nn.Module):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (RuntimeError("no luck"), RuntimeError, "no luck"),
        (FileNotFoundError(2, "No such file", "x"), FileNotFoundError, "No such file"),
        (SystemExit("enough"), RuntimeError, "SystemExit: enough"),
    ],
    ids=str,
)
def test_an_error_of_the_model_is_its_own(error, kind, text, one) -> None:
    with pytest.raises(kind, match=text):
        evaluate_shifts(Fails(error), DIGITS, grid=GRID, scheduler=one, method="plain")


def test_an_error_of_the_images_is_not_taken_for_a_loss(one) -> None:
    def batches():
        yield DIGITS.images[:20], DIGITS.labels[:20]
        raise OSError("cannot be read")

    with pytest.raises(OSError, match=r"^cannot be read$"):
        evaluate_shifts(network(), batches(), grid=GRID, scheduler=one)


def test_arguments_are_refused_as_here(one) -> None:
    for settings in ({"crop": (99, 99)}, {"method": "fused"}, {"fill": (1, 2, 3)}):
        with pytest.raises(ValueError) as here:  # noqa: PT011  compared below
            evaluate_shifts(network(), DIGITS, grid=GRID, **settings)
        with pytest.raises(ValueError) as there:  # noqa: PT011
            evaluate_shifts(network(), DIGITS, grid=GRID, **settings, scheduler=one)
        assert str(there.value) == str(here.value)


class Warns(nn.Module):
    """Warns once: this process would see a later warning of a worker that is a thread of it."""

    has_warned = False

    def forward(self, x: Tensor) -> Tensor:
        if not self.has_warned:
            self.has_warned = True
            self.warn()
        return x.flatten(1)[:, :10]

    def warn(self) -> None:
        warnings.warn("odd", UserWarning, stacklevel=1)


def test_warnings_of_the_workers_come_once(one) -> None:
    with pytest.warns(UserWarning, match="^odd$") as caught:
        evaluate_shifts(Warns(), DIGITS, grid=GRID, scheduler=one, method="plain")
    assert [str(warning.message) for warning in caught] == ["odd"]


def absent(*_: object) -> nn.Module:
    raise ModuleNotFoundError("No module named 'timm'")


class Absent(nn.Module):
    def __reduce__(self):
        return absent, ()


class Reporter:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


def test_a_worker_that_lacks_a_package_is_named(one) -> None:
    reporter = Reporter()
    answers = on_cluster.answers_on_cluster(
        one, ShiftEvaluator(Absent(), GRID), DIGITS.images[:3], [Shard(0, 0, DIGITS.images)],
        return_logits=False, reporter=reporter, advice="", patience=0.5,
    )  # fmt: skip
    with pytest.raises(StorageError, match="no worker that can be used"):
        list(answers)
    (line,) = reporter.lines
    assert line.endswith(" is not used: ModuleNotFoundError: No module named 'timm'")


def test_a_model_that_cannot_be_sent(one) -> None:
    model = network()
    model.lock = threading.Lock()
    with pytest.raises(ValueError, match=r"^model: got Sequential \(TypeError: cannot "):
        evaluate_shifts(model, DIGITS, grid=GRID, scheduler=one)


def test_no_module_stays_registered_if_one_cannot_be(monkeypatch) -> None:
    import cloudpickle

    names = ["first_own_module", "second_own_module"]
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    real = cloudpickle.register_pickle_by_value

    def refusing(module) -> None:
        if module.__name__ == names[1]:
            raise ValueError("not this one")
        real(module)

    monkeypatch.setattr(cloudpickle, "register_pickle_by_value", refusing)
    before = cloudpickle.list_registry_pickle_by_value()
    with pytest.raises(ValueError, match="not this one"):
        sending.packed(ShiftEvaluator(network(), GRID), DIGITS.images[:3], "cpu")
    assert cloudpickle.list_registry_pickle_by_value() == before


def test_the_card_is_the_models(monkeypatch) -> None:
    """Without a card: of what the name is asked."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: f"card of {device}")
    assert ground(torch.device("cuda:1"))["device"] == "card of cuda:1"
    assert ground(torch.device("cpu"))["device"] == "cpu"


def test_a_scripted_model_is_sent(one) -> None:
    traced = torch.jit.trace(network().eval(), torch.zeros(1, 1, 28, 28))
    check_same(
        evaluate_shifts(traced, DIGITS, grid=GRID, scheduler=one),
        evaluate_shifts(traced, DIGITS, grid=GRID),
    )


def test_few_images_are_in_flight(one) -> None:
    """Two shards for a worker, and what it takes to cut them."""
    read: list[int] = []
    done: list[int] = []

    def shards() -> Iterator[Shard]:
        for number in range(20):
            read.append(number)
            assert len(read) - len(done) <= 4
            yield Shard(number, number, DIGITS.images[number : number + 1])

    for shard, answers in on_cluster.answers_on_cluster(
        one, ShiftEvaluator(network(), GRID), DIGITS.images[:3], shards(),
        return_logits=False, reporter=Reporter(), advice="",
    ):  # fmt: skip
        assert len(answers.predictions) == 1
        done.append(shard.number)
    assert sorted(done) == list(range(20))


def test_while_workers_work_nobody_is_asked_again_and_again(one, monkeypatch) -> None:
    """Waiting ends when a shard is answered, or after a while with TimeoutError."""
    import distributed

    real, ended = distributed.wait, []

    def noted(*arguments, **settings):
        result = real(*arguments, **settings)
        ended.append(len(result.done))
        return result

    monkeypatch.setattr(distributed, "wait", noted)
    evaluate_shifts(network(), DIGITS, grid=GRID, scheduler=one)
    assert ended
    assert 0 not in ended


NET = """
import os, pathlib, time
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(784, 10)
        self.n = 0

    def forward(self, x):
        self.n += len(x)
        stop = os.environ.get("STOP_AT")
        if stop and self.n > 300:  # of 12 * 15 in the sample and 7 * 15 in each shard
            pathlib.Path(stop).touch()
            time.sleep(600)
        wait = os.environ.get("WAIT_FOR")
        while wait and self.n > 200 and not pathlib.Path(wait).exists():
            time.sleep(0.05)
        return self.linear(x.flatten(1))
"""


@pytest.mark.slow
def test_a_worker_that_dies_loses_nothing(tmp_path, monkeypatch) -> None:
    """The code of the network goes along. One worker of two hangs in its second shard, and is killed; the
    other one waits for that in its first, so that it does not do all the work."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "dying_net.py").write_text(NET)
    from dying_net import Net

    stop = tmp_path / "stopped"
    settings = {"grid": GRID, "method": "plain"}
    with processes(tmp_path) as cluster:
        hanging = cluster.add_worker(STOP_AT=str(stop))
        cluster.add_worker(WAIT_FOR=str(stop))
        killer = threading.Thread(target=kill_when_there, args=(stop, hanging.pid), daemon=True)
        killer.start()
        there = evaluate_shifts(Net(), DIGITS, **settings, scheduler=cluster.address)
        killer.join()
    assert hanging.wait() == -signal.SIGKILL
    check_same(there, evaluate_shifts(Net(), DIGITS, **settings))


def kill_when_there(file: Path, pid: int) -> None:
    while not file.exists():
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
