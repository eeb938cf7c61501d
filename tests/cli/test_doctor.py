"""``lenetshift doctor`` where all is well, and where something is not."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import signal
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import ROOT, Quiet, python, run

import lenetshift
from lenetshift.checks.core import HOW_TO_BUILD, core
from lenetshift.cli.checkup import installed, probed, probing, resources
from lenetshift.data.load import MNIST_FOLDER

PROBE = probing.Probe
Findings = dict[str, dict[str, Any]]

WELL: Findings = {
    "core": {
        "file": "_core.so", "has_cuda": True, "isa": "avx2",
        "isas": {"portable": True, "avx2": True, "avx512": False},
    },
    "torch": {"version": "2.9", "file": "torch", "threads": 4, "cuda_build": "12.8"},
    "ops": {"largest_difference": 1e-7},
    "cuda": {
        "available": True, "card": "H100", "capability": "9.0", "memory_bytes": 80_000_000_000
    },
    "figures": {"version": "3.10"},
}  # fmt: skip
"""What the other process finds on a machine with a card."""


@pytest.fixture(autouse=True)
def unforced(monkeypatch: pytest.MonkeyPatch) -> None:
    """No instruction set is forced, no quota set, no driver there, whatever this machine has."""
    monkeypatch.delenv("LENETSHIFT_ISA", raising=False)
    monkeypatch.setattr(probed, "cpu_quota", lambda: None)
    monkeypatch.setattr(probed, "cards_of_driver", lambda: (None, []))


def told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> tuple[int, Findings]:
    """Exit status and findings by name, where the other process finds WELL but for the changes: None
    where it has not come to a stage."""
    found = {name: value for name, value in {**WELL, **changes}.items() if value is not None}

    class Probed(Quiet):
        def result(self) -> Findings:
            return found

    monkeypatch.setattr(probing, "Probe", Probed)
    status, text, errors = run(capsys, "doctor", "--json")
    assert errors == ""
    value = json.loads(text)
    assert value["ok"] == (status == 0)
    findings = {finding["name"]: finding for finding in value["findings"]}
    for finding in findings.values():
        assert (finding["state"] == "wrong") <= bool(finding["do"]), finding
        assert "\n" not in finding["text"] + finding["do"]
    assert status == any(finding["state"] == "wrong" for finding in findings.values())
    return status, findings


def test_on_this_machine() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "LENETSHIFT_ISA"}
    done = python("-m", "lenetshift", "doctor", "--json", env=environment)
    assert done.stderr == ""
    value = json.loads(done.stdout)
    findings = {finding["name"]: finding for finding in value["findings"]}
    assert done.returncode == (0 if value["ok"] else 1)
    assert findings["core"]["facts"]["file"] == core.__file__
    assert findings["instructions"]["facts"]["isa"] == max(
        (name for name, supported in core.isas() if supported),
        key=["portable", "avx2", "avx512"].index,
    )
    assert findings["torch"]["facts"]["version"] == str(torch.__version__)
    assert findings["threads"]["facts"]["allowed_cpus"] == len(os.sched_getaffinity(0))
    assert findings["ops"]["state"] == findings["data"]["state"] == "ok"
    assert findings["lenetshift"]["facts"]["version"] == lenetshift.__version__
    text = python("-m", "lenetshift", "doctor", env=environment).stdout
    assert all(f"  {name:14}" in text or f"- {name:14}" in text for name in findings)
    assert text.endswith("All is well.\n") == value["ok"]


def test_well(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    status, findings = told(capsys, monkeypatch)
    assert status == 0
    assert findings["instructions"]["text"] == (
        "avx2: the fastest that this processor has; it lacks avx512"
    )
    assert findings["CUDA"]["text"].startswith("H100, capability 9.0, 80.0 GB, runs the kernels")


def test_no_torch_is_quick_and_needs_none(tmp_path: Path) -> None:
    started = tmp_path / "started"
    (tmp_path / "torch.py").write_text(f"open({str(started)!r}, 'w')\nraise ImportError\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    environment.pop("LENETSHIFT_ISA", None)
    done = python("-m", "lenetshift", "doctor", "--no-torch", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "core  " in done.stdout
    assert "instructions  " in done.stdout
    assert "CUDA  " not in done.stdout
    assert not started.exists()
    python("-m", "lenetshift", "doctor", env=environment)
    assert started.exists()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ImportError('libtorch.so:\\nno such file')", "ImportError: libtorch.so:"),
        ("raise OSError('not\\nfor this machine')", "OSError: not"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGILL)", "ended by signal SIGILL"),
        ("import os\nos._exit(7)", "ended with status 7"),
        ("print('hello')\nprint('[1]')\nimport os\nos._exit(0)", "ended with status 0"),
    ],
)
def test_a_broken_torch(source: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(source)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    environment.pop("LENETSHIFT_ISA", None)
    done = python("-m", "lenetshift", "doctor", "--json", env=environment)
    assert (done.returncode, done.stderr) == (1, "")
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["torch"]["state"] == "wrong"
    assert reason in findings["torch"]["text"]
    assert findings["torch"]["do"].startswith("install PyTorch")
    assert findings["core"]["state"] == findings["instructions"]["state"] == "ok"
    assert {findings[name]["state"] for name in ("ops", "CUDA")} == {"note"}
    text = python("-m", "lenetshift", "doctor", env=environment).stdout
    assert "! torch         cannot be imported: " in text
    assert f"{'':16}-> install PyTorch" in text


def test_a_core_of_another_version(tmp_path: Path) -> None:
    """Whether one is found, as where the package is installed, or none."""
    copy = tmp_path / "lenetshift"
    shutil.copytree(ROOT / "lenetshift", copy, ignore=shutil.ignore_patterns("*.so", "*.pyd"))
    init = copy / "version.py"
    init.write_text(init.read_text().replace(lenetshift.__version__, "9.9", 1))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = python("-m", "lenetshift", "doctor", "--json", cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (1, "")
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["lenetshift"]["facts"]["version"] == "9.9"
    assert findings["core"]["state"] == "wrong"
    assert findings["core"]["text"].startswith("lenetshift's compiled core is ")
    assert findings["core"]["do"] == HOW_TO_BUILD
    assert HOW_TO_BUILD not in findings["core"]["text"]
    assert findings["torch"]["state"] == "ok"
    done = python("-m", "lenetshift", "bench", cwd=tmp_path, env=environment)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "python -m lenetshift bench: error: lenetshift's compiled core is"
    )
    assert done.stderr.count("\n") == 1


def test_a_torch_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("import time\ntime.sleep(1000)\n")
    # The probe puts the package's folder first, which may be that of torch, too: one of its own.
    (tmp_path / "lenetshift").symlink_to(Path(lenetshift.__file__).parent)
    monkeypatch.setattr(probing, "ROOT", tmp_path)
    monkeypatch.setattr(probing, "PROBE_S", 3.0)
    with probing.Probe([]) as probe:
        found = probe.result()
    assert found["torch"] == {"error": "it has not ended after 3 s"}
    assert "error" not in found["core"]
    assert probe._process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("changes", "name", "state", "text", "do"),
    [
        (
            {"core": {"error": "ImportError: lenetshift's compiled core is missing: build and install "
                               "it with `pip install .` in the repository's root"}},
            "core", "wrong", "lenetshift's compiled core is missing", HOW_TO_BUILD,
        ),
        (
            {"core": {"error": "x"}, "ops": {"error": "y"}},
            "ops", "note", "not tried without torch and the core", "",
        ),
        (
            {"core": {**WELL["core"], "isa": None, "isa_error": "LENETSHIFT_ISA: got 'mmx'"}},
            "instructions", "wrong", "got 'mmx'", "one of portable, avx2",
        ),
        ({"ops": {"error": "differ by 1"}}, "ops", "wrong", "differ by 1", "LENETSHIFT_ISA=portable"),
        ({"ops": {"error": "x"}, "cuda": None, "figures": None}, "CUDA", "note", "not tried: ", ""),
        ({"ops": {"error": "x"}, "cuda": None, "figures": None}, "figures", "note", "not tried: ", ""),
        ({"figures": {"error": "no font"}}, "figures", "wrong", "no font", "matplotlibrc"),
        (
            {"figures": {"error": "ModuleNotFoundError: No module named 'matplotlib'"}},
            "figures", "wrong", "No module named", "pip install 'matplotlib>=3.7'",
        ),
        ({"torch": {"error": "gone"}}, "CUDA", "note", "not tried without torch", ""),
        ({"cuda": {"error": "boom"}}, "CUDA", "wrong", "boom", "install PyTorch"),
    ],
)  # fmt: skip
def test_what_is_wrong_and_what_to_do(
    changes: dict[str, Any], name: str, state: str, text: str, do: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    status, findings = told(capsys, monkeypatch, **changes)
    assert status == 1
    assert findings[name]["state"] == state
    assert text in findings[name]["text"]
    assert do in findings[name]["do"]


BLIND = {"available": False, "reason": "no device"}
UNBUILT = {"available": True, "card": "H100", "reason": "this build has no CUDA kernels"}


@pytest.mark.parametrize(
    ("changes", "driver", "state", "text", "do"),
    [
        ({"cuda": BLIND}, None, "ok", "no NVIDIA driver: the CPU is used", ""),
        (
            {"cuda": BLIND, "torch": {**WELL["torch"], "cuda_build": None}}, "535.1", "note",
            "driver 535.1, T4, but PyTorch is built without CUDA", "install PyTorch's CUDA build",
        ),
        (
            {"cuda": UNBUILT, "core": {**WELL["core"], "has_cuda": False}}, "535.1", "note",
            "H100, but the core is built without CUDA kernels", "LENETSHIFT_CUDA=ON",
        ),
        ({"cuda": BLIND}, "535.1", "wrong", "driver 535.1, T4, but: no device", "nvidia-smi"),
        (
            {"cuda": {"available": True, "card": "H100", "reason": "no kernel image"}}, "535.1",
            "wrong", "but: no kernel image", "new enough for PyTorch's CUDA 12.8",
        ),
    ],
)  # fmt: skip
def test_cuda(
    changes: dict[str, Any], driver: str | None, state: str, text: str, do: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(probed, "cards_of_driver", lambda: (driver, ["T4"] if driver else []))
    status, findings = told(capsys, monkeypatch, **changes)
    assert status == (state == "wrong")
    assert findings["CUDA"]["state"] == state
    assert text in findings["CUDA"]["text"]
    assert do in findings["CUDA"]["do"]


def test_a_forced_isa(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENETSHIFT_ISA", "portable")
    slow = {**WELL["core"], "isa": "portable"}
    status, findings = told(capsys, monkeypatch, core=slow)
    assert status == 0
    assert findings["instructions"]["state"] == "note"
    assert findings["instructions"]["do"] == "unset LENETSHIFT_ISA to use avx2"
    monkeypatch.setenv("LENETSHIFT_ISA", "avx2")
    _, findings = told(capsys, monkeypatch)
    assert findings["instructions"]["state"] == "ok"
    assert findings["instructions"]["text"].startswith("avx2, as LENETSHIFT_ISA says")
    monkeypatch.setenv("LENETSHIFT_ISA", "mmx")
    with PROBE(["core"]) as probe:
        found = probe.result()
    assert found["core"]["isa"] is None
    assert "mmx" in found["core"]["isa_error"]


def test_threads(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    _, findings = told(capsys, monkeypatch)
    assert findings["threads"]["state"] == "ok"
    assert findings["threads"]["text"] == (
        "4: 8 CPUs, this process may use 6, PyTorch takes 4, OMP_NUM_THREADS=4"
    )
    monkeypatch.setattr(probed, "cpu_quota", lambda: 1.5)
    status, findings = told(capsys, monkeypatch)
    assert status == 0
    assert findings["threads"]["state"] == "note"
    assert "the container's time is that of 1.5" in findings["threads"]["text"]
    assert "--threads 1, or set OMP_NUM_THREADS=1" in findings["threads"]["do"]


def test_quota_and_memory_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real quota
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.setattr(resources, "_groups", lambda: [inner, tmp_path / "a", tmp_path])
    before = resources.free_memory()
    assert before is not None
    (inner / "cpu.max").write_text("max 100000\n")
    (tmp_path / "a" / "cpu.max").write_text("250000 100000\n")
    (tmp_path / "cpu.max").write_text("400000 100000\n")
    assert resources.cpu_quota() == 2.5
    (inner / "memory.max").write_text("max\n")
    (tmp_path / "a" / "memory.max").write_text("5000\n")
    (tmp_path / "a" / "memory.current").write_text("4000\n")
    assert resources.free_memory() == 1000


def test_packages(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "shtab":
            raise importlib.metadata.PackageNotFoundError(name)
        return {"torch": "2.6.0+cpu", "scipy": "1.9.3rc1", "tqdm": "5"}.get(name) or real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    status, findings = told(capsys, monkeypatch)
    assert status == 1
    packages = findings["packages"]
    assert packages["text"] == "scipy 1.9.3rc1 is older than 1.15; shtab is missing"
    assert packages["do"] == "pip install 'scipy>=1.15' 'shtab>=1.6'"
    assert packages["facts"]["shtab"] is None


def test_python(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "PYTHON", (3, 99))
    status, findings = told(capsys, monkeypatch)
    assert status == 1
    assert findings["Python"]["do"] == "take Python 3.99 or newer"


def cut(folder: Path) -> None:
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])


def exchange(folder: Path) -> None:
    shutil.copy(folder / "train-labels-idx1-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz")


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (cut, "t10k-images-idx3-ubyte.gz: "),
        (exchange, "t10k-labels-idx1-ubyte.gz: unpacked, its SHA-256 is 65a50cbbf4e9"),
        (lambda folder: (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"x"), "Not a gzipped"),
        (lambda folder: (folder / "t10k-labels-idx1-ubyte.gz").unlink(), "No such file"),
        (lambda folder: (folder / "SHA256SUMS").unlink(), "SHA256SUMS: "),
        (lambda folder: (folder / "SHA256SUMS").write_text("x\n"), "SHA256SUMS: "),
    ],
)
def test_data(
    damage: Callable[[Path], object], text: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = shutil.copytree(MNIST_FOLDER, tmp_path / "data" / "mnist")
    damage(folder)
    monkeypatch.setattr(installed, "PACKAGE", tmp_path)
    status, findings = told(capsys, monkeypatch)
    assert status == 1
    assert findings["data"]["state"] == "wrong"
    assert text in findings["data"]["text"]
    assert "install the package anew" in findings["data"]["do"]


def test_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2, 2, 5_000_000))
    monkeypatch.setattr(resources, "free_memory", lambda: 900_000_000)
    status, findings = told(capsys, monkeypatch)
    assert status == 1
    assert findings["memory"]["state"] == "note"
    assert findings["memory"]["text"] == "900 MB are free"
    assert "--quick" in findings["memory"]["do"]
    assert findings["disk"]["state"] == "wrong"
    assert findings["disk"]["text"].startswith("5 MB are free in ")
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(resources, "free_memory", lambda: None)
    status, findings = told(capsys, monkeypatch)
    assert status == 0
    assert findings["disk"]["state"] == "note"
    assert "memory" not in findings

    def gone() -> Path:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "cwd", gone)
    status, findings = told(capsys, monkeypatch)
    assert status == 1
    assert findings["disk"]["text"] == "this folder: No such file or directory"


def test_json_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "Probe", Quiet)
    status, text, _ = run(capsys, "doctor", "--json", tmp_path / "doctor.json")
    assert status == 1  # nothing has been found by the other process
    value = json.loads((tmp_path / "doctor.json").read_text())
    n_wrong = sum(finding["state"] == "wrong" for finding in value["findings"])
    assert n_wrong == 1
    assert "\n1 thing is wrong, marked with !.\n" in text
    assert sum(line.startswith("! ") for line in text.splitlines()) == n_wrong
