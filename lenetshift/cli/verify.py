"""The command line of ``python -m lenetshift.verify``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..dossier.verification import Differs, plan_of, retrain, verify
from .attempt import attempt
from .parser import HelpWithDefaults, OneLineParser, folder_path

_NAME = "python -m lenetshift.verify"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = OneLineParser(
        prog=_NAME,
        description="Recompute every number, interval and verdict of a study's dossier from its "
        "predictions and the data, check schema and hashes, and name the first that differs.",
        epilog="Exit status: 0 all is true, 1 something differs, 2 not possible (one line says why).",
        formatter_class=HelpWithDefaults,
        allow_abbrev=False,
    )
    made.add_argument("folder", type=folder_path, metavar="DIR", help="the dossier")
    made.add_argument(
        "--data", type=folder_path, metavar="DIR",
        help="folder with the IDX files that it is about (default: the packaged MNIST)",
    )  # fmt: skip
    made.add_argument(
        "--retrain", action="store_true",
        help="do one run again too, chosen at random, and say how far its answers are off",
    )  # fmt: skip
    return made


def _verify(args: argparse.Namespace) -> int:
    value = verify(args.folder, args.data)
    print(f"{args.folder}: {len(value['runs'])} runs, all that they say is as recomputed")
    if args.retrain:
        run, n_different, n = retrain(args.folder, value, args.data)
        print(f"{run.name}, done again: {n_different} of {n} predictions differ")
        if n_different and plan_of(value, args.data).ground() == value["ground"]:
            raise Differs(f"{run.name}: trained again on the same ground, its answers differ")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, by default that of the process, and return the exit status."""
    return attempt(_NAME, lambda: _verify(parser().parse_args(arguments)), "interrupted")
