"""The options for intervals over images, and the intervals themselves."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, TypeVar

from ..checks.errors import NotAvailable, UsageError
from ..checks.text import in_a_line
from . import interrupts
from .options import finite_number
from .streams import say

if TYPE_CHECKING:
    from ..api import Comparison, Evaluation
    from ..metrics import Interval
    from ..metrics.comparison import ComparisonRow
    from ..metrics.evaluation import Row

AnyRow = TypeVar("AnyRow", "Row", "ComparisonRow")


def add_intervals(parser: argparse._ActionsContainer) -> None:
    """The options for the level of the intervals, and for none."""
    parser.add_argument(
        "--level", type=finite_number, default=0.95, metavar="X",
        help="confidence level of the intervals",
    )  # fmt: skip
    parser.add_argument("--no-intervals", action="store_true", help="compute no intervals")


def check_level(level: float) -> None:
    """Raise UsageError unless this is a level of confidence."""
    if not 0 < level < 1:
        raise UsageError(f"argument --level: got {level:g}, expected a number between 0 and 1")


def with_intervals(
    of: Evaluation | Comparison, rows: list[AnyRow], args: argparse.Namespace
) -> tuple[list[AnyRow], bool]:
    """The rows with their intervals unless the options ask for none, and whether Ctrl-C has ended that:
    the rows are then as they were."""
    if args.no_intervals:
        return rows, False
    try:
        return [row._replace(interval=_interval(of, row.name, args.level)) for row in rows], False
    except KeyboardInterrupt:
        say("interrupted: without intervals")
        return rows, True


def _interval(of: Evaluation | Comparison, metric: str, level: float) -> Interval | None:
    """A metric's interval; None if there is none."""
    try:
        with interrupts.never_hidden():
            return of.interval(metric, level)
    except NotAvailable:
        return None
    except Exception as error:  # such as too little memory: the values are there all the same
        say(f"note: no interval of {metric}: {in_a_line(error)}")
        return None
