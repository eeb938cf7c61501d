"""The command ``bench``: this package against plain PyTorch, verified, then timed, in seconds.

Ours is the public call, from uint8 images to predictions; PyTorch's time begins with moved float32
patterns, at the batch size that is fastest for it of a few. Repetitions take turns, so that what disturbs the
machine for a while disturbs both.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..checks.errors import UsageError
from ..checks.text import one_line
from ..data.dataset import as_input
from ..data.load import load_mnist
from ..models.build import build_model
from ..predict.predict_shifts import predict_shifts
from ..reference import dense_twin, translate
from ..shifts import ShiftGrid
from ..storage.environment import environment
from .machine import check_isa, pick_device, set_threads
from .output import check_writable, give
from .parsers.bench import NETWORKS
from .streams import say

GRID = ShiftGrid()
IMAGES = {"cpu": (1000, 50), "cuda": (10_000, 1000)}
"""How many ours answers in a repetition, and PyTorch, which is slower."""

BATCH_SIZES = {"cpu": (55, 275, 2750), "cuda": (5_500, 55_000)}
REPETITIONS = 7
TOLERANCE = 5e-5
"""Most that a logit may differ, of the largest one."""


def run(args: argparse.Namespace) -> int:
    """Verify, time and print."""
    check_writable({"--json": args.json})
    check_isa()
    set_threads(args.threads)
    device = pick_device(args.device)
    n_ours, _ = IMAGES[device.type]
    images = load_mnist()[1].subset(n_ours).images.to(device)
    results: list[dict[str, Any]] = []
    # Before the work: a Matplotlib that cannot be imported has no version.
    value = {"environment": environment(device), "shifts": len(GRID), "models": results}
    try:
        for name in NETWORKS:
            if any(name in names for names in args.models):
                results.append(measure(name, images))
                say(_line(results[-1]))
    except BaseException:  # an interruption too: what has been measured is told
        if results:
            give("-" if args.json == "-" else None, value, _table(value))
        raise
    give(args.json, value, _table(value))
    return 0


@torch.inference_mode()
def measure(name: str, images: Tensor) -> dict[str, Any]:
    """Seconds for a pattern, ours and PyTorch's, and how many times as fast ours is.

    Raises:
        UsageError: the answers differ.
    """
    model = build_model(name, seed=0).to(images.device).eval()
    twin = dense_twin(model).eval()
    _, n_theirs = IMAGES[images.device.type]
    few = images[:n_theirs]
    patterns = as_input(translate(few, GRID.shifts()).flatten(0, 1))  # [n_theirs * 55, 1, 28, 28]
    worst = _verify(name, model, few, twin(patterns))

    def ours() -> object:
        return predict_shifts(model, images, GRID)

    def theirs(batch_size: int) -> Callable[[], object]:
        return lambda: [twin(batch).argmax(1) for batch in patterns.split(batch_size)]

    tried = {n: _seconds(theirs(n), again=2) for n in BATCH_SIZES[images.device.type]}
    batch_size = min(tried, key=tried.__getitem__)
    _seconds(ours)  # warms up, as the trials did for PyTorch
    samples: list[tuple[float, float]] = []
    for _ in range(REPETITIONS):
        samples.append((_seconds(ours), _seconds(theirs(batch_size))))
    n_patterns = len(images) * len(GRID), len(patterns)
    our_s, their_s = (
        [seconds / n for seconds in column]
        for column, n in zip(zip(*samples, strict=True), n_patterns, strict=True)
    )
    return {
        "model": name,
        "ours": _summary(our_s),
        "pytorch": {**_summary(their_s), "batch_size": batch_size},
        "ratio": statistics.median(their_s) / statistics.median(our_s),
        "largest_difference": worst,
    }


def _verify(name: str, model: nn.Module, images: Tensor, expected: Tensor) -> float:
    """Largest difference of a logit, of the largest one; UsageError beyond the tolerance."""
    _, logits = predict_shifts(model, images, GRID, return_logits=True)
    worst = float((logits.flatten(0, 2) - expected).abs().max() / expected.abs().max())
    if not worst <= TOLERANCE:  # a NaN fails too
        raise UsageError(
            f"{name}: answers differ by {worst:.1e} of the largest logit, expected {TOLERANCE:.0e} at "
            "most: nothing is timed"
        )
    return worst


def _seconds(call: Callable[[], object], again: int = 1) -> float:
    """How long a call takes, the last of several."""
    for _ in range(again):
        _wait()
        start = time.perf_counter()
        call()
        _wait()
        seconds = time.perf_counter() - start
    return seconds


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _summary(seconds: list[float]) -> dict[str, float]:
    """Of seconds a pattern: median, and (slowest - fastest) / median."""
    median = statistics.median(seconds)
    return {"seconds_a_pattern": median, "spread": (max(seconds) - min(seconds)) / median}


def _line(result: dict[str, Any]) -> str:
    return f"{result['model']}: answers equal (to {result['largest_difference']:.0e}), timed"


def _table(value: dict[str, Any]) -> str:
    where = value["environment"]
    card = f", {where['gpu']}" if where["gpu"] else ""
    lines = [
        one_line(
            f"{where['processor']}, {where['isa']}, {where['threads']} "
            f"thread{'' if where['threads'] == 1 else 's'}{card}, torch {where['torch']}"
        ),
        "microseconds a pattern: median (spread)",
        f"{'model':16}{'ours':>16}{'PyTorch':>16}{'ratio':>9}",
    ]
    for result in value["models"]:
        cells = [
            f"{1e6 * part['seconds_a_pattern']:.2f} ({100 * part['spread']:.0f} %)"
            for part in (result["ours"], result["pytorch"])
        ]
        lines.append(f"{result['model']:16}{cells[0]:>16}{cells[1]:>16}{result['ratio']:8.1f}x")
    return "\n".join(lines)
