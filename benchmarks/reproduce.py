"""``reproduce``: the main command as a user runs it, including interpreter start and figures."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from common import Context, result
from timing import Timing


def run(context: Context) -> dict[str, Any]:
    """Time the command; it has no peer. ``rss_mb`` is the process's peak."""
    samples, peaks = [], []
    for _ in range(1 if context.quick else 3):
        seconds, peak_mb = job(context)
        samples.append(seconds)
        peaks.append(peak_mb)
    return result(context, "reproduce", Timing(tuple(samples)), {}) | {"rss_mb": max(peaks)}


def job(context: Context) -> tuple[float, float]:
    """Wall seconds and peak resident MB of ``python -m lenetshift.reproduce``."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "lenetshift.reproduce", "--out", out]
        command += ["--threads", str(context.threads), "--device", context.device.type]
        command += ["--quick"] if context.quick else []
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.stderr:
            process.stderr.close()
    if process.returncode:
        raise RuntimeError(f"reproduce: exit status {process.returncode}: {said.decode()[-500:]}")
    return seconds, usage.ru_maxrss / 1024
