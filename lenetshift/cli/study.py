"""The command ``study``: runs, then the dossier that they make."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from typing import Any

from ..checks.errors import UsageError
from ..checks.text import one_line
from ..models.table import DISPLAY_NAMES
from ..predict.progress import Progress
from ..storage.environment import available_cpus
from ..study.cluster import on_cluster
from ..study.experiments import EXPERIMENTS
from ..study.figures import draw_study
from ..study.plans import QUICK_SEEDS, Plan
from ..study.processes import on_this_machine
from ..study.publish import dossier_of, publish
from ..study.studies import Workers, carry_out, open_study
from .interrupts import terminated_in_order
from .machine import check_isa, check_matplotlib
from .streams import say


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


@terminated_in_order()
def run(args: argparse.Namespace) -> int:
    """Do the runs, write the dossier and print its verdicts."""
    start = time.perf_counter()
    check_isa()
    plan, workers = _plan(args), _workers(args)
    plan.datasets()  # a missing file is told before a folder is made
    check_matplotlib()
    with open_study(args.out, resume=args.resume):
        with Progress(sum(run.work for run in plan.runs)) as progress:
            carry_out(plan, args.out, workers, progress)
        value = dossier_of(plan, args.out)
        print(format_verdicts(value), end="", flush=True)  # before the files: a disk may be full
        publish(plan, args.out, value, draw_study)
    seconds = time.perf_counter() - start
    print(one_line(f"{seconds:.1f} s in all; the dossier is in {args.out}{os.sep}"))
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
