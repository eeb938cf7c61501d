"""Interleaved repetitions: ours, peer A, peer B, ours, peer A, ...

A disturbance of the machine then affects all of them, not one. Many virtual machines may use their cores only
for a part of the time, and are stopped for tenths of a second once they have used it up. So samples are
short, with rests between them, and a round waits until the machine runs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

Run = Callable[[], object]
Clock = Callable[[Run, int], float]
"""``clock(run, n)``: seconds of ``n`` calls in a row."""

REST = 1.0
"""Pause after a sample, in multiples of the time it took."""

LEAST_REST_S = 0.05
"""Seconds; the other thread pools stop spinning meanwhile."""

SAMPLE_S = 0.05
"""Shorter calls are repeated until a sample takes about this long."""


@dataclass(frozen=True)
class Timing:
    """Samples of one candidate, in seconds a call."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.samples)

    @property
    def fastest(self) -> float:
        """Seconds."""
        return min(self.samples)

    @property
    def spread(self) -> float:
        """(slowest - fastest) / median."""
        return (max(self.samples) - min(self.samples)) / self.median

    def scaled(self, factor: float) -> Timing:
        """The same samples, multiplied by a factor."""
        return Timing(tuple(sample * factor for sample in self.samples))


def cpu_clock(run: Run, n: int) -> float:
    """Wall time."""
    start = time.perf_counter()
    for _ in range(n):
        run()
    return time.perf_counter() - start


def cuda_clock(run: Run, n: int) -> float:
    """Time between two CUDA events around the calls."""
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    for _ in range(n):
        run()
    stop.record()
    stop.synchronize()
    return start.elapsed_time(stop) / 1e3


MOST_STALLED = 0.05
"""The largest share of time for which the machine may be stopped when a round begins."""

PATIENCE_S = 20.0
"""The longest that a round waits for that."""


def stalled(for_s: float = 0.2) -> float:
    """Share of the time in which a busy loop was stopped: gaps of more than 2 ms."""
    start = last = time.perf_counter()
    lost = 0.0
    while last - start < for_s:
        now = time.perf_counter()
        if now - last > 2e-3:
            lost += now - last
        last = now
    return lost / (last - start)


def settle() -> None:
    """Wait until the machine runs."""
    deadline = time.perf_counter() + PATIENCE_S
    while stalled() > MOST_STALLED and time.perf_counter() < deadline:
        time.sleep(1)


def rest(after_s: float) -> None:
    """Pause after work that took ``after_s`` seconds."""
    time.sleep(max(LEAST_REST_S, REST * after_s))


def interleave(runs: Mapping[str, Run], repetitions: int, clock: Clock) -> dict[str, Timing]:
    """Warm each candidate up, then time them in turn, ``repetitions`` times round. A GPU needs no rests."""
    calls = {}
    for name, run in runs.items():
        first = clock(run, 1)
        again = clock(run, 1) if first < 1 else first
        if clock is cpu_clock:
            rest(first + again)
        calls[name] = max(1, round(SAMPLE_S / max(again, 1e-7)))
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repetitions):
        settle()
        for name, run in runs.items():
            elapsed = clock(run, calls[name])
            samples[name].append(elapsed / calls[name])
            if clock is cpu_clock:
                rest(elapsed)
    return {name: Timing(tuple(values)) for name, values in samples.items()}


def best_of(run: Run, repetitions: int, clock: Clock) -> float:
    """Fastest of several calls after one that warms up, in seconds."""
    clock(run, 1)
    return min(clock(run, 1) for _ in range(repetitions))
