"""The main job: ``python -m lenetshift.reproduce`` trains, evaluates, prints Table 1, draws.

The sequence, per model: train epoch by epoch, evaluate under every shift, keep a checkpoint after
each step. Then, from predictions and labels alone: the table, the figures, the result files;
``results.json`` comes last, so a folder that has it is complete.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from . import report, storage
from .activations import ACTIVATIONS
from .config import Config
from .data import DataError, Dataset, dataset_sha256, load_mnist
from .evaluate import predict_shifts
from .models import build_model
from .ops import isa
from .progress import Progress
from .report import BIASED
from .storage import Checkpoint, Job, StorageError
from .train import METHODS, position_biased, train

MODELS = tuple(report.DISPLAY_NAMES)
_QUICK_TRAIN, _QUICK_TEST = 6_000, 1_000
_MAX_THREADS = 1024
_EVALUATION = 0.5  # how long an evaluation takes, in epochs; it only paces the progress bar


class JobError(Exception):
    """The job cannot be done as asked: one line that names the option and the reason."""


def run(job: Job, *, resume: bool) -> dict[str, Checkpoint]:
    """Train and evaluate all models of a job, going on from what its folder holds if ``resume``.

    Raises:
        StorageError: the folder's checkpoints are damaged or of another job.
    """
    done: dict[str, Checkpoint] = {}
    if resume:
        for name in MODELS:  # those not asked for too: what a folder holds is of one run
            checkpoint = storage.load_checkpoint(job.out, name, job.settings())
            if checkpoint is not None:
                done[name] = checkpoint
    storage.remove_earlier_run(job.out, () if resume else MODELS)
    # To the device once, not once for each model and epoch.
    train_set = job.train.to(job.device)
    images = job.test.images[list(job.rows)].to(job.device)
    with Progress(len(job.models) * (job.config.epochs + _EVALUATION)) as progress:
        for name in job.models:
            done[name] = _finish_model(job, name, done.get(name), train_set, images, progress)
    return {name: done[name] for name in job.models}


def _finish_model(
    job: Job,
    name: str,
    kept: Checkpoint | None,
    train_set: Dataset,
    images: Tensor,
    progress: Progress,
) -> Checkpoint:
    """Do what remains to be done for one model; the data are on the job's device."""
    config = job.config
    model = build_model("lenet5" if name == BIASED else name, config.activation, seed=config.seed)
    checkpoint = kept or Checkpoint(name, job.settings(), model.state_dict(), note=job.note)
    model.load_state_dict(checkpoint.state_dict)
    model.to(job.device)

    first_epoch = len(checkpoint.losses)
    progress.advance(first_epoch)
    if first_epoch < config.epochs:
        dataset = position_biased(train_set, config.bias_rule) if name == BIASED else train_set
    for epoch in range(first_epoch, config.epochs):
        progress.stage(f"{name}: training, epoch {epoch + 1} of {config.epochs}")
        before = 0.0

        def on_progress(_epoch: int, step: int, n_steps: int, _loss: float) -> None:
            nonlocal before
            progress.advance(step / n_steps - before)
            before = step / n_steps

        start = time.perf_counter()
        checkpoint.losses += train(
            model,
            dataset,
            epochs=1,
            first_epoch=epoch,
            learning_rate=config.learning_rate,
            batch_size=config.batch_size,
            seed=config.seed,
            method=job.method,
            on_progress=on_progress,
        )
        checkpoint.training_seconds += time.perf_counter() - start
        checkpoint.state_dict = model.state_dict()
        storage.save_checkpoint(job.out, checkpoint)
    progress.line(_training_line(checkpoint, first_epoch))

    evaluated = checkpoint.predictions is not None
    if checkpoint.predictions is None:
        progress.stage(f"{name}: evaluating")
        start = time.perf_counter()
        checkpoint.predictions = predict_shifts(model, images, config.grid).cpu()
        checkpoint.evaluation_seconds = time.perf_counter() - start
        storage.save_checkpoint(job.out, checkpoint)
    progress.advance(_EVALUATION)
    progress.line(
        f"{name}: {len(job.rows) * len(config.grid):,} patterns evaluated "
        f"in {checkpoint.evaluation_seconds:.2f} s" + (" (kept)" if evaluated else "")
    )
    return checkpoint


