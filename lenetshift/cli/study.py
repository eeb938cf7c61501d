"""The command line of ``python -m lenetshift.study``: runs, then the dossier that they make."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..dossier.cluster import on_cluster
from ..dossier.environment import available_cpus
from ..dossier.plans import QUICK_SEEDS, Plan
from ..dossier.processes import on_this_machine
from ..dossier.publish import publish
from ..dossier.studies import Workers, carry_out, open_study
from ..experiments import EXPERIMENTS
from ..ops import isa
from ..progress import Progress
from ..report.study_figures import draw_study
from ..report.tables import DISPLAY_NAMES
from .attempt import UsageError, attempt
from .parser import HelpWithDefaults, OneLineParser, folder_path
from .streams import say

_NAME = "python -m lenetshift.study"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = OneLineParser(
        prog=_NAME,
        description="Train the report's networks and their variants from many seeds, judge each cell "
        "of Table 1 and each claim by rules that are written down in lenetshift.experiments.claims, "
        "and write all of it into a folder, the dossier, that python -m lenetshift.verify recomputes.",
        epilog="Exit status: 0 done, 2 not possible as asked (one line says why), 130 interrupted.",
        formatter_class=HelpWithDefaults,
        allow_abbrev=False,
    )
    made.add_argument(
        "--out", type=folder_path, default=Path("study"), metavar="DIR", help="the dossier's folder"
    )
    made.add_argument(
        "--data", type=folder_path, metavar="DIR",
        help="folder with the four IDX files, raw or .gz (default: the packaged MNIST)",
    )  # fmt: skip
    made.add_argument(
        "--seeds", type=int, metavar="N",
        help="seeds 0..N-1; a network without fused training has 5 at most "
        f"(default: {Plan.n_seeds}; {QUICK_SEEDS} with --quick)",
    )  # fmt: skip
    made.add_argument(
        "--experiments", nargs="+", choices=tuple(EXPERIMENTS), default=tuple(EXPERIMENTS),
        metavar="NAME", help=f"some of {', '.join(EXPERIMENTS)} (default: all)",
    )  # fmt: skip
    made.add_argument(
        "--quick", action="store_true",
        help="a few images and settings only: shows that all works, and says so in every file",
    )  # fmt: skip
    made.add_argument(
        "--jobs", type=int, metavar="N",
        help="processes, each with one thread, no more than there are CPUs (default: as many)",
    )  # fmt: skip
    made.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="do the runs on the workers of this Dask scheduler, as tcp://10.0.0.1:8786, instead "
        "(needs lenetshift[dask], here and there; --jobs plays no part)",
    )  # fmt: skip
    made.add_argument(
        "--resume", action="store_true", help="keep the finished runs in --out and do the others"
    )
    return made


def _plan(args: argparse.Namespace) -> Plan:
    seeds = args.seeds or (QUICK_SEEDS if args.quick else Plan.n_seeds)
    if args.seeds is not None and args.seeds < 2:
        raise UsageError(f"argument --seeds: got {args.seeds}, expected 2 or more")
    names = tuple(name for name in EXPERIMENTS if name in args.experiments)
    return Plan(seeds, names, args.quick, args.data)


def _workers(args: argparse.Namespace) -> Workers:
    if args.scheduler is None:
        return on_this_machine(_jobs(args.jobs))
    if args.jobs is not None:
        raise UsageError("argument --jobs: not with --scheduler, whose workers do the runs")
    return on_cluster(args.scheduler)


def _jobs(wanted: int | None) -> int:
    cpus = available_cpus()
    if wanted is None:
        return cpus
    if wanted < 1:
        raise UsageError(f"argument --jobs: got {wanted}, expected 1 or more")
    if wanted > cpus:
        say(f"argument --jobs: got {wanted}, there are {cpus} CPUs: {cpus} taken")
    return min(wanted, cpus)


def _study(args: argparse.Namespace) -> int:
    start = time.perf_counter()
    try:
        isa()
    except ValueError as error:  # LENETSHIFT_ISA names what this machine cannot run
        raise UsageError(str(error)) from error
    plan, workers = _plan(args), _workers(args)
    plan.datasets()  # a missing file is told before a folder is made
    with open_study(args.out, resume=args.resume):
        with Progress(sum(run.work for run in plan.runs)) as progress:
            carry_out(plan, args.out, workers, progress)
        value = publish(plan, args.out, draw_study)
    print(format_verdicts(value), end="")
    print(f"{time.perf_counter() - start:.1f} s in all; the dossier is in {args.out}{os.sep}")
    return 0


def format_verdicts(value: Mapping[str, Any]) -> str:
    """The verdicts of a dossier for a terminal."""
    lines = [value["note"]] if value["note"] else []
    if value["table"] is not None:
        lines.append(f"Table 1 ({value['study']['seeds']} seeds; 95 % of runs lie in the interval)")
        for cell in value["table"]["cells"]:
            name = f"{DISPLAY_NAMES[cell['model']]}, {cell['column']}"
            low, high = cell["interval"]
            lines.append(
                f"  {name:34} report {cell['report']:5.1f}  ours {cell['mean']:5.1f} "
                f"[{low:5.1f}, {high:5.1f}]  {cell['verdict']}, {cell['distance']:+.1f} points"
            )
    for claim in value["claims"]:
        lines.append(f"Claim {claim['claim']}: {claim['verdict']}. {claim['sentence']}")
        for part in claim["parts"]:
            lines.append(f"  {part['verdict']:12} {part['name']}{_number(part)}")
    return "".join(f"{line}\n" for line in lines)


def _number(part: Mapping[str, Any]) -> str:
    if part["value"] is None:
        return ""
    low, high = part["interval"]
    return f": {part['value']:.1f} [{low:.1f}, {high:.1f}]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, by default that of the process, and return the exit status."""
    interrupted = "interrupted: the same command with --resume goes on from the finished runs"
    return attempt(_NAME, lambda: _study(parser().parse_args(arguments)), interrupted)
