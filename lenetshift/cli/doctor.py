"""The command ``doctor``: what is installed, what will be used and why, what is wrong and what to do.

This process imports neither torch nor the compiled core: :mod:`lenetshift.cli.probe` does, in another,
so that nothing that is broken there ends this.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lenetshift

from ..errors import UsageError

NEEDED = {
    "torch": "2.6",
    "numpy": "1.24",
    "matplotlib": "3.7",
    "scipy": "1.15",
    "tqdm": "4.60",
    "joblib": "1.4",
    "jsonschema": "4.18",
    "safetensors": "0.4",
    "jinja2": "3.1",
    "shtab": "1.6",
}
"""Least versions, as ``pyproject.toml`` has them."""

PYTHON = (3, 10)

MEMORY = 1_400_000_000
"""Bytes that ``reproduce`` takes at most (``rss_mb`` of its case in ``benchmarks/results``)."""

DISK = 100_000_000
"""Bytes: a result folder has 20 MB."""

OK, NOTE, WRONG = "ok", "note", "wrong"
REINSTALL = "install the package anew: pip install --force-reinstall --no-deps lenetshift"
BUILD = "build and install it with `pip install .` in the repository's root"  # as _native says
GET_TORCH = "install PyTorch for this machine, as pytorch.org/get-started/locally says"
PROBE_S = 180.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what, in a word or two.
        state: "ok"; "note", all works, but something could be better; or "wrong".
        text: what was found, and why it is so.
        do: what to do about it; empty where there is nothing.
        facts: the same for a script.
    """

    name: str
    state: str
    text: str
    do: str = ""
    facts: Mapping[str, Any] | None = None


def run(args: argparse.Namespace) -> int:
    """Look, and tell; 1 where something is wrong."""
    json_file = args.json if isinstance(args.json, Path) else None
    with _Probe(["core"] if args.no_torch else []) as probe:  # it runs while the rest is looked at
        findings = [_python(), *_packages(), _data(), *_room()]
        probed = probe.result()
    findings += [_core(probed), _isa(probed), _threads(probed)]
    if not args.no_torch:
        findings += [
            look(probed) if stage in probed else _untried(name)
            for name, stage, look in (
                ("torch", "torch", _torch),
                ("ops", "ops", _ops),
                ("CUDA", "cuda", _cuda),
                ("figures", "figures", _figures),
            )
        ]
    n_wrong = sum(finding.state == WRONG for finding in findings)
    if args.json is not None:
        value = {"ok": not n_wrong, "findings": [asdict(finding) for finding in findings]}
        text = json.dumps(value, indent=2)
        if json_file is None:
            print(text)
        else:
            try:
                json_file.write_text(text + "\n")
            except OSError as error:
                raise UsageError(f"argument --json: {json_file}: {error.strerror}") from error
    if args.json != "-":
        print(_text(findings, n_wrong))
    return 1 if n_wrong else 0


def _text(findings: list[Finding], n_wrong: int) -> str:
    lines = []
    for finding in findings:
        mark = {OK: "  ", NOTE: "- ", WRONG: "! "}[finding.state]
        lines.append(f"{mark}{finding.name:14}{finding.text}")
        if finding.do:
            lines.append(f"{'':16}-> {finding.do}")
    things = "1 thing is" if n_wrong == 1 else f"{n_wrong} things are"
    lines.append(f"{things} wrong, marked with !." if n_wrong else "All is well.")
    return "\n".join(lines)


def _python() -> Finding:
    version = platform.python_version()
    facts = {"version": version, "executable": sys.executable, "platform": platform.platform()}
    text = f"{version}, {sys.executable}; {platform.platform()}"
    if sys.version_info[:2] < PYTHON:
        least = ".".join(map(str, PYTHON))
        return Finding("Python", WRONG, text, f"take Python {least} or newer", facts)
    return Finding("Python", OK, text, facts=facts)


