"""Shared by all cases: the settings of a run, the form of a result, the check before timing."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from timing import Clock, Timing, cpu_clock, cuda_clock
from torch import Tensor, nn

import lenetshift

Say = Callable[[str], None]


class NotEqualError(Exception):
    """A peer's results differ from ours by more than the stated tolerance."""


@dataclass
class Context:
    """The settings of a run, and the data that the cases share."""

    device: torch.device
    threads: int
    quick: bool
    peak_gflops: float
    copy_gb_s: float | None  # of a GPU
    say: Say
    unavailable: dict[str, str] = field(default_factory=dict)  # peer -> why it was not measured

    @property
    def clock(self) -> Clock:
        """Wall time, or CUDA events."""
        return cuda_clock if self.device.type == "cuda" else cpu_clock

    @cached_property
    def mnist(self) -> tuple[lenetshift.Dataset, lenetshift.Dataset]:
        """Training and test set on the device; a twentieth of them with --quick."""
        part = 20 if self.quick else 1
        train, test = (d.subset(len(d) // part) for d in lenetshift.load_mnist())
        return self._moved(train), self._moved(test)

    def trained(self, name: str) -> nn.Module:
        """A model of the package after one epoch, on the device, in eval mode."""
        train, _ = lenetshift.load_mnist()
        model = lenetshift.build_model(name, seed=0)
        data = train.subset(len(self.mnist[0]))
        lenetshift.train(model, data, epochs=1, learning_rate=0.1, batch_size=64, seed=0)
        return model.to(self.device).eval()

    def _moved(self, data: lenetshift.Dataset) -> lenetshift.Dataset:
        return lenetshift.Dataset(data.images.to(self.device), data.labels.to(self.device))


def note_unavailable(context: Context, peer: str, error: Exception) -> None:
    """Report once that a peer is missing or why it fails, and record that for the result file.

    A peer whose answers differ from ours is not missing: NotEqualError is raised again.
    """
    if isinstance(error, NotEqualError):
        raise error
    missing = isinstance(error, ModuleNotFoundError)
    reason = f"missing: {error.name}" if missing else in_short(error)
    if context.unavailable.get(peer) != reason:
        context.say(f"  {peer}: not measured, {reason}")
    context.unavailable[peer] = reason


def in_short(error: Exception) -> str:
    """The class of an error and the first line of its message."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def in_own_process(script: str, *arguments: object) -> Any:
    """What a script prints as JSON, in a process of its own."""
    command = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{Path(script).stem}: {arguments[0]}: {done.stderr[-500:]}")
    return json.loads(done.stdout)


def result(
    context: Context,
    case: str,
    ours: Timing,
    peers: dict[str, Timing],
    *,
    multiply_adds: float | None = None,
    counted: str = "",
    least_bytes: float | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One entry of the result file's ``cases``; least_bytes: what must be read and written."""
    best = min(peers, key=lambda name: peers[name].median, default=None)
    gflops = None if multiply_adds is None else 2 * multiply_adds / ours.median / 1e9
    gb_s = None if least_bytes is None else least_bytes / ours.median / 1e9
    return {
        "case": case,
        "ours_s": ours.median,
        "ours_fastest_s": ours.fastest,
        "ours_spread": ours.spread,
        "peers": {name: timing.median for name, timing in peers.items()},
        "peers_fastest_s": {name: timing.fastest for name, timing in peers.items()},
        "peers_spread": {name: timing.spread for name, timing in peers.items()},
        "best_peer": best,
        "ratio": peers[best].median / ours.median if best else None,
        "ratio_of_fastest": min(t.fastest for t in peers.values()) / ours.fastest if best else None,
        "gflops": gflops,
        "fraction_of_peak": None if gflops is None else gflops / context.peak_gflops,
        "gb_s": gb_s,
        "fraction_of_copy": gb_s / context.copy_gb_s if gb_s and context.copy_gb_s else None,
        "multiply_adds": multiply_adds,
        "counted": counted,
        "rss_mb": None,
        **more,
    }


def worst_difference(what: str, ours: Tensor, theirs: Tensor, tolerance: float) -> float:
    """Largest |ours - theirs| over the largest |theirs|; NotEqualError beyond the tolerance."""
    scale = max(theirs.abs().max().item(), 1e-30)
    worst = (ours - theirs).abs().max().item() / scale
    if not worst <= tolerance:  # a NaN fails too
        raise NotEqualError(
            f"{what}: the largest difference is {worst:.1e} of the largest value, "
            f"expected at most {tolerance:.0e}"
        )
    return worst


HEADS = 48_000 + 10_080 + 840  # C5, F6, output
MULTIPLY_ADDS = {
    "lenet5": (117_600, 150_000 + HEADS),
    "symmetric_lenet5": (117_600, 240_000 + HEADS),
    "mlp": (784 * 512, 512 * 10),
    "pooled_mlp": (49 * 512, 512 * 10),
}
"""Model -> multiply-adds of one pattern, without sharing and without the zeros of a dense C3: of the first
layer, which needs no gradient of its input, and of the others."""


def format_seconds(seconds: float) -> str:
    """A duration with three digits and a unit."""
    if seconds <= 0 or not math.isfinite(seconds):
        return str(seconds)
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{_three_digits(seconds / size)} {unit}"
    return f"{_three_digits(seconds / 1e-6)} µs"


def _three_digits(value: float) -> str:
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"
