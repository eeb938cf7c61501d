"""The command ``reproduce``, the main job: train, evaluate, print Table 1, draw.

For each model: train epoch by epoch, evaluate under every shift, keep a checkpoint after each step. Then,
from predictions and labels alone: the table, the figures, the result files. ``results.json`` comes last, so a
folder that has it is complete.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..checks.choices import ACTIVATIONS, REPORT_DX, REPORT_DY, TRAINING_METHODS
from ..checks.errors import UsageError
from ..checks.text import one_line
from ..models.table import ARCHITECTURES, BIAS_RULE, BIASED
from ..reproduce.defaults import (
    ACTIVATION,
    BATCH_SIZE,
    CHOSEN,
    EPOCHS,
    FITTED,
    LEARNING_RATE,
    QUICK_TEST,
    QUICK_TRAIN,
    SEED,
    SETTINGS,
)
from .options import (
    FOLDER,
    OPTION_OF,
    USUAL_STATUS,
    add_data,
    add_device_and_threads,
    add_names,
    add_path,
    entered,
    in_order,
    naming,
    naming_options,
    shift_range,
)
from .streams import say

if TYPE_CHECKING:
    from ..reproduce.settings import Config

MODELS = tuple(ARCHITECTURES)

DESCRIPTION = (
    "Train the report's four models and the position-biased LeNet-5, evaluate them on every test image "
    "under every shift, print Table 1 next to the report's, and write table, figures, predictions and "
    "checkpoints into a folder."
)
EXAMPLE = "reproduce --quick --out results"
STATUS = USUAL_STATUS
INTERRUPTED = "interrupted: the same command with --resume continues from what is in {out}"
NEEDS = ("lenetshift.api", "lenetshift.page", "lenetshift.reproduce.products")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    files = parser.add_argument_group("files")
    add_path(
        files, "--out", FOLDER, default=Path("results"), metavar="DIR",
        help="folder for the results; the files of an earlier run in it are replaced",
    )  # fmt: skip
    add_data(files, "; a figure whose test image is not in the data is left out")
    files.add_argument(
        "--resume", action="store_true",
        help="keep the finished epochs and models in --out, made with the same options, and continue",
    )  # fmt: skip
    files.add_argument(
        "--no-page", dest="page", action="store_false",
        help="write no report.html (default: it is written)",
    )  # fmt: skip
    add_path(
        files, "--study", FOLDER, metavar="DIR",
        help="dossier of a study of the same data, whose intervals and verdicts report.html shows next to "
        "this run's numbers",
    )  # fmt: skip
    what = parser.add_argument_group("what to do")
    add_names(what, "--models", MODELS, f"; figures 1 to 4 need {BIASED}")
    what.add_argument(
        "--quick", action="store_true",
        help=f"use only {QUICK_TRAIN:,} training and {QUICK_TEST:,} test images, drawn evenly over "
        "their sets, to see that everything works; every file says that it is about a subset",
    )  # fmt: skip
    for name, direction, shifts in (("dx", "right", REPORT_DX), ("dy", "down", REPORT_DY)):
        what.add_argument(
            f"--{name}", type=int, nargs=2, default=[shifts[0], shifts[-1]], metavar=("FIRST", "LAST"),
            help=f"shifts of the evaluation in pixels, > 0 is {direction}; must include 0 "
            f"(default: {shifts[0]} {shifts[-1]})",
        )  # fmt: skip
    what.add_argument(
        "--bias", nargs="+", type=_bias, metavar="DIGIT:DX,DY",
        help="how the position-biased model's training images are moved, in pixels "
        f"(default: {' '.join(f'{d}:{dx:+d},{dy}' for d, (dx, dy) in BIAS_RULE.items())})",
    )  # fmt: skip
    training = parser.add_argument_group(
        "training (the same for all models, unless --settings report is given)"
    )
    training.add_argument(
        "--settings", choices=SETTINGS, default=SETTINGS[0],
        help="default: what the options below say; report: the activation, learning rate, batch size and "
        f"number of epochs for each model with which a study came nearest to the report's Table 1. {FITTED} "
        "This takes a minute or two on two cores. (default: default)",
    )  # fmt: skip
    training.add_argument(
        "--seed", type=int, default=SEED, metavar="N",
        help="seed of the initial weights and the order of the images",
    )  # fmt: skip
    training.add_argument(
        "--epochs", type=int, metavar="N",
        help=f"passes over the training images (default: {EPOCHS})",
    )  # fmt: skip
    training.add_argument(
        "--learning-rate", type=float, metavar="X",
        help=f"learning rate of plain stochastic gradient descent (default: {LEARNING_RATE})",
    )  # fmt: skip
    training.add_argument(
        "--batch-size", type=int, metavar="N", help=f"images per step (default: {BATCH_SIZE})"
    )
    training.add_argument(
        "--activation", choices=ACTIVATIONS,
        help=f"activation between the layers (default: {ACTIVATION})",
    )  # fmt: skip
    training.add_argument(
        "--method", choices=TRAINING_METHODS, default=TRAINING_METHODS[0],
        help="fused: one op call per epoch; autograd: the plain PyTorch loop",
    )  # fmt: skip
    add_device_and_threads(parser.add_argument_group("machine"))


def _bias(text: str) -> tuple[int, tuple[int, int]]:
    match = re.fullmatch(r"(\d):([+-]?\d+),([+-]?\d+)", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a digit and its shift in pixels, such as 3:+3,0"
        )
    digit, dx, dy = map(int, match.groups())
    return digit, (dx, dy)


def run(args: argparse.Namespace) -> int:
    """Do the job and print Table 1."""
    from ..page import render_page
    from ..predict.progress import Progress
    from ..reproduce import reproduction, tables
    from ..reproduce.products import write_products
    from ..reproduce.results import compute_results
    from ..storage.folder import RESULTS, open_folder
    from ..study.experiments import position_bias
    from .machine import check_isa, check_matplotlib, pick_device, set_threads
    from .page import dossier_about

    start = time.perf_counter()
    set_threads(args.threads)
    config, device = config_of(args), pick_device(args.device)
    check_isa()
    models = in_order(MODELS, args.models)
    with naming(None if args.data is None else "--data"):
        job = reproduction.prepare(
            config, models, args.method, device, args.out, data=args.data, quick=args.quick
        )
    dossier = dossier_about(args.study, job.sha256)
    check_matplotlib()
    with entered("--out", open_folder(args.out, RESULTS)):
        for number, index in enumerate(position_bias.FIGURE_INDICES, 1):
            if position_bias.MODEL in job.models and index not in job.figures:
                say(
                    f"figure {number} is left out: test image {index} is not among the "
                    f"{len(job.test):,} of {args.data}"
                )
        with Progress(job.units) as progress:
            checkpoints = reproduction.carry_out(job, progress, resume=args.resume)
        value = compute_results(job, checkpoints)
        # Before the files: a disk may be full.
        print(tables.format_text(*tables.table(value)))
        print(tables.format_position_bias(value), flush=True)
        page = render_page(job, checkpoints, value, dossier) if args.page else None
        write_products(job, checkpoints, value, page=page)
    seconds = time.perf_counter() - start
    where = f"the files are in {args.out}{os.sep}"
    if page is not None:
        where += f"; open {args.out / 'report.html'}"
    print(one_line(f"{seconds:.1f} s in all; {where}"))
    return 0


def config_of(args: argparse.Namespace) -> Config:
    """The settings that the options give."""
    from ..api import Config, ShiftGrid

    moves = BIAS_RULE.items() if args.bias is None else args.bias
    digits = [digit for digit, _ in moves]
    twice = [digit for digit in digits if digits.count(digit) > 1]
    if twice:
        raise UsageError(f"argument --bias: got digit {twice[0]} more than once, expected it once")
    given = {name: value for name in CHOSEN if (value := getattr(args, name)) is not None}
    is_report = args.settings == "report"
    if is_report and given:
        options = " and ".join(OPTION_OF[name] for name in given)
        raise UsageError(
            f"argument --settings: got report together with {options}, expected one or the other"
        )
    with naming_options():
        return replace(
            Config.report() if is_report else Config(**given),
            seed=args.seed,
            grid=ShiftGrid(shift_range("--dx", args.dx), shift_range("--dy", args.dy)),
            bias_rule=dict(moves),
        )
