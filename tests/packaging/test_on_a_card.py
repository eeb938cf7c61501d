"""tools/on_a_card.sh, with stand-ins for what it calls: order, limits, exit status."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "on_a_card.sh"
TEXT = SCRIPT.read_text(encoding="utf-8")

STEPS = [
    "environment", "build", "tests", "c3_conv", "train_epoch", "predict_shifts", "own", "tables", "memcheck",
    "racecheck", "initcheck",
]  # fmt: skip

pytestmark = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("timeout")), reason="needs bash and timeout"
)

PYTHON = """#!/bin/bash
echo "python $*" >> "$CALLS"
case "$*" in
  "-m venv "*)
    mkdir -p "${!#}/bin" "${!#}/lib/python3/site-packages"
    cp "$0" "${!#}/bin/python" ;;
  *get_device_capability*) echo 90 ;;
  *-packages*) echo /given/site-packages ;;
esac
case "$*" in *"$FAILS"*) exit 3 ;; esac
case "$*" in *"$HANGS"*) sleep 1000 ;; esac
"""
TIMEOUT = """#!/bin/bash
echo "limit $2" >> "$CALLS"
case "$*" in *"$HANGS"*) exec "$TIMEOUT" --kill-after=1 1 "${@:3}" ;; esac
exec "${@:3}"
"""
OTHERS = {
    "nvidia-smi": "echo a card\n",
    "compute-sanitizer": 'echo "sanitizer $*" >> "$CALLS"\n"${@:5}"\n',
}


class Run:
    """A run of the script, in which one call fails and one hangs; no other step has a limit."""

    def __init__(self, folder: Path, *arguments: str, fails: str = "-", hangs: str = "-") -> None:
        programs, calls = folder / "bin", folder / "calls"
        programs.mkdir()
        stand_ins = {"python": PYTHON, "python3": PYTHON, "timeout": TIMEOUT}
        for name, text in (stand_ins | {k: f"#!/bin/bash\n{v}" for k, v in OTHERS.items()}).items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.results = folder / "results"
        done = subprocess.run(
            [str(SCRIPT), str(self.results), *arguments],
            capture_output=True,
            text=True,
            cwd=folder,
            env=os.environ
            | {
                "PATH": f"{programs}:{os.environ['PATH']}",
                "CALLS": str(calls),
                "FAILS": fails if fails != "-" else "nothing fails",
                "HANGS": hangs if hangs != "-" else "nothing hangs",
                "TIMEOUT": shutil.which("timeout") or "",
            },
        )
        self.status, self.said = done.returncode, done.stdout
        self.calls = calls.read_text().splitlines() if calls.exists() else []
        lines = (self.results / "summary.txt").read_text().splitlines()
        rows = [re.fullmatch(r"(\w+) +(\d+) s  (.+)", line) for line in lines]
        self.states = {row[1]: row[3] for row in rows if row}
        assert len(self.states) == len(lines)
        assert self.said.endswith("\n".join(["", *lines, ""]))


def test_every_step_in_order(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.status == 0
    assert list(run.states) == STEPS
    assert set(run.states.values()) == {"ok"}
    assert {path.stem for path in run.results.glob("*.log")} == set(STEPS)
    limits = [int(call.split()[1]) for call in run.calls if call.startswith("limit ")]
    assert len(limits) == len(STEPS)
    assert sum(limits) < 600  # even if every step is stopped
    began = [call for call in run.calls if call.startswith("python")]
    assert began[0] == f"python -m venv {run.results}/venv"
    assert any("CUDA_ARCHITECTURES=90" in call for call in began)
    json = f"{run.results}/c3_conv.json"
    assert f"python benchmarks/run.py --device cuda --only c3_conv --json {json}" in began
    assert [call.split()[2] for call in run.calls if call.startswith("sanitizer --tool")] == [
        "memcheck",
        "racecheck",
        "initcheck",
    ]


def test_a_given_python_lends_its_packages(tmp_path: Path) -> None:
    run = Run(tmp_path, "bin/python")
    assert run.status == 0
    assert f"python -m venv --without-pip {run.results}/venv" in run.calls
    assert not [call for call in run.calls if "install --quiet torch" in call]
    (pth,) = run.results.rglob("given.pth")
    assert pth.read_text() == "/given/site-packages\n"


@pytest.mark.parametrize(
    ("call", "name"), [("--only train_epoch", "train_epoch"), ("pip install", "environment")]
)
def test_after_a_failure_the_others_run(tmp_path: Path, call: str, name: str) -> None:
    run = Run(tmp_path, fails=call)
    assert run.status == 1
    assert list(run.states) == STEPS
    failed = {step for step, state in run.states.items() if state != "ok"}
    assert name in failed
    assert failed <= {name, "build"}  # which installs by pip too
    assert run.states[name] == "failed, status 3"


def test_a_step_that_hangs_is_stopped(tmp_path: Path) -> None:
    run = Run(tmp_path, hangs="--only own")
    assert run.status == 1
    assert re.fullmatch(r"stopped after \d\d s", run.states.pop("own"))
    assert list(run.states) == [step for step in STEPS if step != "own"]
    assert set(run.states.values()) == {"ok"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage: tools/on_a_card.sh RESULTS [PYTHON]\n"),
        (["results", "no-such-python"], "PYTHON: got no-such-python, expected a program\n"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [str(SCRIPT), *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr) == (2, message)
    assert list(tmp_path.iterdir()) == []


def test_it_measures_cases_that_exist(script: Callable[[str], ModuleType]) -> None:
    names = script("benchmarks/run.py").names("cuda")
    prefixes = re.findall(r"^measure (\w+) \d+$", TEXT, re.MULTILINE)
    assert len(prefixes) == 4
    for prefix in prefixes:
        assert any(name.startswith(prefix) for name in names)
        assert f'"$results/{prefix}.json"' in TEXT


def test_the_sanitizers_run_tests_that_exist() -> None:
    matrix = (ROOT / "tests" / "support" / "cuda_matrix.py").read_text(encoding="utf-8")
    assert "class TestCard(" in (ROOT / "tests" / "ops" / "test_cuda.py").read_text("utf-8")
    chosen = re.findall(
        r'^step \w+ \d+ sanitizer \w+ "TestCard(?: and \(([\w ]+)\))?"$', TEXT, re.M
    )
    assert len(chosen) == 3
    for word in " or ".join(filter(None, chosen)).split(" or "):
        assert re.search(rf"def test_\w*{word}", matrix), word


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs shellcheck")
def test_shellcheck_finds_nothing() -> None:
    done = subprocess.run(["shellcheck", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