def _training_line(checkpoint: Checkpoint, n_kept: int) -> str:
    n_epochs = len(checkpoint.losses)
    epochs = f"{n_epochs} epoch{'' if n_epochs == 1 else 's'}"
    loss = f", mean loss {float(checkpoint.losses[-1].mean()):.4f}" if n_epochs else ""
    kept = f" ({n_kept} kept)" if n_kept else ""
    seconds = f"{checkpoint.training_seconds:.2f} s"
    return f"{checkpoint.model}: {epochs} trained in {seconds}{loss}{kept}"


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage that --help gives anyway."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults in the help text, save those that say nothing (None, off)."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default in (None, False) or "(default" in (action.help or "")
        return action.help if silent else super()._get_help_string(action)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    default = Config()
    made = _Parser(
        prog="python -m lenetshift.reproduce",
        description="Train the report's four models and the position-biased LeNet-5, let them "
        "answer every test image under every shift, print Table 1 beside the report's, and write "
        "table, figures, predictions and checkpoints into a folder.",
        epilog="Exit status: 0 done, 2 not possible as asked (one line says why), 130 interrupted.",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    files = made.add_argument_group("files")
    files.add_argument(
        "--out", type=Path, default=Path("results"), metavar="DIR",
        help="folder for the results; the files of an earlier run in it are replaced",
    )  # fmt: skip
    files.add_argument(
        "--data", type=Path, metavar="DIR",
        help="folder with the four IDX files, raw or .gz (default: the packaged MNIST); a figure "
        "whose test image the data lack is left out",
    )  # fmt: skip
    files.add_argument(
        "--resume", action="store_true",
        help="keep the finished epochs and models in --out, made with the same options, and go on",
    )  # fmt: skip
    what = made.add_argument_group("what to do")
    what.add_argument(
        "--models", nargs="+", type=_names, default=[MODELS], metavar="NAME",
        help=f"some of {', '.join(MODELS)}, separated by spaces or commas; figures need {BIASED} "
        "(default: all)",
    )  # fmt: skip
    what.add_argument(
        "--quick", action="store_true",
        help=f"only the first {_QUICK_TRAIN:,} training and {_QUICK_TEST:,} test images: shows "
        "that all works, and says in every file that it is a subset",
    )  # fmt: skip
    training = made.add_argument_group("training (the same for all models)")
    training.add_argument(
        "--seed", type=int, default=default.seed, metavar="N",
        help="of the initial weights and the order of the images",
    )  # fmt: skip
    training.add_argument(
        "--epochs", type=int, default=default.epochs, metavar="N",
        help="passes over the training images",
    )  # fmt: skip
    training.add_argument(
        "--learning-rate", type=float, default=default.learning_rate, metavar="X",
        help="of plain stochastic gradient descent",
    )  # fmt: skip
    training.add_argument(
        "--batch-size", type=int, default=default.batch_size, metavar="N", help="images per step"
    )
    training.add_argument(
        "--activation", choices=tuple(ACTIVATIONS), default=default.activation,
        help="between the layers",
    )  # fmt: skip
    training.add_argument(
        "--method", choices=METHODS, default=METHODS[0],
        help="fused: one op call per epoch; autograd: the plain PyTorch loop",
    )  # fmt: skip
    machine = made.add_argument_group("machine")
    machine.add_argument(
        "--device", choices=("cpu", "cuda", "auto"), default="cpu",
        help="auto takes CUDA where it works, else the CPU",
    )  # fmt: skip
    machine.add_argument(
        "--threads", type=_threads, metavar="N", help="CPU threads (default: PyTorch's choice)"
    )
    return made


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name)
    for name in names or (text,):
        if name not in MODELS:
            raise argparse.ArgumentTypeError(
                f"unknown model {name!r} (choose from {', '.join(MODELS)})"
            )
    return names


