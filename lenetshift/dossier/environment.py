"""What a run ran on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__
from .._matplotlib import import_matplotlib
from ..ops import isa


def environment(device: torch.device) -> dict[str, Any]:
    """What a run ran on: versions, machine, instruction set, threads. All plain values."""
    return {
        "lenetshift": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "matplotlib": import_matplotlib().__version__,
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
