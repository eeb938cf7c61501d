"""``lenetshift doctor`` if everything is fine, and if something is not."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
from collections import namedtuple
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from command_line import ROOT, python, run

import lenetshift
from lenetshift.checks.core import core
from lenetshift.checks.errors import CoreError
from lenetshift.cli.checkup import here, probe
from lenetshift.cli.checkup.finding import NOTE, Finding
from lenetshift.data.load import MNIST_FOLDER

Findings = dict[str, dict[str, Any]]


def doctor(*options: str, **how: Any) -> tuple[int, Findings, str]:
    """Exit status, findings by name and text of ``doctor`` in a process of its own."""
    how["env"] = {"LENETSHIFT_ISA": None, **how.get("env", {})}
    done = python("-m", "lenetshift", "doctor", *options, "--json", **how)
    assert done.stderr == ""
    value = json.loads(done.stdout)
    findings = {finding["name"]: finding for finding in value["findings"]}
    assert value["ok"] == (done.returncode == 0)
    assert done.returncode == any(finding["state"] == "wrong" for finding in findings.values())
    for finding in findings.values():
        assert set(finding) == {"name", "state", "text", "do", "facts"}
        assert (finding["state"] == "wrong") <= bool(finding["do"]), finding
        assert "\n" not in finding["text"] + finding["do"]
    return done.returncode, findings, python("-m", "lenetshift", "doctor", *options, **how).stdout


def test_on_this_machine() -> None:
    status, findings, text = doctor()
    facts = {name: finding["facts"] for name, finding in findings.items()}
    assert facts["core"]["file"] == core.__file__
    best = [name for name, supported in core.isas() if supported][-1]
    assert facts["instructions"]["isa"] == best
    fastest = f"{best}: the fastest that this processor has"
    assert findings["instructions"]["text"].startswith(fastest)
    assert facts["torch"]["version"] == str(torch.__version__)
    assert facts["threads"]["allowed_cpus"] == len(os.sched_getaffinity(0))
    assert facts["threads"]["torch_threads"] > 0
    assert facts["lenetshift"]["version"] == lenetshift.__version__
    for name in ("Python", "packages", "data", "ops", "figures"):
        assert findings[name]["state"] == "ok"
    assert all(f"  {name:14}" in text or f"- {name:14}" in text for name in findings)
    assert text.endswith("Everything is fine.\n") == (status == 0)


def with_torch(folder: Path, source: str) -> dict[str, str]:
    """An environment whose torch is this source."""
    (folder / "torch.py").write_text(source)
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def test_no_torch_does_not_import_torch(tmp_path) -> None:
    source = f"open({str(tmp_path / 'started')!r}, 'w')\nraise ImportError\n"
    environment = with_torch(tmp_path, source)
    status, findings, _ = doctor("--no-torch", env=environment)
    assert status == 0
    assert {"core", "instructions", "threads"} < set(findings)
    assert not {"torch", "ops", "CUDA", "figures"} & set(findings)
    assert not (tmp_path / "started").exists()
    doctor(env=environment)
    assert (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ImportError('libtorch.so:\\nno such file')", "ImportError: libtorch.so:"),
        ("raise OSError('not\\nfor this machine')", "OSError: not"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGILL)", "ended by signal SIGILL"),
        ("print('hello')\nprint('[1]')\nimport os\nos._exit(0)", "ended with status 0"),
    ],
)
def test_a_broken_torch(source, reason, tmp_path) -> None:
    status, findings, text = doctor(env=with_torch(tmp_path, source))
    assert status == 1
    assert findings["torch"]["state"] == "wrong"
    assert reason in findings["torch"]["text"]
    assert findings["torch"]["do"].startswith("install PyTorch")
    assert findings["core"]["state"] == findings["instructions"]["state"] == "ok"
    assert {findings[name]["state"] for name in ("ops", "CUDA")} == {"note"}
    assert "! torch         cannot be imported: " in text
    assert f"{'':16}-> install PyTorch" in text


def test_a_torch_that_does_not_end(tmp_path, monkeypatch) -> None:
    (tmp_path / "torch.py").write_text("import time\ntime.sleep(1000)\n")
    # The probe puts the package's folder first, which may be that of torch, too: one of its own.
    (tmp_path / "lenetshift").symlink_to(Path(lenetshift.__file__).parent)
    monkeypatch.setattr(probe, "ROOT", tmp_path)
    monkeypatch.setattr(probe, "PROBE_S", 3.0)
    found = {each.name: each for each in probe.probe(list(probe.STAGES))}
    assert found["torch"].text == "cannot be imported: it did not end within 3 s"
    assert found["core"].state == "ok"
    assert found["figures"].text == "not tried: an earlier stage ended the process"
    assert {found[name].state for name in ("ops", "CUDA", "figures")} == {NOTE}


def test_a_process_that_cannot_start(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(probe, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lenetshift.py").write_text("raise RuntimeError")
    found = probe.probe(["core", "torch"])
    assert [(each.name, each.state) for each in found] == [("core", "wrong"), ("torch", NOTE)]
    assert found[0].text == "the process that tried it ended with status 1"


def test_a_core_of_another_version(tmp_path) -> None:
    """Or no core, if the package is not installed."""
    copy = tmp_path / "lenetshift"
    shutil.copytree(ROOT / "lenetshift", copy, ignore=shutil.ignore_patterns("*.so", "*.pyd"))
    version = copy / "version.py"
    version.write_text(version.read_text().replace(lenetshift.__version__, "9.9", 1))
    how = {"cwd": tmp_path, "env": {"PYTHONPATH": str(tmp_path)}}
    status, findings, _ = doctor(**how)
    assert status == 1
    assert findings["lenetshift"]["facts"]["version"] == "9.9"
    assert findings["core"]["state"] == "wrong"
    assert findings["core"]["text"].startswith("lenetshift's compiled core is ")
    assert findings["core"]["do"] == CoreError.do
    assert CoreError.do not in findings["core"]["text"]
    assert findings["torch"]["state"] == "ok"
    assert findings["ops"]["text"] == "not tried without torch and the core"
    done = python("-m", "lenetshift", "bench", cwd=tmp_path, env=how["env"])
    assert done.returncode == 2
    line = "python -m lenetshift bench: error: lenetshift's compiled core is"
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_a_forced_isa(monkeypatch) -> None:
    *others, best = (name for name, supported in core.isas() if supported)
    for forced, state, text, do in (
        (best, "ok", f"{best}, chosen by LENETSHIFT_ISA; this processor has portable", ""),
        ("mmx", "wrong", "LENETSHIFT_ISA=mmx: expected one of", "set it to one of portable"),
        *((isa, "note", f"{isa}, chosen", f"unset LENETSHIFT_ISA to use {best}") for isa in others),
    ):
        monkeypatch.setenv("LENETSHIFT_ISA", forced)
        found = probe.probe(["core"])[1]
        assert (found.name, found.state) == ("instructions", state)
        assert text in found.text
        assert do in found.do


def test_stages_that_fail(monkeypatch) -> None:
    failed = [probe.failed(name, "boom") for name in probe.STAGES]
    assert {(each.state, each.text[-4:], bool(each.do)) for each in failed} == {
        ("wrong", "boom", True)
    }
    answers = {"fused": torch.zeros(1), "plain": torch.ones(1)}
    monkeypatch.setattr(lenetshift, "predict_shifts", lambda *_, method, **__: (0, answers[method]))
    with pytest.raises(ValueError, match="plain PyTorch differ by 1"):
        probe.ops()


def failing(reason: str) -> Any:
    def fail(*_: object, **__: object) -> Any:
        raise RuntimeError(f"{reason}\nin two lines")

    return fail


H100 = SimpleNamespace(name="H100", major=9, minor=0, total_memory=80_000_000_000)


@pytest.mark.parametrize(
    ("available", "build", "has_cuda", "error", "driver", "state", "text", "do"),
    [
        (True, "12.8", True, "", "9.1", "ok", "H100, capability 9.0, 80.0 GB, runs the kernels", ""),
        (False, "12.8", True, "none", None, "ok", "no NVIDIA driver: the CPU is used", ""),
        (False, None, True, "none", "9.1", "note", "driver 9.1, T4, but PyTorch is", "PyTorch's CUDA build"),
        (True, "12.8", False, "none", "9.1", "note", "H100, but the core is", "LENETSHIFT_CUDA=ON"),
        (False, "12.8", True, "none", "9.1", "wrong", "driver 9.1, T4, but: none", "nvidia-smi"),
        (True, "12.8", True, "no image", "9.1", "wrong", "H100, but: no image", "for PyTorch's CUDA 12.8"),
    ],
)  # fmt: skip
def test_cuda(available, build, has_cuda, error, driver, state, text, do, monkeypatch) -> None:
    zeros = torch.zeros
    monkeypatch.setattr(probe, "cards_of_driver", lambda: (driver, ["T4"] if driver else []))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.version, "cuda", build)
    card = (lambda _: H100) if available else failing(error)
    monkeypatch.setattr(torch.cuda, "get_device_properties", card)
    on_cpu = failing(error) if error else lambda *sizes, dtype, device: zeros(*sizes, dtype=dtype)
    monkeypatch.setattr(torch, "zeros", on_cpu)
    monkeypatch.setattr(core, "has_cuda", has_cuda)
    (found,) = probe.cuda()
    assert (found.name, found.state) == ("CUDA", state)
    assert text in found.text
    assert do in found.do
    json.dumps(asdict(found))


def test_threads(monkeypatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setattr(here, "cpu_quota", lambda: None)
    found = here.threads(4)
    said = "4: 8 CPUs, this process may use 6, PyTorch takes 4, OMP_NUM_THREADS=4"
    assert (found.state, found.text, found.do) == ("ok", said, "")
    assert here.threads(None).text.startswith("at most 6: 8 CPUs, this process")
    monkeypatch.setattr(here, "cpu_quota", lambda: 1.5)
    found = here.threads(4)
    assert found.state == "note"
    assert "the container has the time of 1.5" in found.text
    assert "--threads 1, or set OMP_NUM_THREADS=1" in found.do


def test_quota_and_memory_of_a_container(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(here, "CGROUPS", tmp_path)
    inner = tmp_path / "a" / "b"
    (tmp_path / "cpu").mkdir()
    inner.mkdir(parents=True)
    monkeypatch.setattr(here, "_groups", lambda: [inner, tmp_path / "a", tmp_path])
    before = here.free_memory()
    assert before is not None
    assert here.cpu_quota() is None
    for name, text in (
        ("a/b/cpu.max", "max 100000\n"),
        ("a/cpu.max", "250000 100000\n"),
        ("cpu.max", "400000 100000\n"),
        ("a/b/memory.max", "max\n"),
        ("a/memory.max", "5000\n"),
        ("a/memory.current", "4000\n"),
    ):
        (tmp_path / name).write_text(text)
    assert (here.cpu_quota(), here.free_memory()) == (2.5, 1000)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    for quota, expected in (("-1", 2.5), ("50000", 0.5)):  # cgroup v1
        (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
        assert here.cpu_quota() == expected


def test_packages(monkeypatch) -> None:
    def version(name: str) -> str:
        if name == "shtab":
            raise importlib.metadata.PackageNotFoundError(name)
        return {"torch": "2.6.0+cpu", "scipy": "1.9.3rc1", "tqdm": "5"}[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = here.packages({"torch": "2.6", "scipy": "1.15", "tqdm": "4.60", "shtab": "1.6"})
    assert found.state == "wrong"
    assert found.text == "scipy 1.9.3rc1 is older than 1.15; shtab is missing"
    assert found.do == "pip install 'scipy>=1.15' 'shtab>=1.6'"
    assert found.facts == {"torch": "2.6.0+cpu", "scipy": "1.9.3rc1", "tqdm": "5", "shtab": None}


def test_what_the_package_requires(monkeypatch) -> None:
    least = here.required()
    assert least["Python"] == "3.10"
    assert {"torch", "numpy", "matplotlib", "scipy", "shtab"} < set(least)
    assert "pytest" not in least
    assert here.python("3.99").do == "use Python 3.99 or newer"
    assert here.python("3.10").state == "ok"

    def missing(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "metadata", missing)
    assert {each.name: each.state for each in here.look()}["packages"] == "note"


IMAGES, LABELS, SUMS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "SHA256SUMS"


@pytest.mark.parametrize(
    ("name", "damaged", "text"),
    [
        (IMAGES, lambda path: path.read_bytes()[:-9], f"{IMAGES}: "),
        (LABELS, lambda path: path.with_name(f"train{LABELS[4:]}").read_bytes(), "is 65a50cbbf4e9"),
        (LABELS, lambda _: b"x", "Not a gzipped"),
        (LABELS, None, "No such file"),
        (SUMS, None, f"{SUMS}: "),
        (SUMS, lambda _: b"x\n", f"{SUMS}: "),
    ],
)
def test_data(name, damaged, text, tmp_path, monkeypatch) -> None:
    path = shutil.copytree(MNIST_FOLDER, tmp_path / "data" / "mnist") / name
    contents = damaged and damaged(path)
    path.unlink()
    if contents is not None:
        path.write_bytes(contents)
    monkeypatch.setattr(here, "PACKAGE", tmp_path)
    found = here.data()
    assert found.state == "wrong"
    assert text in found.text
    assert "install the package again" in found.do


def test_memory_and_disk(monkeypatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2, 2, 5_000_000))
    monkeypatch.setattr(here, "free_memory", lambda: 900_000_000)
    (memory,) = here.memory()
    assert (memory.state, memory.text) == ("note", "900 MB are free")
    assert "--quick" in memory.do
    assert here.disk().state == "wrong"
    assert here.disk().text.startswith("5 MB are free in ")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert (here.disk().state, here.disk().text[-20:]) == ("note", ", which is read-only")
    monkeypatch.setattr(here, "free_memory", lambda: None)
    assert here.memory() == []

    def gone() -> Path:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "cwd", gone)
    assert here.disk().text == "this folder: No such file or directory"


def test_json_in_a_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(probe, "probe", lambda _: [Finding("core", "gone", "build it")])
    status, text, _ = run("doctor", "--json", tmp_path / "doctor.json")
    assert status == 1
    value = json.loads((tmp_path / "doctor.json").read_text())
    assert [each["name"] for each in value["findings"] if each["state"] == "wrong"] == ["core"]
    assert "\n1 thing is wrong, marked with !.\n" in text
    assert "\n! core          gone\n                -> build it\n" in text


def test_a_card_that_does_not_answer_hides_neither_driver_nor_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "DRIVER", tmp_path)
    assert probe.cards_of_driver() == (None, [])
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64  550.54.15  Tue\nGCC\n")
    (tmp_path / "gpus" / "0" / "information").mkdir(parents=True)  # cannot be read
    (tmp_path / "gpus" / "1").mkdir()
    (tmp_path / "gpus" / "1" / "information").write_text("Model: \t\t NVIDIA T4\nIRQ: \t 3\n")
    assert probe.cards_of_driver() == ("550.54.15", ["NVIDIA T4"])
