"""Limits on metrics, for a job that is to fail if a network is not robust enough."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, NamedTuple

from ..checks.errors import UsageError

if TYPE_CHECKING:
    from ..api import Evaluation

FAILED = 1
"""Exit status if all work is done, but a metric is beyond its limit."""


class Limit(NamedTuple):
    """A bound of a metric.

    Attributes:
        metric: its name.
        value: a fraction.
        is_least: whether the metric must be this or more, or else this or less.
    """

    metric: str
    value: float
    is_least: bool


def add_limits(parser: argparse._ActionsContainer) -> None:
    """The options that set limits."""
    for option, beyond, example in (
        ("--fail-under", "less", "worst_case_accuracy=90%%"),
        ("--fail-over", "more", "flip_rate=1.5%%"),
    ):
        parser.add_argument(
            option, type=_limit, action="append", default=[], metavar="METRIC=VALUE",
            help=f"end with status {FAILED} if a metric is {beyond} than this, such as {example}: the name "
            "is that in the JSON, the value per cent with the sign, or a fraction below 1; may be repeated "
            "(default: no limit)",
        )  # fmt: skip


def _limit(text: str) -> tuple[str, float]:
    """The name of a metric, and a fraction."""
    name, equals, number = text.partition("=")
    try:
        value = float(number.removesuffix("%"))
    except ValueError:
        value = math.nan
    is_per_cent = number.endswith("%")
    # Without the sign, 1 could be one per cent or all, and 95 can only be meant as per cent.
    fits = 0 <= value <= 100 if is_per_cent else 0 <= value < 1
    if not (name and equals and fits):
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a metric and per cent in 0%..100% or a fraction below 1, such as "
            "moved_accuracy=95% or moved_accuracy=0.95"
        )
    return name, value / 100 if is_per_cent else value


def limits_of(args: argparse.Namespace) -> list[Limit]:
    """The limits that the options set; UsageError if there is no metric of that name."""
    from ..metrics.registry import METRICS

    limits = []
    for option, given in (("--fail-under", args.fail_under), ("--fail-over", args.fail_over)):
        for name, value in given:
            if name not in METRICS:
                names = ", ".join(METRICS)
                raise UsageError(f"argument {option}: got {name!r}, expected one of {names}")
            limits.append(Limit(name, value, option == "--fail-under"))
    return limits


def failures(limits: list[Limit], evaluation: Evaluation) -> list[str]:
    """A line for each limit that a metric is beyond, or that cannot be judged."""
    from ..metrics.registry import why_no_value

    lines = []
    for limit in limits:
        expected = f"expected {_per_cent(limit.value)} or {'more' if limit.is_least else 'less'}"
        value = evaluation.value(limit.metric)
        if value is None:
            why = why_no_value(limit.metric, evaluation, "--scores")
            lines.append(f"{limit.metric}: got no value, since {why}; {expected}")
        elif value < limit.value if limit.is_least else value > limit.value:
            lines.append(f"{limit.metric}: got {_per_cent(value, limit.value)}, {expected}")
    return lines


def _per_cent(fraction: float, other: float | None = None) -> str:
    """Per cent, with as many decimals as it takes to see that it is not the other number."""
    if other is not None:
        for n_decimals in range(1, 10):
            shown = round(100 * fraction, n_decimals)
            if shown != round(100 * other, n_decimals):
                return f"{shown:.10g} %"
    return f"{100 * fraction:.10g} %"
