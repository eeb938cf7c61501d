"""The command ``verify``: what of a study's dossier can be recomputed, and whether it is the same."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..checks.errors import Differs
from ..checks.text import one_line
from .options import FOLDER, add_path, check_folder, naming

if TYPE_CHECKING:
    from ..study.plans import Plan

DESCRIPTION = (
    "Recompute every number, interval and verdict of a study's dossier from its predictions, its losses "
    "and the data, check plan, schema and hashes, evaluate some networks again from their weights, and "
    "name the first difference. The last line says what was not recomputed."
)
EXAMPLE = "verify study"
STATUS = (
    "Exit status: 0 everything matches, 1 something differs, 2 cannot be done (one line says why), "
    "130 interrupted"
)
NEEDS = ("lenetshift.api", "lenetshift.study.repetition", "lenetshift.study.verification")

_MOST_NAMES = 10
"""The most files of others that are named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_path(
        parser, "folder", FOLDER, metavar="DIR", help="dossier: the folder of a finished `study`"
    )
    add_path(
        parser, "--data", FOLDER, metavar="DIR",
        help="folder with the IDX files of the study (default: the packaged MNIST)",
    )  # fmt: skip
    parser.add_argument(
        "--evaluate", type=how_many, default=5, metavar="N",
        help="compare the last predictions of N runs, drawn anew each time, with those that their weights "
        "give; all for every run, 0 for none",
    )  # fmt: skip
    parser.add_argument(
        "--retrain", action="store_true",
        help="also train one run again, drawn anew each time, and say how many of its predictions, losses "
        "and weights differ",
    )  # fmt: skip


def how_many(text: str) -> int | None:
    """A number of runs; None for all."""
    if text == "all":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number of runs, or all")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Recompute, and print what was and what was not; Differs at the first difference."""
    from ..study.plans import Plan

    check_folder(args.folder, "dossier.json", "a finished `study`")
    if args.data is not None:
        with naming("--data"):
            Plan(data=args.data).datasets()
    with naming("DIR"):
        return _verify(args)


def _verify(args: argparse.Namespace) -> int:
    """The same, with data that can be read."""
    from ..study.verification import others, plan_of, verify

    value = verify(args.folder, args.data)
    plan = plan_of(value, args.data)
    print(one_line(f"{args.folder}: {_what(plan)}"))
    print(
        f"{len(plan.runs)} runs: numbers, intervals and verdicts follow from their stored predictions "
        "and losses and from the data"
    )
    if more := others(args.folder, value):
        named = more[:_MOST_NAMES] + ["..."] * (len(more) > _MOST_NAMES)
        print(one_line(f"Not of the dossier, left alone: {', '.join(named)}"))
    n_evaluated = _evaluate(args, value, plan)
    trained = _retrain(args, value, plan) if args.retrain else None
    print(_proved(n_evaluated, len(plan.runs), trained))
    return 0


def _what(plan: Plan) -> str:
    """What was studied, and which of the package's experiments were not."""
    from ..study.experiments import EXPERIMENTS

    missing = [name for name in EXPERIMENTS if name not in plan.experiments]
    without = f"; without {', '.join(missing)}" if missing else ""
    kind = "a quick study" if plan.quick else "a study"
    return f"{kind} of {plan.n_seeds} seeds: {', '.join(plan.experiments)}{without}"


def _evaluate(args: argparse.Namespace, value: Mapping[str, Any], plan: Plan) -> int:
    """Evaluate some runs again, print which, and return how many."""
    from ..predict.progress import Progress
    from ..study.repetition import draw_runs, evaluate_again

    runs = draw_runs(plan, args.evaluate)
    if runs:
        print(f"Evaluated again: {', '.join(run.name for run in runs)}", flush=True)
    with Progress(len(runs)) as progress:
        for run in runs:
            progress.stage(run.name)
            count = evaluate_again(args.folder, run, value, plan)
            if count.different:
                print(f"{run.name}: {count}, no more than rounding explains")
            progress.advance(1)
    return len(runs)


def _retrain(args: argparse.Namespace, value: Mapping[str, Any], plan: Plan) -> str:
    """Train one run again, print how far it is the same, and return its name."""
    from ..study.repetition import draw_runs, train_again

    (run,) = draw_runs(plan, 1)
    print(f"Trained again: {run.name}", flush=True)
    counts = train_again(args.folder, run, value, plan)
    print(f"{run.name}: {'; '.join(map(str, counts))}")
    now, then = plan.ground(), value["ground"]
    others = ", ".join(
        f"{name} {then[name]}, not {now[name]}" for name in now if now[name] != then[name]
    )
    if any(count.different for count in counts):
        if not others:
            raise Differs(f"{run.name}: trained again with the same versions and data, it differs")
        print(one_line(f"That is not judged: the study was made with {others}"))
    return run.name


def _proved(n_evaluated: int, n_runs: int, trained: str | None) -> str:
    """What was recomputed of networks, and what was not."""
    rest = "losses and earlier epochs were not recomputed: --retrain"
    if trained is not None:
        rest = f"losses and earlier epochs were recomputed for {trained} alone"
    if n_evaluated == 0:
        return f"No weights were evaluated, so the predictions may be of no network: --evaluate; {rest}"
    left = n_runs - n_evaluated
    missing = f"the other {left} were not evaluated: --evaluate all; " if left else ""
    return f"Weights and last predictions of {n_evaluated} of {n_runs} runs agree; {missing}{rest}"
