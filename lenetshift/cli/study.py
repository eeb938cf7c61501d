"""The command ``study``: runs, and the dossier made of them."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checks.choices import EXPERIMENTS
from ..checks.errors import UsageError
from ..checks.text import one_line
from ..models.table import DISPLAY_NAMES
from ..study.defaults import QUICK_SEEDS, SEEDS
from .interrupts import terminated_in_order
from .options import (
    FOLDER,
    USUAL_STATUS,
    add_data,
    add_names,
    add_path,
    entered,
    in_order,
    naming,
)
from .streams import say

if TYPE_CHECKING:
    from ..study.studies import Workers

DESCRIPTION = (
    "Train the report's networks and their variants from many seeds, judge each cell of Table 1 and "
    "each claim by the rules in lenetshift.study.experiments, and write everything into a "
    "folder, the dossier, which `lenetshift verify` recomputes."
)
EXAMPLE = "study --quick --out study"
STATUS = USUAL_STATUS
INTERRUPTED = "interrupted: the same command with --resume continues after the finished runs"
NEEDS = ("lenetshift.api", "lenetshift.study.cluster", "lenetshift.study.figures")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_path(
        parser, "--out", FOLDER, default=Path("study"), metavar="DIR", help="the dossier's folder"
    )
    add_data(parser)
    parser.add_argument(
        "--seeds", type=int, metavar="N",
        help="train from the seeds 0..N-1; a network without fused training from 5 of them at most "
        f"(default: {SEEDS}; {QUICK_SEEDS} with --quick)",
    )  # fmt: skip
    add_names(parser, "--experiments", EXPERIMENTS)
    parser.add_argument(
        "--quick", action="store_true",
        help="use few images and settings, to see that everything works; there are no verdicts then, and "
        "every table says so",
    )  # fmt: skip
    parser.add_argument(
        "--thorough", action="store_true",
        help="also try many more settings and variants of training, 40 minutes more on two cores",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", type=int, metavar="N",
        help="processes, each with one thread, at most the number of CPUs (default: that number)",
    )  # fmt: skip
    parser.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="do the runs on the workers of this Dask scheduler, such as tcp://10.0.0.1:8786, and not on "
        "this machine (needs lenetshift[dask], here and on the workers; not with --jobs)",
    )  # fmt: skip
    parser.add_argument(
        "--resume", action="store_true", help="keep the finished runs in --out and do the others"
    )


@terminated_in_order()
def run(args: argparse.Namespace) -> int:
    """Do the runs, write the dossier and print its verdicts."""
    from ..predict.progress import Progress
    from ..study.figures import draw_study
    from ..study.plans import Plan
    from ..study.publish import dossier_of, publish
    from ..study.run_files import unlisted
    from ..study.studies import carry_out, open_study
    from .machine import check_isa, check_matplotlib

    start = time.perf_counter()
    check_isa()
    if args.seeds is not None and args.seeds < 2:
        raise UsageError(f"argument --seeds: got {args.seeds}, expected 2 or more")
    seeds = args.seeds or (QUICK_SEEDS if args.quick else SEEDS)
    names = in_order(EXPERIMENTS, args.experiments)
    if args.quick and args.thorough:
        raise UsageError("argument --thorough: not with --quick")
    plan, workers = Plan(seeds, names, args.quick, args.data, args.thorough), _workers(args)
    with naming(None if args.data is None else "--data"):
        plan.datasets()  # reports a missing file before a folder is made
    check_matplotlib()
    with entered("--out", open_study(args.out, resume=args.resume)):
        with naming(None), Progress(plan.work) as progress:
            carry_out(plan, args.out, workers, progress)
        value = dossier_of(plan, args.out)
        print(format_verdicts(value), end="", flush=True)  # before the files: a disk may be full
        publish(plan, args.out, value, draw_study)
    if more := unlisted(args.out, plan.runs):
        line = f"Not of this study: {len(more)} files in runs, such as {more[0]}"
        print(one_line(f"{line}; verify refuses the dossier as long as they lie there"))
    seconds = time.perf_counter() - start
    print(one_line(f"{seconds:.1f} s in all; the dossier is in {args.out}{os.sep}"))
    return 0


def _workers(args: argparse.Namespace) -> Workers:
    from ..study.cluster import on_cluster
    from ..study.processes import on_this_machine

    if args.scheduler is None:
        return on_this_machine(_jobs(args.jobs))
    if args.jobs is not None:
        raise UsageError("argument --jobs: not with --scheduler, whose workers do the runs")
    with naming(None):
        return on_cluster(args.scheduler)


def _jobs(wanted: int | None) -> int:
    from ..storage.environment import available_cpus

    cpus = available_cpus()
    if wanted is None:
        return cpus
    if wanted < 1:
        raise UsageError(f"argument --jobs: got {wanted}, expected 1 or more")
    if wanted > cpus:
        say(f"argument --jobs: got {wanted}, there are {cpus} CPUs: {cpus} used")
    return min(wanted, cpus)


def format_verdicts(value: Mapping[str, Any]) -> str:
    """The verdicts of a dossier for a terminal."""
    lines = [value["note"]] if value["note"] else []
    if value["table"] is not None:
        interval = "" if value["study"]["quick"] else "; 95 % of runs lie in the interval"
        lines.append(f"Table 1 ({value['study']['seeds']} seeds{interval})")
        for cell in value["table"]["cells"]:
            name = f"{DISPLAY_NAMES[cell['model']]}, {cell['column']}"
            lines.append(
                f"  {name:34} report {cell['report']:5.1f}  ours {cell['mean']:5.1f}"
                f"{_interval(cell['interval'])}{_then(cell['verdict'])}, {cell['distance']:+.1f} points"
            )
    for claim in value["claims"]:
        lines.append(f"Claim {claim['claim']}{_then(claim['verdict'], ': ')}. {claim['sentence']}")
        for part in claim["parts"]:
            verdict = f"{part['verdict']:12} " if part["verdict"] else ""
            lines.append(f"  {verdict}{part['name']}{_number(part)}")
    return "".join(f"{line}\n" for line in lines)


def _number(part: Mapping[str, Any]) -> str:
    """The value of a part's main look, with its interval."""
    if not part["looks"] or part["looks"][0]["value"] is None:
        return ""
    look = part["looks"][0]
    return f": {look['value']:.1f}{_interval(look['interval'])}"


def _interval(ends: Any) -> str:
    return f" [{ends[0]:.1f}, {ends[1]:.1f}]" if ends else ""


def _then(verdict: str | None, before: str = "  ") -> str:
    """A verdict, which a quick study does not have."""
    return f"{before}{verdict}" if verdict else ""
