"""The environment of a run: versions and machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..ops import isa
from ..version import __version__


def environment(device: torch.device) -> dict[str, Any]:
    """Versions, machine, instruction set and threads of this process, as plain values."""
    return {
        "lenetshift": __version__,
        "commit": commit(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "matplotlib": version("matplotlib"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "logical_cpus": os.cpu_count(),
        "isa": isa(),
        "threads": torch.get_num_threads(),
        "device": device.type,
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
    }


def commit() -> str | None:
    """The Git commit of this package's code, with ``" and changes"`` if files differ from it: of the
    checkout that it is imported from, else of the one that it was built from; None if neither is known."""
    package = Path(__file__).parents[1]
    if (package.parent / ".git").exists():
        try:
            head, changed = (
                subprocess.run(
                    ["git", "-C", package.parent, *command],
                    capture_output=True, text=True, check=True, timeout=10,
                ).stdout.strip()
                for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"])
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):  # no Git, or not this user's checkout
            return None
        return f"{head} and changes" if changed else head
    try:
        return (package / "_commit.txt").read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def available_cpus() -> int:
    """How many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    """The processor's name; ``platform.processor()`` is empty or generic on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
