"""Memory, disk and processors that this process may use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .finding import NOTE, OK, WRONG, Finding, size

MEMORY = 1_400_000_000
"""Bytes that ``reproduce`` takes at most (``rss_mb`` of its case in ``benchmarks/results``)."""

DISK = 100_000_000
"""Bytes: a result folder has 20 MB."""


def room() -> list[Finding]:
    """Memory and disk."""
    findings = []
    free = free_memory()
    if free is not None:
        text, facts = f"{size(free)} are free", {"free_bytes": free}
        if free < MEMORY:
            do = f"end other programs, or use --quick: a whole reproduce takes {size(MEMORY)}"
            findings.append(Finding("memory", NOTE, text, do, facts))
        else:
            findings.append(Finding("memory", OK, text, facts=facts))
    try:
        here = Path.cwd()
        disk = shutil.disk_usage(here).free
    except OSError as error:  # the folder is gone
        do = "go to a folder that is there"
        return [*findings, Finding("disk", WRONG, f"this folder: {error.strerror}", do)]
    text, facts = f"{size(disk)} are free in {here}", {"free_bytes": disk}
    writable = os.access(here, os.W_OK)
    if not writable:
        do = "write results elsewhere, with --out"
        findings.append(Finding("disk", NOTE, f"{text}, which is read-only", do, facts))
    elif disk < DISK:
        do = f"make room, or write results elsewhere, with --out: they take up to {size(DISK)}"
        findings.append(Finding("disk", WRONG, text, do, facts))
    else:
        findings.append(Finding("disk", OK, text, facts=facts))
    return findings


def free_memory() -> int | None:
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
