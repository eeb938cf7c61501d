"""``lenetshift evaluate`` with ``--answers``, ``--resume`` and ``--scheduler``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from dask_cluster import processes

import lenetshift

pytest.importorskip("distributed")

NET = """
import os, pathlib, time
import torch
from sibling import scaled

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(784, 10)
        self.n = 0

    def forward(self, x):
        self.n += len(x)
        if "HANG_AT" in os.environ and self.n > 3000:  # patterns; a shard has 2000
            pathlib.Path(os.environ["HANG_AT"]).touch()
            time.sleep(600)
        return scaled(self.linear(x.flatten(1)))
"""
ARGUMENTS = (
    *("evaluate", "--model", "net.py:Net", "--method", "plain", "--images", 2500),
    *("--dx", 0, 1, "--dy", 0, 0, "--no-intervals"),
)
KEPT = ("--answers", "kept")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "sibling.py").write_text("def scaled(x):\n    return 2 * x\n")
    yield tmp_path
    for name in ("sibling", "model_of_net"):
        sys.modules.pop(name, None)


def result(*more: object) -> dict[str, Any]:
    """What the command writes, without the time that it took; ``said`` is what it says on standard error."""
    status, text, errors = run(*ARGUMENTS, *more, "--json")
    assert status == 0, errors
    return {"said": errors, **json.loads(text), "seconds": None}


def hanging(*more: object, **environment: str) -> subprocess.Popen[str]:
    """The command in a process, which hangs in its second shard."""
    package = str(Path(lenetshift.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-m", "lenetshift", *map(str, (*ARGUMENTS, *more))],
        env={**os.environ, "PYTHONPATH": package, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    while not file.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def wait_for_answers(process: subprocess.Popen[str]) -> None:
    """Wait for the first file: a worker need not begin with the first shard."""
    while not any(Path("kept").glob("answers-*.npz")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def shards() -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in Path("kept").iterdir()}


def test_the_results_are_the_same_and_continue() -> None:
    plain = result()
    assert plain["said"] == ""
    assert result(*KEPT) == plain
    before = shards()
    assert len(before) == 3
    (Path("kept") / "answers-000001.npz").unlink()
    assert result(*KEPT, "--resume") == {
        **plain,
        "said": "1,500 images had been answered before\n",
    }
    after = shards()
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"answers-000001.npz"}


def line(*more: object) -> str:
    status, text, errors = run(*ARGUMENTS, *more)
    assert (status, text) == (2, "")
    assert errors.count("\n") == 1
    return errors.removeprefix("lenetshift evaluate: error: ").rstrip("\n")


def test_what_cannot_be_done_is_one_line(folder) -> None:
    assert (
        line("--resume")
        == "argument --resume: got no --answers, expected the folder of the answers"
    )
    expected = "argument --scheduler: got 'x', expected an address such as tcp://10.0.0.1:8786"
    assert line("--scheduler", "x") == expected
    result(*KEPT)
    held = "argument --answers: kept holds the answers of an evaluation already: continue with"
    assert line(*KEPT).startswith(held)
    of_kept = "argument --answers: kept/answers-000000.npz"
    fill = f"{of_kept}: fill: was written with 0.0, now it is 7.0"
    assert line(*KEPT, "--resume", "--fill", 7) == fill
    del sys.modules["sibling"]
    (folder / "sibling.py").write_text("def scaled(x):\n    return 3 * x\n")
    os.utime(folder / "sibling.py", (1, 1))  # or Python would take what it compiled before
    assert line(*KEPT, "--resume").startswith(f"{of_kept}: code: was written with ")


@pytest.mark.parametrize(
    ("has_answers", "expected"),
    [
        (False, "interrupted: no answers were kept yet\n"),
        (True, "interrupted: the same command with --resume continues with the answers in kept\n"),
    ],
)
def test_an_interruption_says_how_to_go_on(has_answers, expected, folder, monkeypatch) -> None:
    def interrupted(*_, **__):
        if has_answers:
            (folder / "kept" / "answers-000009.npz").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("lenetshift.predict.shards.by_shard.answered", interrupted)
    assert run(*ARGUMENTS, *KEPT) == (130, "", expected)


@pytest.mark.slow
def test_a_killed_evaluation_continues(folder) -> None:
    process = hanging(*KEPT, HANG_AT=str(folder / "hangs"))
    wait_for(folder / "hangs", process)
    process.kill()
    process.communicate()
    before = shards()
    assert before.keys() == {"answers-000000.npz"}
    resumed = result(*KEPT, "--resume")
    assert resumed == {**result(), "said": "1,000 images had been answered before\n"}
    assert before.items() <= shards().items()


@pytest.mark.slow
def test_a_cluster_that_goes_is_one_line_and_loses_nothing(folder) -> None:
    with processes(folder) as cluster:
        cluster.add_worker(HANG_AT=str(folder / "hangs"))
        process = hanging(*KEPT, "--scheduler", cluster.address)
        wait_for_answers(process)
        address = cluster.address
        cluster.kill()
        text, errors = process.communicate()
    assert (process.returncode, text) == (2, "")
    assert errors == (
        "python -m lenetshift evaluate: error: argument --scheduler: "
        f"the cluster at {address} is lost: "
        "continue with --resume (in Python resume=True)\n"
    )
    before = shards()
    assert len(before) == 1
    resumed = result(*KEPT, "--resume")
    assert resumed == {**result(), "said": "1,000 images had been answered before\n"}


@pytest.mark.slow
def test_ctrl_c_is_one_line_and_loses_nothing(folder) -> None:
    with processes(folder) as cluster:
        cluster.add_worker(HANG_AT=str(folder / "hangs"))
        process = hanging(*KEPT, "--scheduler", cluster.address)
        wait_for(folder / "hangs", process)
        wait_for_answers(process)
        process.send_signal(signal.SIGINT)
        text, errors = process.communicate()
    assert (process.returncode, text) == (130, "")
    assert errors == (
        "interrupted: the same command with --resume continues with the answers in kept\n"
    )
    assert len(shards()) == 1
