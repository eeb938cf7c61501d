"""The main job: ``python -m lenetshift.reproduce`` trains, evaluates, prints Table 1, draws.

The sequence, per model: train epoch by epoch, evaluate under every shift, keep a checkpoint after
each step. Then, from predictions and labels alone: the table, the figures, the result files;
``results.json`` comes last, so a folder that has it is complete.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from .._matplotlib import figure_settings
from ..checks import check
from ..data import dataset_sha256, evenly_spaced, load_mnist
from ..dossier.environment import available_cpus
from ..dossier.files import StorageError
from ..dossier.folder import open_folder
from ..dossier.jobs import Job, run
from ..experiments import position_bias
from ..experiments.settings import Config
from ..idx import DataError
from ..ops import isa
from ..progress import Progress
from ..report import tables
from ..report.products import write_products
from ..shifts import ShiftGrid
from .parser import MODELS, QUICK_TEST, QUICK_TRAIN, STDERR_LOST, STDOUT_LOST, parser
from .streams import guarded_streams, say


class JobError(Exception):
    """The job cannot be done as asked: one line that names the option and the reason."""


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
        raise JobError(f"argument --{option}:{reason}") from error


_OPTIONS = {"grid": "dx, --dy", "grid.dx": "dx", "grid.dy": "dy", "rule": "bias"}
"""What the messages name -> the options that say it, where those have another name."""


def _shifts(name: str, first_and_last: Sequence[int]) -> range:
    first, last = first_and_last
    check(
        first <= last,
        lambda: f"{name}: got {first} {last}, expected the first shift, then the last",
    )
    return range(first, last + 1)


def _rule(moves: Sequence[tuple[int, tuple[int, int]]]) -> dict[int, tuple[int, int]]:
    digits = [digit for digit, _ in moves]
    twice = [digit for digit in digits if digits.count(digit) > 1]
    check(not twice, lambda: f"rule: got digit {twice[0]} more than once, expected it once")
    return dict(moves)


def _device(wanted: str) -> torch.device:
    """The device to use, after one small op there; says which ``auto`` took, and why not CUDA."""
    if wanted == "cpu":
        return torch.device("cpu")
    try:
        images = torch.zeros(1, 28, 28, dtype=torch.uint8, device="cuda")
        shifts = torch.zeros(1, 2, dtype=torch.int64, device="cuda")
        torch.ops.lenetshift.translate(images, shifts).cpu()  # waits: a kernel's error comes late
        if wanted == "auto":
            say(f"--device auto: cuda, {torch.cuda.get_device_name()}")
        return torch.device("cuda")
    except Exception as error:  # no driver, no device, torch or lenetshift built without CUDA
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if wanted == "auto":
            say(f"--device auto: cpu; cuda is not available: {reason}")
            return torch.device("cpu")
        raise JobError(f"argument --device: cuda is not available: {reason}") from error


def _check_matplotlib() -> None:
    """Raise JobError if Matplotlib cannot be used: better before the training than after it."""
    try:
        with figure_settings():
            pass
    except Exception as error:  # a matplotlibrc that cannot be read, a damaged installation
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise JobError(f"Matplotlib, which draws the figures, cannot be used: {reason}") from error


def _set_threads(wanted: int | None) -> None:
    """Take the threads asked for, or PyTorch's choice, but no more than there are CPUs: those beyond
    would wait in turns for the others, for minutes where a second is enough."""
    n_threads = torch.get_num_threads() if wanted is None else wanted
    n_cpus = available_cpus()
    if n_threads > n_cpus:
        asked = "PyTorch's choice of threads" if wanted is None else "argument --threads"
        say(
            f"{asked}: got {n_threads}, expected at most {n_cpus}, the CPUs that this process may "
            f"use: {n_cpus} taken"
        )
        n_threads = n_cpus
    if n_threads != torch.get_num_threads():
        torch.set_num_threads(n_threads)


def prepare(args: argparse.Namespace, config: Config, device: torch.device) -> Job:
    """Load the data and settle what is to be done.

    Raises:
        DataError: a data file is missing or damaged.
    """
    whole_train, test = load_mnist(args.data)
    parts = (("train", whole_train), ("test", test))
    sha256 = {
        f"{part}_{kind}": digest
        for part, dataset in parts
        for kind, digest in dataset_sha256(dataset).items()
    }
    n_train, n_test, note = len(whole_train), len(test), ""
    if args.quick and (n_train > QUICK_TRAIN or n_test > QUICK_TEST):
        n_train, n_test = min(QUICK_TRAIN, n_train), min(QUICK_TEST, n_test)
        config = replace(config, n_train=n_train, n_test=n_test)
        note = (
            f"Subset (--quick), drawn evenly: {n_train:,} of {len(whole_train):,} images to train, "
            f"{n_test:,} of {len(test):,} to test."
        )
    models = tuple(name for name in MODELS if any(name in names for names in args.models))
    shown = tuple(index for index in position_bias.FIGURE_INDICES if index < len(test))
    drawn = evenly_spaced(n_test, len(test)).tolist()
    beyond = [index for index in shown if index not in set(drawn)]
    return Job(
        config=config,
        models=models,
        method=args.method,
        device=device,
        out=args.out,
        train=whole_train.subset(n_train),
        test=test,
        rows=(*drawn, *beyond),
        n_test=n_test,
        sha256=sha256,
        note=note,
        figures=shown,
    )


def _dossier(folder: Path | None, job: Job) -> dict[str, Any] | None:
    """The dossier that the page shows, if any; it must be about the job's data."""
    if folder is None:
        return None
    from ..dossier.verification import Differs, read_dossier  # a fifth of a second to import

    try:
        dossier = read_dossier(folder)
    except Differs as error:
        raise JobError(f"argument --study: {error}") from error
    if dossier["data_sha256"] != dict(job.sha256):
        raise JobError(f"argument --study: {folder} is about other data than this run")
    return dossier


