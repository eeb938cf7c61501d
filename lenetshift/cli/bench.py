"""The command ``bench``: this package against plain PyTorch on this machine, verified, then timed.

Our time is that of the public call, from uint8 images to predictions; PyTorch's begins with moved float32
patterns, at the batch size that is fastest for it of a few. Single ops are timed beside PyTorch's
convolution in its faster memory format (:mod:`lenetshift.cli.bench_ops`). Repetitions alternate, so that
what disturbs the machine for a while disturbs both.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..checks.choices import INSTRUCTION_SETS
from ..checks.errors import UsageError
from ..checks.text import one_line
from ..models.table import FUSED
from . import bench_ops
from .options import add_device_and_threads, add_json, add_names, in_order
from .output import check_writable, give
from .streams import say

if TYPE_CHECKING:
    from torch import Tensor

DESCRIPTION = (
    "Measure on this machine how fast the four models answer the report's 55 shifts: with this package, "
    "and with plain PyTorch, whose time does not include moving the images. Then single ops beside PyTorch's "
    "convolution, also those that are slower than it. Both must give the same answers, which is checked "
    "first. Takes a few seconds; benchmarks/ in the repository has the full measurements, against more "
    "libraries."
)
EXAMPLE = "bench --models lenet5 --json"
STATUS = "Exit status: 0 done, 2 cannot be done, or the answers differ (one line says why), 130 interrupted"
NEEDS = ("lenetshift.api",)

IMAGES = {"cpu": (1000, 50), "cuda": (10_000, 1000)}
"""How many images a repetition answers: ours, and PyTorch's, which is slower."""

BATCH_SIZES = {"cpu": (55, 275, 2750), "cuda": (5_500, 55_000)}
REPETITIONS = 7
UNSTEADY = 1.0
"""The spread above which the text says that other programs probably ran too."""

