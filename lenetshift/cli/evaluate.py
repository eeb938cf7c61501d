"""The command ``evaluate``: any network under every shift, in text, as JSON and as a map."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..checks.errors import NotAvailable, UsageError
from ..checks.text import in_a_line, one_line
from ..data.dataset import Dataset
from ..data.load import load_mnist
from ..data.normalize import Normalize
from ..figures.accuracy_map import draw_accuracy_maps
from ..metrics import Interval
from ..metrics.evaluate_shifts import evaluate_shifts
from ..metrics.evaluation import Evaluation, Row
from ..shifts import ShiftGrid
from . import interrupts
from .grids import grid_of
from .machine import check_isa, check_matplotlib, pick_device, set_threads
from .networks import load_checkpoint_model, load_model, load_weights, of_a_person
from .output import check_writable, give
from .streams import printing_aside, say

_OPTIONS = {
    "batch_size": "batch-size",
    "crop": "crop",
    "fill": "fill",
    "grid": "dx, --dy",
    "method": "method",
    "model": "model",
    "transform": "mean",
}
"""What the package's messages name -> the option that says it."""


def run(args: argparse.Namespace) -> int:
    """Evaluate, and say what came out."""
    start = time.perf_counter()
    if not 0 < args.level < 1:
        raise UsageError(f"argument --level: got {args.level:g}, expected a number between 0 and 1")
    check_writable({"--json": args.json, "--plot": args.plot})
    grid = grid_of(_shifts("dx", args.dx), _shifts("dy", args.dy))
    fill, transform = _fill(args.fill), _transform(args.mean, args.std)
    check_isa()
    if args.plot is not None:
        check_matplotlib()
    set_threads(args.threads)
    device = pick_device(args.device)
    data = _test_set(args)
    model, name = _network(args)
    with of_a_person(f"argument --device: {name} cannot be moved to {device}"):
        model = model.to(device)
    images, crop = data.images.to(device), None if args.crop is None else tuple(args.crop)
    evaluation = _evaluated(
        model, name, images, data, grid, method=args.method, fill=fill, crop=crop,
        transform=transform, batch_size=args.batch_size, return_logits=args.scores,
        progress=not args.no_progress,
    )  # fmt: skip
    rows, interrupted = evaluation.rows(), False
    try:
        if not args.no_intervals:
            rows = [
                row._replace(interval=_interval(evaluation, row.name, args.level)) for row in rows
            ]
    except KeyboardInterrupt:
        interrupted = True
        say("interrupted: without intervals")
    value = _value(args, name, evaluation, rows)
    text = _text(name, evaluation, rows, args.level)
    pictures = {} if args.plot is None else {args.plot: partial(_draw, args.plot, name, evaluation)}
    give(args.json, value, text, pictures)
    if interrupted:
        return interrupts.STATUS
    if args.json != "-":
        print(f"{time.perf_counter() - start:.1f} s in all")
    return 0


def _shifts(name: str, given: list[int]) -> range:
    if len(given) not in (2, 3) or given[0] > given[1] or (given[2:] and given[2] < 1):
        shown = " ".join(map(str, given))
        raise UsageError(
            f"argument --{name}: got {shown}, expected the first shift, then the last, then, if need "
            "be, a step of 1 or more"
        )
    return range(given[0], given[1] + 1, *given[2:])


def _fill(given: list[float | str]) -> Any:
    if len(given) == 1:
        return given[0]
    if "circular" in given:
        raise UsageError("argument --fill: got circular and a number, expected one of them")
    return tuple(given)


def _transform(mean: list[float] | None, std: list[float] | None) -> Normalize | None:
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        given, missing = ("std", "mean") if mean is None else ("mean", "std")
        raise UsageError(f"argument --{given}: got no --{missing}, expected both or neither")
    if len(mean) != len(std):
        raise UsageError(f"argument --std: got {len(std)}, expected {len(mean)}, one a --mean")
    try:
        return Normalize(mean, std)
    except ValueError as error:
        raise UsageError(f"argument --{error}") from error


def _test_set(args: argparse.Namespace) -> Dataset:
    _, data = load_mnist(args.data)
    if args.images is None:
        return data
    if not 1 <= args.images <= len(data):
        raise UsageError(f"argument --images: got {args.images}, expected 1..{len(data)}")
    return data.subset(args.images)


def _network(args: argparse.Namespace) -> tuple[nn.Module, str]:
    """The network and what to call it."""
    if args.checkpoint is not None:
        if args.weights is not None:
            raise UsageError("argument --weights: not with --checkpoint, which has its own")
        model, checkpoint = load_checkpoint_model(args.checkpoint)
        return model, checkpoint.model
    file, name = args.model
    model = load_model(file, name)
    if args.weights is not None:
        load_weights(model, args.weights)
    return model, name


def _evaluated(
    model: nn.Module, name: str, images: torch.Tensor, data: Dataset, grid: ShiftGrid, **how: Any
) -> Evaluation:
    """The evaluation; UsageError with the option that is not possible, or what the network raises."""
    try:
        with printing_aside():
            return evaluate_shifts(model, images, data.labels, grid, **how)
    except ValueError as error:
        argument, _, rest = str(error).partition(":")
        if argument in _OPTIONS:
            raise UsageError(f"argument --{_OPTIONS[argument]}:{rest}") from error
        raise UsageError(f"argument --model: {name} fails: {in_a_line(error)}") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"argument --model: {name} fails: {in_a_line(error)}") from error


def _interval(evaluation: Evaluation, metric: str, level: float) -> Interval | None:
    """A metric's interval; None if this evaluation has none."""
    try:
        return evaluation.interval(metric, level)
    except NotAvailable:
        return None
    except Exception as error:  # such as too little memory: the values are there all the same
        say(f"note: no interval of {metric}: {in_a_line(error)}")
        return None


def _value(
    args: argparse.Namespace, name: str, evaluation: Evaluation, rows: Sequence[Row]
) -> dict[str, Any]:
    """What the JSON holds."""
    return {
        "model": name if args.model is None else ":".join(args.model),
        "weights": None if args.weights is None else str(args.weights),
        "checkpoint": None if args.checkpoint is None else str(args.checkpoint),
        "data": None if args.data is None else str(args.data),
        **evaluation.to_dict(),
        "level": args.level,
        "intervals": {row.name: row.interval and list(row.interval) for row in rows},
    }


def _draw(path: Path, name: str, evaluation: Evaluation) -> None:
    """Draw the accuracy at every shift."""
    parts = {"unmoved": evaluation.unmoved, "moved": evaluation.moved}
    shown = [f"{part} {100 * of['accuracy']:.1f} %" for part, of in parts.items() if of]
    title = f"{name}: {', '.join(shown)}"
    accuracies = torch.from_numpy(evaluation.accuracy_map())
    draw_accuracy_maps(path, {title: accuracies}, evaluation.grid)


def _text(name: str, evaluation: Evaluation, rows: Sequence[Row], level: float) -> str:
    """The evaluation in lines, each metric with its interval."""
    heading = map(one_line, evaluation.heading())  # the way's reason names parts of the network
    lines = [name, *heading, *map(str, rows)]
    if any(row.interval for row in rows):
        lines.append(f"In brackets: {100 * level:g} % intervals of this one network, over images.")
    return "\n".join(lines)
