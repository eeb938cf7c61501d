"""The main job: ``lenetshift reproduce`` trains, evaluates, prints Table 1, draws.

The sequence, per model: train epoch by epoch, evaluate under every shift, keep a checkpoint after
each step. Then, from predictions and labels alone: the table, the figures, the result files;
``results.json`` comes last, so a folder that has it is complete.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..checks.errors import ArgumentError, Differs, UsageError
from ..checks.text import one_line
from ..page import render_page
from ..predict.progress import Progress
from ..reproduce import jobs, tables
from ..reproduce.folder import open_folder
from ..reproduce.jobs import Job, prepare
from ..reproduce.products import write_products
from ..reproduce.results import results
from ..reproduce.settings import Config
from ..shifts import ShiftGrid
from ..study.experiments import position_bias
from .machine import check_isa, check_matplotlib, pick_device, set_threads
from .streams import say
from .words import MODELS


def _config(args: argparse.Namespace) -> Config:
    try:
        return Config(
            seed=args.seed,
            epochs=args.epochs,
            learning_rate=args.learning_rate,
            batch_size=args.batch_size,
            activation=args.activation,
            grid=ShiftGrid(dx=_shifts("dx", args.dx), dy=_shifts("dy", args.dy)),
            bias_rule=position_bias.RULE if args.bias is None else _rule(args.bias),
        )
    except ValueError as error:
        name, _, reason = str(error).partition(":")
        option = _OPTIONS.get(name.partition("[")[0], name.replace("_", "-"))
        raise UsageError(f"argument --{option}:{reason}") from error


_OPTIONS = {"grid": "dx, --dy", "grid.dx": "dx", "grid.dy": "dy", "rule": "bias"}
"""What the messages name -> the options that say it, where those have another name."""


def _shifts(name: str, first_and_last: Sequence[int]) -> range:
    first, last = first_and_last
    if not first <= last:
        raise ArgumentError(name, f"{first} {last}", "the first shift, then the last")
    return range(first, last + 1)


def _rule(moves: Sequence[tuple[int, tuple[int, int]]]) -> dict[int, tuple[int, int]]:
    digits = [digit for digit, _ in moves]
    twice = [digit for digit in digits if digits.count(digit) > 1]
    if twice:
        raise ArgumentError("rule", f"digit {twice[0]} more than once", "it once")
    return dict(moves)


def study_dossier(folder: Path | None, job: Job) -> dict[str, Any] | None:
    """The dossier that the page shows, if any; it must be about the job's data."""
    if folder is None:
        return None
    from ..study.verification import read_dossier  # a fifth of a second to import

    try:
        dossier = read_dossier(folder)
    except Differs as error:
        raise UsageError(f"argument --study: {error}") from error
    if dossier["data_sha256"] != dict(job.sha256):
        raise UsageError(f"argument --study: {folder} is about other data than this run")
    return dossier


def run(args: argparse.Namespace) -> int:
    """Do the job and print Table 1."""
    start = time.perf_counter()
    set_threads(args.threads)
    config, device = _config(args), pick_device(args.device)
    check_isa()
    models = tuple(name for name in MODELS if any(name in names for names in args.models))
    job = prepare(config, models, args.method, device, args.out, data=args.data, quick=args.quick)
    dossier = study_dossier(args.study, job)
    check_matplotlib()
    with open_folder(args.out):
        for number, index in enumerate(position_bias.FIGURE_INDICES, 1):
            if position_bias.MODEL in job.models and index not in job.figures:
                say(
                    f"figure {number} is left out: test image {index} is not among the "
                    f"{len(job.test):,} of {args.data}"
                )
        with Progress(job.units) as progress:
            checkpoints = jobs.run(job, progress, resume=args.resume)
        value = results(job, checkpoints)
        # Before the files: a disk may be full.
        print(tables.format_text(*tables.table(value)))
        print(tables.format_position_bias(value), flush=True)
        page = render_page(job, checkpoints, value, dossier) if args.page else None
        write_products(job, checkpoints, value, page=page)
    seconds = time.perf_counter() - start
    print(one_line(f"{seconds:.1f} s in all; the files are in {args.out}{os.sep}"))
    return 0