TOLERANCE = 5e-5
"""Largest difference of logits, or of an op's results, allowed, as a fraction of the largest."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_names(parser, "--models", FUSED)
    add_device_and_threads(parser)
    add_json(parser, "machine, times and ratios")


def run(args: argparse.Namespace) -> int:
    """Verify, time and print."""
    from ..api import ShiftGrid, load_mnist
    from ..storage.environment import environment
    from .machine import check_isa, pick_device, set_threads

    check_writable({"--json": args.json})
    check_isa()
    set_threads(args.threads)
    device = pick_device(args.device)
    n_ours, _ = IMAGES[device.type]
    images = load_mnist()[1].subset(n_ours).images.to(device)
    results: list[dict[str, Any]] = []
    ops: list[dict[str, Any]] = []
    value = {
        "environment": environment(device),  # before the work: it may fail
        "shifts": len(ShiftGrid()),
        "models": results,
        "ops": ops,
    }
    try:
        for name in in_order(FUSED, args.models):
            results.append(measure(name, images))
            difference = results[-1]["largest_difference"]
            say(f"{name}: answers equal (to {difference:.0e}), timed")
        for name, (ours, theirs) in bench_ops.cases(device).items():
            ops.append(measure_op(name, ours, theirs))
    except BaseException:  # an interruption too: print what has been measured
        if results:
            give("-" if args.json == "-" else None, value, _table(value))
        raise
    give(args.json, value, _table(value))
    return 0


def measure(name: str, images: Tensor) -> dict[str, Any]:
    """Seconds per pattern, ours and PyTorch's, and how many times as fast ours is.

    Raises:
        UsageError: the answers differ.
    """
    import torch

    from ..api import ShiftGrid, build_model, predict_shifts
    from ..data.dataset import as_input
    from ..reference import dense_twin, translate

    grid = ShiftGrid()
    model = build_model(name, seed=0).to(images.device).eval()
    twin = dense_twin(model).eval()
    _, n_theirs = IMAGES[images.device.type]
    few = images[:n_theirs]
    with torch.inference_mode():
        patterns = as_input(
            translate(few, grid.shifts()).flatten(0, 1)
        )  # [n_theirs * 55, 1, 28, 28]
        _, logits = predict_shifts(model, few, grid, return_logits=True)
        worst = largest_difference(name, logits.flatten(0, 2), twin(patterns))

        def ours() -> object:
            return predict_shifts(model, images, grid)

        def theirs(batch_size: int) -> Callable[[], object]:
            return lambda: [twin(batch).argmax(1) for batch in patterns.split(batch_size)]

        tried = {n: _seconds(theirs(n), again=2) for n in BATCH_SIZES[images.device.type]}
        batch_size = min(tried, key=tried.__getitem__)
        _seconds(ours)  # warms up, as the trials did for PyTorch
        samples: list[tuple[float, float]] = []
        for _ in range(REPETITIONS):
            samples.append((_seconds(ours), _seconds(theirs(batch_size))))
    n_patterns = len(images) * len(grid), len(patterns)
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


def measure_op(name: str, ours: bench_ops.Work, theirs: Sequence[bench_ops.Work]) -> dict[str, Any]:
    """Seconds per call, of our op and of the fastest of PyTorch's.

    Raises:
        UsageError: the results differ.
    """
    import torch

    with torch.inference_mode():
        worst = max(largest_difference(name, ours(), peer()) for peer in theirs)
        peer = min(theirs, key=lambda work: _seconds(work, again=3))
        _seconds(ours, again=3)
        samples = [(_seconds(ours), _seconds(peer)) for _ in range(3 * REPETITIONS)]
    our_s, their_s = (list(column) for column in zip(*samples, strict=True))
    return {
        "op": name,
        "ours": _summary(our_s, "call"),
        "pytorch": _summary(their_s, "call"),
        "ratio": statistics.median(their_s) / statistics.median(our_s),
        "largest_difference": worst,
    }


def largest_difference(name: str, logits: Tensor, expected: Tensor) -> float:
    """Of two results, as a fraction of the largest value; UsageError beyond the tolerance."""
    worst = float((logits - expected).abs().max() / expected.abs().max())
    if not worst <= TOLERANCE:  # a NaN fails too
        raise UsageError(
            f"{name}: answers differ by {worst:.1e} of the largest value, expected {TOLERANCE:.0e} at "
            "most: nothing is timed"
        )
    return worst


def _seconds(call: Callable[[], object], again: int = 1) -> float:
    """How long a call takes, the last of several."""
    import torch

    for _ in range(again):
        _wait(torch.cuda)
        start = time.perf_counter()
        call()
        _wait(torch.cuda)
        seconds = time.perf_counter() - start
    return seconds


def _wait(cuda: Any) -> None:
    if cuda.is_initialized():
        cuda.synchronize()


def _summary(seconds: list[float], of: str = "pattern") -> dict[str, float]:
    """Of seconds per pattern, or per call: median, and (slowest - fastest) / median."""
    median = statistics.median(seconds)
    return {f"seconds_a_{of}": median, "spread": (max(seconds) - min(seconds)) / median}


def _table(value: dict[str, Any]) -> str:
    where = value["environment"]
    card = f", {where['gpu']}" if where["gpu"] else ""
    lines = [
        one_line(
            f"{where['processor']}, {INSTRUCTION_SETS[where['isa']]}, {where['threads']} "
            f"thread{'' if where['threads'] == 1 else 's'}{card}, torch {where['torch']}"
        ),
        *_rows("microseconds per pattern", "model", "pattern", value["models"]),
    ]
    if value["ops"]:  # else the work was interrupted before
        lines += ["", *_rows("microseconds per call, beside F.conv2d", "op", "call", value["ops"])]
    timed = (*value["models"], *value["ops"])
    slower = [result.get("op") or result["model"] for result in timed if result["ratio"] < 1]
    if slower:
        lines.append(f"Slower than PyTorch here: {'; '.join(slower)}.")
    if any(result[who]["spread"] > UNSTEADY for result in timed for who in ("ours", "pytorch")):
        most = f"{100 * UNSTEADY:.0f} %"
        lines.append(
            f"Some times spread by more than {most}: measure again when nothing else runs here."
        )
    return "\n".join(lines)


def _rows(title: str, kind: str, of: str, results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A table: what, ours, PyTorch's, and how many times as fast ours is."""
    yield f"{title}: median (spread)"
    yield f"{kind:30}{'ours':>16}{'PyTorch':>18}{'ratio':>9}"
    for result in results:
        cells = [
            f"{1e6 * part[f'seconds_a_{of}']:.2f} ({100 * part['spread']:.0f} %)"
            for part in (result["ours"], result["pytorch"])
        ]
        yield f"{result[kind]:30}{cells[0]:>16}{cells[1]:>18}{result['ratio']:8.2f}x"