def _reproduce(args: argparse.Namespace) -> None:
    start = time.perf_counter()
    _set_threads(args.threads)
    config, device = _config(args), _device(args.device)
    try:
        isa()
    except ValueError as error:  # LENETSHIFT_ISA names what this machine cannot run
        raise JobError(str(error)) from error
    job = prepare(args, config, device)
    dossier = _dossier(args.study, job)
    _check_matplotlib()
    with open_folder(args.out):
        for number, index in enumerate(position_bias.FIGURE_INDICES, 1):
            if position_bias.MODEL in job.models and index not in job.figures:
                say(
                    f"figure {number} is left out: test image {index} is not among the "
                    f"{len(job.test):,} of {args.data}"
                )
        with Progress(job.units) as progress:
            checkpoints = run(job, progress, resume=args.resume)
        value = write_products(job, checkpoints, page=args.page, dossier=dossier)
    rows, title, note = tables.table(value)
    print(tables.format_text(rows, title, note))
    print(tables.format_position_bias(value))
    print(f"{time.perf_counter() - start:.1f} s in all; the files are in {args.out}{os.sep}")


def _attempt(arguments: Sequence[str] | None) -> int:
    """Run the command line and return the exit status, but for what the streams lose."""
    made = parser()
    try:
        args = made.parse_args(arguments)
    except SystemExit as stop:  # --help, or an error that has been told
        return int(stop.code or 0)
    try:
        _reproduce(args)
    except (JobError, StorageError, DataError) as error:
        say(f"{made.prog}: error: {error}")
        return 2
    except KeyboardInterrupt:
        say(f"interrupted: the same command with --resume goes on from what is in {args.out}")
        return 130
    except OSError as error:  # a full disk, for one
        say(f"{made.prog}: error: {error.filename or args.out}: {error.strerror or error}")
        return 2
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, by default that of the process, and return the exit status."""
    with guarded_streams() as (output, errors):
        status = _attempt(arguments)
        output.flush()
        if output.lost:
            say(f"standard output is lost: {output.lost}")
        errors.flush()
    if status == 0:
        status = STDOUT_LOST * bool(output.lost) + STDERR_LOST * bool(errors.lost)
    return status
