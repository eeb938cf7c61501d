"""What ``doctor`` finds by itself: Python, packages, packaged data, memory, disk, threads."""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import zlib
from pathlib import Path

from ...version import __version__
from .finding import NOTE, Finding, size

PACKAGE = Path(__file__).parents[2]
CGROUPS = Path("/sys/fs/cgroup")

MEMORY = 1_400_000_000
"""Most bytes that ``reproduce`` takes (``rss_mb`` of its case in ``benchmarks/results``)."""

DISK = 100_000_000
"""Bytes: a result folder has 20 MB."""


def required() -> dict[str, str]:
    """Python and each package that the installed package requires -> the least version."""
    try:
        metadata = importlib.metadata.metadata("lenetshift")
    except importlib.metadata.PackageNotFoundError:
        return {}
    lines = [f"Python{metadata['Requires-Python']}", *(metadata.get_all("Requires-Dist") or [])]
    found = (re.fullmatch(r"([\w-]+)>=([\d.]+)", line) for line in lines)  # extras have a marker
    return {each[1]: each[2] for each in found if each}


def look() -> list[Finding]:
    """All of them except the threads, which depend on PyTorch too."""
    least = required()
    facts = {"version": __version__, "folder": str(PACKAGE)}
    package = Finding("lenetshift", f"{__version__}, {PACKAGE}", facts=facts)
    oldest = least.pop("Python", "0")
    return [python(oldest), package, packages(least), data(), *memory(), disk()]


def python(least: str) -> Finding:
    """Whether this Python is new enough."""
    version, where = platform.python_version(), platform.platform()
    facts = {"version": version, "executable": sys.executable, "platform": where}
    do = f"use Python {least} or newer" if _release(version) < _release(least) else ""
    return Finding("Python", f"{version}, {sys.executable}; {where}", do, facts)


def packages(least: dict[str, str]) -> Finding:
    """Whether what the package requires is there and new enough."""
    if not least:
        return Finding("packages", "not known, since lenetshift is not installed", state=NOTE)
    versions: dict[str, str | None] = dict.fromkeys(least)
    wrong = {}
    for name, oldest in least.items():
        try:
            found = versions[name] = importlib.metadata.version(name)
            if _release(found) < _release(oldest):
                wrong[name] = f"{name} {found} is older than {oldest}"
        except importlib.metadata.PackageNotFoundError:
            wrong[name] = f"{name} is missing"
    text = "; ".join(wrong.values()) or ", ".join(f"{name} {v}" for name, v in versions.items())
    wanted = " ".join(f"'{name}>={least[name]}'" for name in wrong)
    return Finding("packages", text, wanted and f"pip install {wanted}", versions)


def _release(version: str) -> list[int]:
    """The numbers of a release, such as 2, 6, 0 of 2.6.0+cpu."""
    return [int(number) for number in re.findall(r"\d+", re.split(r"[^\d.]", version)[0])]


def data() -> Finding:
    """Whether each packaged file unpacks to what SHA256SUMS says."""
    folder = PACKAGE / "data" / "mnist"
    path, wrong, digests = folder / "SHA256SUMS", "", {}
    try:
        for digest, name in map(str.split, path.read_text(encoding="ascii").splitlines()):
            path = folder / f"{name}.gz"
            digests[name] = hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
            if digests[name] != digest:
                wrong = f"{path}: unpacked, its SHA-256 is {digests[name]}, expected {digest}"
    except (OSError, EOFError, ValueError, zlib.error) as error:
        wrong = f"{path}: {error}"
    text = f"MNIST in {folder}: {len(digests)} files, the SHA-256 of each is right"
    do = "install the package again: pip install --force-reinstall --no-deps lenetshift"
    return Finding("data", wrong or text, wrong and do, digests)


def memory() -> list[Finding]:
    """How much is free; nothing if the system does not say."""
    free = free_memory()
    if free is None:
        return []
    do = f"end other programs, or use --quick: a whole reproduce takes {size(MEMORY)}"
    facts, is_low = {"free_bytes": free}, free < MEMORY
    return [Finding("memory", f"{size(free)} are free", is_low * do, facts, is_low * NOTE)]


def disk() -> Finding:
    """How much is free in this folder."""
    try:
        here = Path.cwd()
        free = shutil.disk_usage(here).free
    except OSError as error:  # the folder is gone
        return Finding("disk", f"this folder: {error.strerror}", "change to a folder that exists")
    text, facts = f"{size(free)} are free in {here}", {"free_bytes": free}
    if not os.access(here, os.W_OK):
        do = "write results elsewhere, with --out"
        return Finding("disk", f"{text}, which is read-only", do, facts, NOTE)
    do = f"make room, or write results elsewhere, with --out: they take up to {size(DISK)}"
    return Finding("disk", text, do if free < DISK else "", facts)


def threads(torch_threads: int | None) -> Finding:
    """How many threads are used, and why."""
    n_cpus = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else n_cpus
    quota = cpu_quota()
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    variables = {name: os.environ[name] for name in names if name in os.environ}
    used = allowed if torch_threads is None else min(torch_threads, allowed)
    why = [
        f"{n_cpus} CPUs",
        f"this process may use {allowed}" if allowed < n_cpus else "",
        "" if quota is None else f"the container has the time of {quota:g}",
        "" if torch_threads is None else f"PyTorch takes {torch_threads}",
        *(f"{name}={value}" for name, value in variables.items()),
    ]
    facts = {
        **{"cpus": n_cpus, "allowed_cpus": allowed, "quota_cpus": quota},
        **{"torch_threads": torch_threads, "environment": variables},
    }
    text = f"{'at most ' if torch_threads is None else ''}{used}: {', '.join(filter(None, why))}"
    n = max(1, int(quota or used))
    too_many = quota is not None and used > max(1, quota)
    do = f"use --threads {n}, or set OMP_NUM_THREADS={n}: more threads than the quota wait for each other"
    return Finding("threads", text, too_many * do, facts, too_many * NOTE)


def free_memory() -> int | None:
    """Bytes, within the limit of a container; None if the system does not say."""
    lines = [line.split() for line in _text(Path("/proc/meminfo")).splitlines()]
    found = [int(words[1]) * 1024 for words in lines if words[0] == "MemAvailable:"]
    for group in _groups():
        limit, used = _numbers(group / "memory.max"), _numbers(group / "memory.current")
        found += [max(0, limit[0] - used[0])] if limit and used else []
    return min(found, default=None)


def cpu_quota() -> float | None:
    """How many CPUs' time a container may use; None without a limit."""
    v1 = CGROUPS / "cpu"
    limits = [_numbers(group / "cpu.max") for group in _groups()]
    limits.append(_numbers(v1 / "cpu.cfs_quota_us") + _numbers(v1 / "cpu.cfs_period_us"))
    return min(
        (each[0] / each[1] for each in limits if len(each) == 2 and each[0] > 0), default=None
    )


def _groups() -> list[Path]:
    """This process's control group and those above it (cgroup v2), as far as they can be seen."""
    own = re.search(r"^0::/*(.*)", _text(Path("/proc/self/cgroup")), re.MULTILINE)
    group = CGROUPS / own[1] if own else CGROUPS
    return [place for place in (group, *group.parents) if place.is_relative_to(CGROUPS)]


def _numbers(path: Path) -> list[int]:
    """The numbers in a file; none if it holds anything else, such as "max", or does not exist."""
    try:
        return [int(word) for word in _text(path).split()]
    except ValueError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
