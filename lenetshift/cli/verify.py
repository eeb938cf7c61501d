"""The command ``verify``: whether everything in a study's dossier can be recomputed."""

from __future__ import annotations

import argparse

from ..checks.errors import Differs
from ..checks.text import one_line
from .options import FOLDER, add_path

DESCRIPTION = (
    "Recompute every number, interval and verdict of a study's dossier from its predictions and the "
    "data, check schema and hashes, and name the first difference."
)
EXAMPLE = "verify study"
STATUS = (
    "Exit status: 0 everything matches, 1 something differs, 2 cannot be done (one line says why), "
    "130 interrupted"
)
NEEDS = ("lenetshift.api", "lenetshift.study.verification")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_path(parser, "folder", FOLDER, metavar="DIR", help="the dossier")
    add_path(
        parser, "--data", FOLDER, metavar="DIR",
        help="folder with the IDX files of the study (default: the packaged MNIST)",
    )  # fmt: skip
    parser.add_argument(
        "--retrain", action="store_true",
        help="also repeat one run, chosen at random, and say how many of its predictions differ",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Recompute, and print how much there was; Differs at the first difference."""
    from ..study.verification import plan_of, retrain, verify

    value = verify(args.folder, args.data)
    n_runs = len(value["runs"])
    print(
        one_line(f"{args.folder}: {n_runs} runs, everything they state matches what was recomputed")
    )
    if args.retrain:
        run, n_different, n = retrain(args.folder, value, args.data)
        print(f"{run.name}, repeated: {n_different} of {n} predictions differ")
        if n_different and plan_of(value, args.data).ground() == value["ground"]:
            raise Differs(
                f"{run.name}: repeated with the same versions and data, its predictions differ"
            )
    return 0