def _packages() -> list[Finding]:
    where = Path(lenetshift.__file__).parent
    facts = {"version": lenetshift.__version__, "folder": str(where)}
    findings = [Finding("lenetshift", OK, f"{lenetshift.__version__}, {where}", facts=facts)]
    versions: dict[str, str | None] = {}
    complaints = []
    for name, least in NEEDED.items():
        try:
            versions[name] = found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
            complaints.append((f"{name} is missing", name, least))
            continue
        if _numbers(found) < _numbers(least):
            complaints.append((f"{name} {found} is older than {least}", name, least))
    text = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    if complaints:
        wants = " ".join(f"'{name}>={least}'" for _, name, least in complaints)
        text = "; ".join(complaint for complaint, _, _ in complaints)
        findings.append(Finding("packages", WRONG, text, f"pip install {wants}", versions))
    else:
        findings.append(Finding("packages", OK, text, facts=versions))
    return findings


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version, such as (2, 6, 0) of 2.6.0+cpu."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def _data() -> Finding:
    """Whether each packaged file unpacks to what SHA256SUMS says."""
    folder = Path(lenetshift.__file__).with_name("mnist")
    wrong, digests = [], {}
    try:
        lines = (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines()
        sums = {name: digest for digest, name in (line.split() for line in lines)}
    except (OSError, ValueError) as error:
        return Finding("data", WRONG, f"{folder / 'SHA256SUMS'}: {error}", REINSTALL)
    for name, expected in sums.items():
        path = folder / f"{name}.gz"
        try:
            digests[name] = hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
        except (OSError, EOFError, zlib.error) as error:
            wrong.append(f"{path}: {error}")
            continue
        if digests[name] != expected:
            wrong.append(f"{path}: unpacked, its SHA-256 is {digests[name]}, expected {expected}")
    if wrong:
        return Finding("data", WRONG, "; ".join(wrong), REINSTALL, digests)
    text = f"MNIST in {folder}: {len(sums)} files, the SHA-256 of each is right"
    return Finding("data", OK, text, facts=digests)


def _room() -> list[Finding]:
    findings = []
    free = _free_memory()
    if free is not None:
        text, facts = f"{_size(free)} are free", {"free_bytes": free}
        if free < MEMORY:
            do = f"end other programs, or use --quick: a whole reproduce takes {_size(MEMORY)}"
            findings.append(Finding("memory", NOTE, text, do, facts))
        else:
            findings.append(Finding("memory", OK, text, facts=facts))
    try:
        here = Path.cwd()
        disk = shutil.disk_usage(here).free
    except OSError as error:  # the folder is gone
        do = "go to a folder that is there"
        return [*findings, Finding("disk", WRONG, f"this folder: {error.strerror}", do)]
    text, facts = f"{_size(disk)} are free in {here}", {"free_bytes": disk}
    writable = os.access(here, os.W_OK)
    if not writable:
        do = "write results elsewhere, with --out"
        findings.append(Finding("disk", NOTE, f"{text}, which is read-only", do, facts))
    elif disk < DISK:
        do = f"make room, or write results elsewhere, with --out: they take up to {_size(DISK)}"
        findings.append(Finding("disk", WRONG, text, do, facts))
    else:
        findings.append(Finding("disk", OK, text, facts=facts))
    return findings


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"


def _free_memory() -> int | None:
    """Bytes, within the limit of a container; None where nobody says."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    for group in _groups():
        limit, used = _number(group / "memory.max"), _number(group / "memory.current")
        if limit is not None and used is not None:
            found.append(max(0, limit - used))
    return min(found, default=None)


def _groups() -> list[Path]:
    """This process's control group and those above it (cgroup v2), as far as they can be seen."""
    root = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    own = [line[3:].lstrip("/") for line in lines if line.startswith("0::")]
    group = root / own[0] if own else root
    return [place for place in (group, *group.parents) if place == root or root in place.parents]


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max"
        return None


def cpu_quota() -> float | None:
    """CPUs' worth of time that a container may use; None without a limit."""
    quotas = []
    for group in _groups():
        try:
            quota, period = (group / "cpu.max").read_text().split()
            quotas.append(int(quota) / int(period))
        except (OSError, ValueError):  # "max 100000"
            continue
    old = Path("/sys/fs/cgroup/cpu")  # cgroup v1
    quota_us, period_us = _number(old / "cpu.cfs_quota_us"), _number(old / "cpu.cfs_period_us")
    if quota_us is not None and period_us and quota_us > 0:
        quotas.append(quota_us / period_us)
    return min(quotas, default=None)


class _Probe:
    """The other process, and what it has found: stage -> its last line, with ``error`` where it failed.

    Args:
        stages: which; none are all.
    """

    def __init__(self, stages: list[str]) -> None:
        """Start it."""
        here = str(Path(lenetshift.__file__).parents[1])
        places = [here, *(place for place in sys.path if place and place != here)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lenetshift.cli.probe", *stages],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        )

    def __enter__(self) -> _Probe:
        """The probe itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, whatever happened."""
        self._process.kill()
        self._process.communicate()

    def result(self) -> dict[str, dict[str, Any]]:
        """Wait for it. Of a stage that ended the process, ``error`` says how it ended."""
        try:
            output, _ = self._process.communicate(timeout=PROBE_S)
            end = _end(self._process.returncode)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, _ = self._process.communicate()
            end = f"it has not ended after {PROBE_S:.0f} s"
        found: dict[str, dict[str, Any]] = {}
        begun = ""
        for line in output.splitlines():
            try:
                value = json.loads(line)
            except ValueError:  # printed by something that was imported
                continue
            if isinstance(value, dict) and "begin" in value:
                begun = value["begin"]
            elif isinstance(value, dict) and "end" in value:
                found[value.pop("end")] = value
        if begun not in found:
            found[begun or "core"] = {"error": end}
        return found


def _end(code: int) -> str:
    if code >= 0:
        return f"the process that tried it ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return f"the process that tried it was ended by signal {name}"


def _untried(name: str) -> Finding:
    return Finding(name, NOTE, "not tried: what was tried before it has ended the process")


def _core(probed: Mapping[str, Any]) -> Finding:
    core = probed["core"]
    if "error" in core:
        reason = core["error"].removeprefix("ImportError: ")
        return Finding("core", WRONG, reason.removesuffix(f": {BUILD}"), BUILD, core)
    kernels = "with CUDA kernels" if core["has_cuda"] else "without CUDA kernels"
    return Finding("core", OK, f"{core['file']}, {kernels}, fits the package", facts=core)


def _isa(probed: Mapping[str, Any]) -> Finding:
    core, forced = probed["core"], os.environ.get("LENETSHIFT_ISA")
    name = "instructions"
    if "error" in core:
        return Finding(name, NOTE, "not known without the core", facts=core)
    has = [isa for isa, supported in core["isas"].items() if supported]
    lacks = [isa for isa, supported in core["isas"].items() if not supported]
    facts = {"isa": core["isa"], "processor_has": has, "LENETSHIFT_ISA": forced}
    if core["isa"] is None:
        do = f"unset LENETSHIFT_ISA, or let it name one of {', '.join(has)}"
        return Finding(name, WRONG, core["isa_error"], do, facts)
    if forced:
        text = f"{core['isa']}, as LENETSHIFT_ISA says; this processor has {', '.join(has)}"
        if core["isa"] != has[-1]:
            do = f"unset LENETSHIFT_ISA to use {has[-1]}"
            return Finding(name, NOTE, text, do, facts)
        return Finding(name, OK, text, facts=facts)
    text = f"{core['isa']}: the fastest that this processor has"
    return Finding(
        name, OK, text + (f"; it lacks {', '.join(lacks)}" if lacks else ""), facts=facts
    )


def _threads(probed: Mapping[str, Any]) -> Finding:
    n_cpus = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else n_cpus
    quota, wanted = cpu_quota(), probed.get("torch", {}).get("threads")
    variables = {
        name: os.environ[name]
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
        if name in os.environ
    }
    facts = {
        "cpus": n_cpus,
        "allowed_cpus": allowed,
        "quota_cpus": quota,
        "torch_threads": wanted,
        "environment": variables,
    }
    used = allowed if wanted is None else min(wanted, allowed)
    text = f"{used}" if wanted is not None else f"at most {used}"
    why = [f"{n_cpus} CPUs"]
    if allowed < n_cpus:
        why.append(f"this process may use {allowed}")
    if quota is not None:
        why.append(f"the container's time is that of {quota:g}")
    if wanted is not None:
        why.append(f"PyTorch takes {wanted}")
    why += [f"{name}={value}" for name, value in variables.items()]
    text += f": {', '.join(why)}"
    if quota is not None and used > max(1, quota):
        n = max(1, int(quota))
        do = f"use --threads {n}, or set OMP_NUM_THREADS={n}: threads beyond the quota stand still in turns"
        return Finding("threads", NOTE, text, do, facts)
    return Finding("threads", OK, text, facts=facts)


def _torch(probed: Mapping[str, Any]) -> Finding:
    torch = probed["torch"]
    if "error" in torch:
        return Finding("torch", WRONG, f"cannot be imported: {torch['error']}", GET_TORCH, torch)
    cuda = f"built for CUDA {torch['cuda_build']}" if torch["cuda_build"] else "built without CUDA"
    return Finding("torch", OK, f"{torch['version']}, {cuda}, {torch['file']}", facts=torch)


def _ops(probed: Mapping[str, Any]) -> Finding:
    ops = probed["ops"]
    if "error" not in ops:
        text = f"torch.ops.lenetshift answers as plain PyTorch, to {ops['largest_difference']:.0e}"
        return Finding("ops", OK, text, facts=ops)
    if "error" in probed["torch"] or "error" in probed["core"]:
        return Finding("ops", NOTE, "not tried without torch and the core", facts=ops)
    do = f"{BUILD}; if that does not help, "
    do += "LENETSHIFT_ISA=portable takes the plainest kernels"
    return Finding("ops", WRONG, ops["error"], do, ops)


def _cards() -> tuple[str | None, list[str]]:
    """The NVIDIA driver's version and its cards, as the kernel module names them."""
    place = Path("/proc/driver/nvidia")
    try:
        first = (place / "version").read_text().splitlines()[0]
    except (OSError, IndexError):
        return None, []
    version = re.search(r"\d+(\.\d+)+", first)
    cards = []
    for path in sorted(place.glob("gpus/*/information")):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        cards += [line.split(":", 1)[1].strip() for line in lines if line.startswith("Model")]
    return (version[0] if version else first), cards


def _cuda(probed: Mapping[str, Any]) -> Finding:
    driver, cards = _cards()
    torch, core = probed["torch"], probed["core"]
    cuda = probed["cuda"]
    facts = {"driver": driver, "cards": cards, **cuda}
    there = f"driver {driver}, {', '.join(cards) or 'no card named'}"
    uses_cpu = "the CPU is used"
    if "error" in torch or "error" in core:
        return Finding("CUDA", NOTE, "not tried without torch and the core", facts=facts)
    if "error" in cuda:
        return Finding("CUDA", WRONG, f"{there}: {cuda['error']}", GET_TORCH, facts)
    if cuda["available"] and "reason" not in cuda:
        text = f"{cuda['card']}, capability {cuda['capability']}, {_size(cuda['memory_bytes'])}, "
        text += "runs the kernels: --device cuda or auto takes it, else the CPU is used"
        return Finding("CUDA", OK, text, facts=facts)
    if not cuda["available"] and driver is None:
        text = f"no NVIDIA driver: {uses_cpu}, also with --device auto"
        return Finding("CUDA", OK, text, facts=facts)
    if torch["cuda_build"] is None:
        text = f"{there}, but PyTorch is built without CUDA: {uses_cpu}"
        return Finding(
            "CUDA", NOTE, text, GET_TORCH.replace("PyTorch", "PyTorch's CUDA build"), facts
        )
    if cuda["available"] and not core["has_cuda"]:
        text = f"{cuda.get('card', there)}, but the core is built without CUDA kernels: {uses_cpu}"
        do = "with nvcc on PATH: pip install . -C cmake.define.LENETSHIFT_CUDA=ON"
        return Finding("CUDA", NOTE, text, do, facts)
    do = "see whether nvidia-smi shows the card, and whether its driver is new enough for PyTorch's CUDA "
    do += f"{torch['cuda_build']}"
    reason = cuda.get("reason", "PyTorch finds no card")
    return Finding("CUDA", WRONG, f"{there}, but: {reason}", do, facts)


def _figures(probed: Mapping[str, Any]) -> Finding:
    figures = probed["figures"]
    if "error" in figures:
        do = "see to the matplotlibrc that MATPLOTLIBRC names or that lies in ~/.config/matplotlib, or "
        do += "pip install --force-reinstall matplotlib"
        if "No module named 'matplotlib'" in figures["error"]:
            do = f"pip install 'matplotlib>={NEEDED['matplotlib']}'"
        return Finding(
            "figures", WRONG, f"Matplotlib cannot be used: {figures['error']}", do, figures
        )
    return Finding("figures", OK, f"Matplotlib {figures['version']} draws them", facts=figures)
