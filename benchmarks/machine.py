"""The machine that ran the measurements, its versions, and its peak speed."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from lenetshift.checks.core import core
from lenetshift.storage.environment import environment

VERSIONED = ("lenetshift", "torch", "numpy", "onnx", "onnxscript", "onnxruntime", "openvino")


def machine() -> dict[str, Any]:
    """Model, cores and memory of the CPU, and the CUDA device if there is one."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = {
        "cpu": environment(torch.device("cpu"))["processor"],
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def versions() -> dict[str, str | None]:
    """The versions of Python and of each package that is used; None if it is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = {"lenetshift": core.__version__, "torch": torch.__version__}.get(name)
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
    return found


def load() -> float:
    """The average number of processes that wanted a CPU in the last minute, this one included."""
    return round(os.getloadavg()[0], 1)


def peak_gflops(n_threads: int, *, runs: int = 20) -> float:
    """float32 GFLOP/s of independent fused multiply-adds in registers: the best of several runs of
    about 50 ms, in the instruction set that the kernels use. One multiply-add is two FLOP."""
    n_rounds = 10_000
    seconds, _ = _multiply_adds(n_rounds, n_threads)
    while seconds < 0.02:
        n_rounds *= 4
        seconds, _ = _multiply_adds(n_rounds, n_threads)
    n_rounds = max(1, round(n_rounds * 0.05 / seconds))
    timed = (_multiply_adds(n_rounds, n_threads) for _ in range(runs))
    return max(2 * n_done / seconds / 1e9 for seconds, n_done in timed)


def _multiply_adds(n_rounds: int, n_threads: int) -> tuple[float, float]:
    start = time.perf_counter()
    n_done = core.multiply_adds(n_rounds, n_threads)
    return time.perf_counter() - start, n_done
