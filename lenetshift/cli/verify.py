"""The command ``verify``: whether a study's dossier is true."""

from __future__ import annotations

import argparse

from ..checks.text import one_line
from ..study.verification import Differs, plan_of, retrain, verify


def run(args: argparse.Namespace) -> int:
    """Recompute, and say how much there was; Differs where something does."""
    value = verify(args.folder, args.data)
    n_runs = len(value["runs"])
    print(one_line(f"{args.folder}: {n_runs} runs, all that they say is as recomputed"))
    if args.retrain:
        run, n_different, n = retrain(args.folder, value, args.data)
        print(f"{run.name}, done again: {n_different} of {n} predictions differ")
        if n_different and plan_of(value, args.data).ground() == value["ground"]:
            raise Differs(f"{run.name}: trained again on the same ground, its answers differ")
    return 0
