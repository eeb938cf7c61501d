"""Ctrl-C at any moment of a command: imports, work, and the end of the process."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import ROOT, python, run

from lenetshift.cli import doctor, interrupts, output

REPRODUCE = "-m lenetshift.reproduce --quick --models lenet5 --no-page"
COMMAND = [sys.executable, *REPRODUCE.split()]


def interrupted(after_s: float, folder: Path) -> tuple[int, str]:
    """The exit status and the error output of a run that gets SIGINT after some seconds."""
    with subprocess.Popen(
        [*COMMAND, "--resume", "--out", str(folder)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=120)[1]
    return process.returncode, errors


BEFORE_OUR_HANDLER = {
    "lenetshift/__init__.py", "lenetshift/cli/__init__.py", "lenetshift/cli/interrupts.py",
}  # fmt: skip
"""The code that may run before our handler is installed: some milliseconds."""


@pytest.mark.slow
def test_at_any_moment(tmp_path) -> None:
    moments = random.Random(0)
    start = time.monotonic()
    assert subprocess.run([*COMMAND, "--out", str(tmp_path / "whole")], cwd=ROOT).returncode == 0
    whole_s = time.monotonic() - start
    for k in range(10):
        status, errors = interrupted(0.15 + moments.random() * whole_s * 0.9, tmp_path / "run")
        files = set(re.findall(r"/(lenetshift/[\w/]+\.py)", errors))
        if status == -signal.SIGINT and "interrupted" not in errors and files <= BEFORE_OUR_HANDLER:
            continue  # Python itself was starting
        # Python ends by the signal itself, which a shell reports as 130, if the exception passed through
        # code that was compiled from a string, such as that of a dataclass.
        assert status in (0, interrupts.STATUS, -signal.SIGINT), (k, errors)
        assert "Traceback" not in errors, (k, errors)
        assert status == 0 or "interrupted" in errors, (k, errors)
    done = subprocess.run([*COMMAND, "--resume", "--out", str(tmp_path / "run")], cwd=ROOT)
    assert done.returncode == 0
    ours, whole = (np.load(tmp_path / name / "predictions.npz") for name in ("run", "whole"))
    assert set(ours) == set(whole)
    assert all(np.array_equal(ours[name], whole[name]) for name in whole)


def interrupted_import(*_: object) -> None:
    """What an extension module of Matplotlib does that is interrupted while it initializes."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as stop:
        raise ImportError("initialization failed") from stop


def test_in_an_import_while_the_command_works(monkeypatch) -> None:
    monkeypatch.setattr(doctor, "run", interrupted_import)
    assert run("doctor") == (interrupts.STATUS, "", "interrupted\n")


def test_in_an_import_while_a_picture_is_written(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        output.give("-", {}, "", {tmp_path / "a.png": interrupted_import})


def test_an_error_that_is_no_interrupt_stays_what_it_is() -> None:
    with pytest.raises(ImportError, match="damaged"), interrupts.never_hidden():
        raise ImportError("damaged") from ValueError()


SENDS_AT_THE_END = """
import atexit, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from lenetshift.cli.interrupts import as_process
atexit.register(os.kill, os.getpid(), signal.SIGINT)
sys.exit(as_process(lambda: {status}))
"""


@pytest.mark.parametrize("status", [0, 2])
def test_as_the_process_ends_it_changes_nothing(status) -> None:
    done = python("-c", SENDS_AT_THE_END.format(status=status))
    assert (done.returncode, done.stderr) == (status, "")


SENDS_IN_IMPORT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.{before})
sys.argv = ["lenetshift"]  # as in the console script
import lenetshift.cli
os.kill(os.getpid(), signal.SIGINT)
print("went on")
"""


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("default_int_handler", (interrupts.STATUS, "", "interrupted\n")),
        ("SIG_IGN", (0, "went on\n", "")),  # like a background job of a shell
    ],
)
def test_while_the_package_is_imported(before, expected) -> None:
    done = python("-c", SENDS_IN_IMPORT.format(before=before))
    assert (done.returncode, done.stdout, done.stderr) == expected


def test_a_program_that_imports_the_package_keeps_its_handler() -> None:
    code = "import signal, lenetshift; print(signal.getsignal(2) is signal.default_int_handler)"
    reset = "import signal; signal.signal(2, signal.default_int_handler); "
    done = python("-c", reset + code)
    assert done.stdout == "True\n"
