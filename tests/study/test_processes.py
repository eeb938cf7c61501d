"""The processes of a study on this machine: interrupted, killed and replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from command_line import ROOT
from dossiers import files_of, quick

from lenetshift.study import processes
from lenetshift.study.verification import verify


def test_a_process_that_joblib_replaces_is_no_warning(monkeypatch) -> None:
    """Each holds too much after its second training, by limits that it sets itself."""
    pytest.importorskip("psutil")

    def grown(plan, training, ground):
        from joblib.externals.loky import process_executor

        process_executor._MEMORY_LEAK_CHECK_DELAY = -1.0
        process_executor._MAX_MEMORY_LEAK_SIZE = -(1 << 60)
        return training, os.getpid()

    monkeypatch.setattr(processes, "do_training", grown)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        finished = list(processes.on_this_machine(2)(None, None, range(8), None))
    assert sorted(training for training, _ in finished) == list(range(8))
    assert len({process for _, process in finished}) > 2
    assert [str(one.message) for one in warned] == []


def start(folder: Path, *options, **how) -> subprocess.Popen:
    """A study in a process of its own, which ignores no signal even if a shell or nohup does."""

    def reset_signals() -> None:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    command = [sys.executable, "-m", "lenetshift.study", "--out", folder, *options]
    how |= {"cwd": ROOT, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    return subprocess.Popen(list(map(str, command)), preexec_fn=reset_signals, **how)


def wait_for(found, process: subprocess.Popen):
    """What ``found`` returns once it is true; the process must not end before."""
    deadline = time.monotonic() + 300
    while not (result := found()):
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return result


def workers_of(process: subprocess.Popen) -> list[int]:
    """The process ids of a study's two workers; empty until both are there."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    workers = [pid for pid, command in commands.items() if b"popen_loky" in command]
    return workers if len(workers) == 2 else []


@pytest.mark.slow
def test_a_killed_worker_is_reported(tmp_path) -> None:
    process = start(tmp_path / "out", "--experiments", "table", "--jobs", 2)
    os.kill(wait_for(lambda: workers_of(process), process)[0], signal.SIGKILL)
    errors = process.communicate(timeout=300)[1].decode()
    assert process.returncode == 2, errors
    last = errors.splitlines()[-1]
    assert last.endswith(
        "a process of the study was killed (too little memory?): continue with --resume"
    )
    assert "Traceback" not in errors


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_workers_end_with_their_study(stop, tmp_path) -> None:
    """The signal reaches the study alone. The end of its standard error, which the workers and the
    resource trackers hold too, is the end of them all."""
    process = start(tmp_path / "out", "--experiments", "table", "--jobs", 2)
    workers = wait_for(lambda: workers_of(process), process)
    process.send_signal(stop)
    try:
        errors = process.communicate(timeout=120)[1].decode()
    finally:
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert process.returncode == (-stop if stop == signal.SIGKILL else 128 + stop), errors
    if stop != signal.SIGKILL:
        line = "interrupted: the same command with --resume continues after the finished runs"
        assert errors.splitlines() == ["100 of 100 runs to do", line]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_finished_survives(stop, jobs, tmp_path, original) -> None:
    folder = tmp_path / "out"
    options = ("--quick", "--experiments", "table", "--jobs", jobs)
    process = start(folder, *options, start_new_session=True)
    wait_for(lambda: list(folder.rglob("*.npz")), process)
    os.killpg(process.pid, stop)  # as a terminal's Ctrl-C reaches all processes
    errors = process.communicate(timeout=300)[1].decode()
    before = files_of(folder, "*.npz")
    assert before
    if process.returncode != 0:  # else all was done before the signal came
        assert not (folder / "SHA256SUMS").exists()
        assert process.returncode == (130 if stop == signal.SIGINT else -stop)
        if stop == signal.SIGINT:
            assert errors.endswith("with --resume continues after the finished runs\n"), errors
        assert quick(folder, "--resume")[0] == 0
    assert all(path.read_bytes() == contents for path, contents in before.items())
    assert not list(folder.rglob(".*.partial"))
    for path in original.rglob("*.npz"):
        assert (folder / path.relative_to(original)).read_bytes() == path.read_bytes()
    verify(folder)
