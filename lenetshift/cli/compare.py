"""The command ``compare``: two evaluated networks, as text, as JSON and as a map."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checks.errors import ArgumentError, UsageError
from ..checks.text import one_line
from . import interrupts
from .intervals import add_intervals, check_level, with_intervals
from .options import FILE, USUAL_STATUS, add_json, add_path, naming, picture
from .output import check_writable, give

if TYPE_CHECKING:
    from ..api import Comparison
    from ..metrics.comparison import ComparisonRow

DESCRIPTION = (
    "Compare two networks that `lenetshift evaluate` has run on the same images under the same shifts: "
    "every metric of both, the difference (that of B minus that of A) with a paired interval over images, "
    "and how many images one network alone answers right. No network is run."
)
EXAMPLE = "compare small.npz large.npz \\\n        --json comparison.json --plot difference.png"
STATUS = USUAL_STATUS
NEEDS = ("lenetshift.api",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    for name, which in (("a", "first"), ("b", "second")):
        add_path(
            parser, name, FILE, metavar=name.upper(),
            help=f"the {which} network: a file that `lenetshift evaluate` wrote with --save or --json",
        )  # fmt: skip
    add_intervals(parser)
    add_json(parser, "all results, with the difference of the accuracy at every shift,")
    add_path(
        parser, "--plot", FILE, type=picture, metavar="FILE",
        help="draw the difference of the accuracy at every shift, as .png or .svg",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Compare, and give the results."""
    from ..metrics.comparison import text_of
    from .machine import check_matplotlib

    check_level(args.level)
    check_writable({"--json": args.json, "--plot": args.plot})
    if args.plot is not None:
        check_matplotlib()
    comparison = _comparison(args.a, args.b)
    names = _names(args, comparison)
    rows, interrupted = with_intervals(comparison, comparison.rows(), args)
    text = text_of(comparison, names, rows, args.level)
    pictures = (
        {} if args.plot is None else {args.plot: partial(_draw, args.plot, names, comparison)}
    )
    give(args.json, _value(args, comparison, rows), text, pictures)
    return interrupts.STATUS if interrupted else 0


def _comparison(a: Path, b: Path) -> Comparison:
    """The comparison of the evaluations in two files."""
    from ..api import Evaluation, compare

    with naming("A"):
        first = Evaluation.load(a)
    with naming("B"):
        second = Evaluation.load(b)
    try:
        return compare(first, second)
    except ArgumentError as error:
        raise UsageError(
            f"{b} cannot be compared with {a}: {error.name.removeprefix('b.')}: {error.problem}"
        ) from error


def _names(args: argparse.Namespace, comparison: Comparison) -> tuple[str, str]:
    """What the printout calls the networks: their names, each with its file."""
    of = (comparison.a, args.a), (comparison.b, args.b)
    a, b = (
        one_line(path if evaluation.name is None else f"{evaluation.name} ({path})")
        for evaluation, path in of
    )
    return a, b


def _value(
    args: argparse.Namespace, comparison: Comparison, rows: Sequence[ComparisonRow]
) -> dict[str, Any]:
    """What the JSON holds."""
    return {
        "files": [str(args.a), str(args.b)],
        **comparison.to_dict(),
        "level": args.level,
        "intervals": {row.name: row.interval and list(row.interval) for row in rows},
    }


def _draw(path: Path, names: tuple[str, str], comparison: Comparison) -> None:
    """Draw the difference of the accuracy at every shift."""
    import torch

    from ..figures.difference_map import difference_figure
    from ..figures.layout import save_figure

    differences = torch.from_numpy(comparison.accuracy_difference_map())
    title = f"{names[1]} minus {names[0]}"
    save_figure(path, difference_figure(title, differences, comparison.a.grid))
