"""The options of ``evaluate`` for long evaluations: a cluster, and a folder in which answers are kept."""

from __future__ import annotations

import argparse
from typing import Any

from ..checks.errors import UsageError
from .options import FOLDER, add_path

INTERRUPTED = "interrupted: the same command with --resume continues with the answers in {answers}"


def add_answers(parser: argparse._ActionsContainer) -> None:
    """Add the options."""
    add_path(
        parser, "--answers", FOLDER, metavar="DIR",
        help="keep the answers in this folder as they come, so that an interrupted evaluation can go on",
    )  # fmt: skip
    parser.add_argument(
        "--resume", action="store_true",
        help="keep the answers in --answers, and compute the others",
    )  # fmt: skip
    parser.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="let the workers of this Dask scheduler answer, such as tcp://10.0.0.1:8786 (needs "
        "lenetshift[dask], here and on the workers, which also need the packages that the network needs)",
    )  # fmt: skip


def answer_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of ``evaluate_shifts`` that they give."""
    if args.resume and args.answers is None:
        raise UsageError("argument --resume: got no --answers, expected the folder of the answers")
    return {"scheduler": args.scheduler, "answers": args.answers, "resume": args.resume}
