"""The command ``evaluate``: any network under every shift, as text, as JSON and as a map."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checks.choices import EVALUATION_METHODS, EXECUTORS, NORMALIZATIONS, REPORT_DX, REPORT_DY
from ..checks.errors import UsageError
from ..checks.text import one_line
from . import interrupts
from .answer_options import INTERRUPTED, add_answers, answer_settings
from .data_options import (
    CODE,
    Batches,
    add_images,
    add_normalization,
    giving_images,
    images_of,
    input_lines,
    input_values,
    normalization_of,
)
from .intervals import add_intervals, check_level, with_intervals
from .limits import FAILED, add_limits, failures, limits_of
from .network_options import add_network, network_of
from .options import (
    FILE,
    USUAL_STATUS,
    add_device_and_threads,
    add_json,
    add_path,
    finite_number,
    naming,
    naming_options,
    picture,
    saved_evaluation,
    shift_range,
)
from .output import check_writable, give
from .streams import say

if TYPE_CHECKING:
    from ..api import Evaluation
    from ..metrics.evaluation import Row

DESCRIPTION = (
    "Run a network on the test images of a data set, moved by every shift of a grid, and measure how robust "
    "its answers are: accuracy, worst case, flips, consistency, each with an interval over images."
    "\n\n"
    "What --model names is executed: Python code, and the code in a TorchScript or torch.export archive too. "
    f"{CODE} Files with weights are never executed: those named .safetensors are read as such, others with "
    "torch.load(weights_only=True). No weights are downloaded."
)
EXAMPLE = (
    "evaluate --model net.py:Net --weights net.safetensors \\\n"
    "        --normalize mnist --dx -6 6 2 --json result.json --page net.html"
)
STATUS = USUAL_STATUS.replace(
    "0 done,", f"0 done, {FAILED} done, but a metric is beyond its limit,"
)
NEEDS = ("lenetshift.api",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_network(parser)
    asked = parser.add_argument_group("input")
    add_images(asked)
    for name, direction, shifts in (("dx", "right", REPORT_DX), ("dy", "down", REPORT_DY)):
        first, last = shifts[0], shifts[-1]
        asked.add_argument(
            f"--{name}", type=int, nargs="+", default=[first, last], metavar="PIXELS",
            help="first and last shift, and optionally the step between shifts; > 0 is "
            f"{direction} (default: {first} {last}, step 1)",
        )  # fmt: skip
    asked.add_argument(
        "--fill", type=_fill, nargs="+", default=[0.0], metavar="X",
        help="value of the uncovered pixels, 0..255, or circular: what leaves on one side enters on "
        "the other (default: 0)",
    )  # fmt: skip
    asked.add_argument(
        "--crop", type=int, nargs=2, metavar=("H", "W"),
        help="the network sees only the middle H x W pixels, behind which the image moves",
    )  # fmt: skip
    add_normalization(asked)
    how = parser.add_argument_group("method")
    how.add_argument(
        "--method", choices=EVALUATION_METHODS, default=EVALUATION_METHODS[0], metavar="METHOD",
        help="auto chooses; fused: the op of one of this package's models; shared: features that the "
        "shifts have in common are computed once; rewritten: pattern by pattern, by an equal network with "
        "fewer operations; plain: pattern by pattern",
    )  # fmt: skip
    how.add_argument(
        "--batch-size", type=int, metavar="N",
        help="patterns per forward pass of plain and rewritten (default: depends on their size)",
    )  # fmt: skip
    how.add_argument(
        "--executor", choices=EXECUTORS, default=EXECUTORS[0],
        help="what runs the rewritten network; with openvino or onnxruntime, which are extras of this "
        "package, auto rewrites (default: torch)",
    )  # fmt: skip
    how.add_argument(
        "--tune", action="store_true",
        help="time, on the first images, the methods that work, and use the fastest",
    )  # fmt: skip
    how.add_argument(
        "--scores", action="store_true",
        help="keep the logits, for the metric score change (4 bytes for each class and pattern)",
    )  # fmt: skip
    add_device_and_threads(how)
    how.add_argument("--no-progress", action="store_true", help="show no bar, even on a terminal")
    add_answers(parser.add_argument_group("long evaluations"))
    output = parser.add_argument_group("output")
    add_intervals(output)
    add_json(output, "all results, with the accuracy at every shift and for each class,")
    add_path(
        output, "--save", FILE, type=saved_evaluation, metavar="FILE.npz",
        help="write the evaluation itself, with every answer, for `lenetshift compare` and for "
        "lenetshift.Evaluation.load",
    )  # fmt: skip
    add_path(
        output, "--plot", FILE, type=picture, metavar="FILE",
        help="draw the accuracy at every shift, as .png or .svg",
    )  # fmt: skip
    add_path(
        output, "--page", FILE, metavar="FILE.html",
        help="write a page to look at, one file that works offline: the accuracy at every shift, the worst "
        "images, which can be moved, and what they are taken for",
    )  # fmt: skip
    add_limits(output)


def _fill(text: str) -> float | str:
    return text if text == "circular" else finite_number(text)


def run(args: argparse.Namespace) -> int:
    """Evaluate, and give the results."""
    try:
        return _run(args)
    except KeyboardInterrupt:
        if args.answers is None:
            raise
        kept = any(Path(args.answers).glob("*.npz"))
        say(
            INTERRUPTED.format(answers=args.answers)
            if kept
            else "interrupted: no answers were kept yet"
        )
        return interrupts.STATUS


def _run(args: argparse.Namespace) -> int:
    import torch

    from ..api import ShiftGrid, evaluate_shifts
    from .machine import check_isa, check_matplotlib, pick_device, set_threads
    from .networks.own_code import of_a_person

    start = time.perf_counter()
    check_level(args.level)
    limits = limits_of(args)
    check_writable(
        {"--json": args.json, "--save": args.save, "--plot": args.plot, "--page": args.page}
    )
    kept = answer_settings(args)
    with naming_options():
        grid = ShiftGrid(
            shift_range("--dx", args.dx, steps=True), shift_range("--dy", args.dy, steps=True)
        )
        transform = normalization_of(args)
    fill = _one_or_several(args.fill)
    check_isa()
    if args.plot is not None or args.page is not None:
        check_matplotlib()
    set_threads(args.threads)
    device = pick_device(args.device)
    data = images_of(args, grid)
    images, labels = (
        (Batches(data, device, giving_images(args)), None) if data.whole is None else data.whole
    )
    if args.normalize is not None and data.shape[0] > len(NORMALIZATIONS[args.normalize][0]):
        say(f"note: --normalize {args.normalize} is for grey images, got {data.shape[0]} channels")
    network = network_of(args)
    model, name = network.module, network.title
    if args.scheduler is not None and not getattr(model, "can_be_sent", True):
        raise UsageError(
            f"argument --scheduler: {name} runs in this process alone: it cannot be sent to workers"
        )
    batch_size = network.batch_size if args.batch_size is None else args.batch_size
    if not isinstance(images, Batches):
        images = images.to(device)
    with of_a_person(f"argument --device: {name} cannot be moved to {device}"):
        model = model.to(device)
    on = "" if args.data else " on MNIST's images, [1, 28, 28] (others with --data)"
    with of_a_person(f"argument --model: {name} fails{on}"), naming_options(), naming("--answers"):
        evaluation = evaluate_shifts(
            model, images, labels, grid, method=args.method, fill=fill,
            crop=None if args.crop is None else tuple(args.crop), transform=transform,
            batch_size=batch_size, executor=args.executor, tune=args.tune,
            return_logits=args.scores, progress=not args.no_progress, name=name, class_names=data.classes,
            **kept,
        )  # fmt: skip
    rows, interrupted = with_intervals(evaluation, evaluation.rows(), args)
    value = _value(args, name, evaluation, rows) | input_values(args, data, transform)
    lines = input_lines(args, data, transform)
    text = _text(evaluation, lines, rows, args.level)
    files = {} if args.save is None else {args.save: partial(evaluation.save, args.save)}
    if args.plot is not None:
        files[args.plot] = partial(_draw, args.plot, name, evaluation)
    if args.page is not None:
        # Images that come in batches are read again.
        read_again = Batches(data, torch.device("cpu"), giving_images(args))
        kept_or_read = None if data.whole is not None else read_again
        given = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        if args.weights is not None:
            given.append(("weights", one_line(str(args.weights))))
        files[args.page] = partial(_page, evaluation, args.page, kept_or_read, rows, given)
    give(args.json, value, text, files)
    if interrupted:
        return interrupts.STATUS
    if args.json != "-":
        print(f"{time.perf_counter() - start:.1f} s in all")
    beyond = failures(limits, evaluation)
    for line in beyond:
        say(f"{args.prog}: {line}")
    return FAILED if beyond else 0


def _one_or_several(fill: list[float | str]) -> Any:
    if len(fill) == 1:
        return fill[0]
    if "circular" in fill:
        raise UsageError("argument --fill: got circular and a number, expected one of them")
    return tuple(fill)


def _value(
    args: argparse.Namespace, name: str, evaluation: Evaluation, rows: Sequence[Row]
) -> dict[str, Any]:
    """What the JSON holds. A file also has every answer, for ``compare``."""
    from ..metrics.saved import JSON_KEY, as_text

    answers = {}
    if isinstance(args.json, Path):
        try:
            answers[JSON_KEY] = as_text(evaluation)
        except ValueError as error:  # the other results are of use without them
            say(f"{args.json}: has no answers for `lenetshift compare`: {one_line(error)}")
    return {
        "model": name if args.model is None else str(args.model),
        "weights": None if args.weights is None else str(args.weights),
        "checkpoint": None if args.checkpoint is None else str(args.checkpoint),
        **evaluation.to_dict(),
        "level": args.level,
        "intervals": {row.name: row.interval and list(row.interval) for row in rows},
        **answers,
    }


def _page(
    evaluation: Evaluation,
    path: Path,
    images: Batches | None,
    rows: Sequence[Row],
    given: Sequence[tuple[str, str]],
) -> None:
    """Write the page."""
    from ..metrics.page import write_page

    write_page(evaluation, path, images, rows, given)


def _draw(path: Path, name: str, evaluation: Evaluation) -> None:
    """Draw the accuracy at every shift."""
    import torch

    from ..figures.accuracy_map import accuracy_figure
    from ..figures.layout import save_figure

    parts = {"unmoved": evaluation.unmoved, "moved": evaluation.moved}
    shown = [f"{part} {100 * of['accuracy']:.1f} %" for part, of in parts.items() if of]
    title = f"{name}: {', '.join(shown)}"
    accuracies = torch.from_numpy(evaluation.accuracy_map())
    save_figure(path, accuracy_figure({title: accuracies}, evaluation.grid))


def _text(evaluation: Evaluation, given: Sequence[str], rows: Sequence[Row], level: float) -> str:
    """The evaluation in lines, those about its input, ``given``, before the metrics with their intervals."""
    from ..metrics.evaluation import without_value

    heading = map(one_line, evaluation.heading())  # the way's reason names parts of the network
    missing = map(one_line, without_value(evaluation, rows, "--scores"))
    lines = [*heading, *given, *map(str, rows), *missing]
    if any(row.interval for row in rows):
        lines.append(f"In brackets: {100 * level:g} % intervals of this one network, over images.")
    return "\n".join(lines)