def _threads(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_THREADS:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a whole number in 1..{_MAX_THREADS}"
        )
    return int(text)


def _config(args: argparse.Namespace) -> Config:
    try:
        return Config(
            seed=args.seed,
            epochs=args.epochs,
            learning_rate=args.learning_rate,
            batch_size=args.batch_size,
            activation=args.activation,
        )
    except ValueError as error:
        name, _, reason = str(error).partition(":")
        raise JobError(f"argument --{name.replace('_', '-')}:{reason}") from error


def _device(wanted: str) -> torch.device:
    """The device to use, after one small op there; says which ``auto`` took, and why not CUDA."""
    if wanted == "cpu":
        return torch.device("cpu")
    try:
        images = torch.zeros(1, 28, 28, dtype=torch.uint8, device="cuda")
        shifts = torch.zeros(1, 2, dtype=torch.int64, device="cuda")
        torch.ops.lenetshift.translate(images, shifts).cpu()  # waits: a kernel's error comes late
        if wanted == "auto":
            _say(f"--device auto: cuda, {torch.cuda.get_device_name()}")
        return torch.device("cuda")
    except Exception as error:  # no driver, no device, torch or lenetshift built without CUDA
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if wanted == "auto":
            _say(f"--device auto: cpu; cuda is not available: {reason}")
            return torch.device("cpu")
        raise JobError(f"argument --device: cuda is not available: {reason}") from error


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
    if args.quick:
        n_train, n_test = min(_QUICK_TRAIN, n_train), min(_QUICK_TEST, n_test)
        config = replace(config, n_train=n_train, n_test=n_test)
        note = (
            f"Subset (--quick): trained on the first {n_train:,} of {len(whole_train):,} images, "
            f"tested on the first {n_test:,} of {len(test):,}."
        )
    models = tuple(name for name in MODELS if any(name in names for names in args.models))
    shown = tuple(index for index in report.FIGURE_INDICES if index < len(test))
    rows = (*range(n_test), *(index for index in shown if index >= n_test))
    return Job(
        config=config,
        models=models,
        method=args.method,
        device=device,
        out=args.out,
        train=whole_train.first(n_train),
        test=test,
        rows=rows,
        n_test=n_test,
        sha256=sha256,
        note=note,
        figures=shown,
    )


def _reproduce(args: argparse.Namespace) -> None:
    start = time.perf_counter()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    config, device = _config(args), _device(args.device)
    try:
        isa()
    except ValueError as error:  # LENETSHIFT_ISA names what this machine cannot run
        raise JobError(str(error)) from error
    job = prepare(args, config, device)
    with storage.open_folder(args.out):
        for number, index in enumerate(report.FIGURE_INDICES, 1):
            if BIASED in job.models and index not in job.figures:
                _say(
                    f"figure {number} is left out: test image {index} is not among the "
                    f"{len(job.test):,} of {args.data}"
                )
        checkpoints = run(job, resume=args.resume)
        value = report.write_products(job, checkpoints)
    rows, title, note = report.table(value)
    print(report.format_text(rows, title, note))
    print(report.format_position_bias(value))
    print(f"{time.perf_counter() - start:.1f} s in all; the files are in {args.out}{os.sep}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, by default that of the process, and return the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A folder's name that the terminal cannot show must not end a run that is complete.
        sys.stdout.reconfigure(errors="backslashreplace")
    made = parser()
    args = made.parse_args(arguments)
    try:
        _reproduce(args)
        sys.stdout.flush()
    except (JobError, StorageError, DataError) as error:
        _say(f"{made.prog}: error: {error}")
        return 2
    except KeyboardInterrupt:
        _say(f"interrupted: the same command with --resume goes on from what is in {args.out}")
        return 130
    except BrokenPipeError:  # the reader of our output has gone: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:  # a full disk, for one
        _say(f"{made.prog}: error: {error.filename or args.out}: {error.strerror or error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
