"""The command line of ``python -m lenetshift.reproduce``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import NoReturn

from ..activations import ACTIVATIONS
from ..experiments import ARCHITECTURES, position_bias
from ..experiments.settings import Config
from ..train import METHODS

MODELS = tuple(ARCHITECTURES)
QUICK_TRAIN, QUICK_TEST = 6_000, 1_000
_MAX_THREADS = 1024

STDOUT_LOST, STDERR_LOST = 4, 8
"""Exit status of a run that is complete but for what it had to say; their sum where both is lost."""


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage that --help gives anyway."""

    def error(self, message: str) -> NoReturn:
        """End the process with the error in one line."""
        self.exit(2, f"{self.prog}: error: {message}\n")


class HelpWithDefaults(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults in the help text, save those that say nothing (None, off)."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default in (None, False) or "(default" in (action.help or "")
        return action.help if silent else super()._get_help_string(action)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    default = Config()
    made = OneLineParser(
        prog="python -m lenetshift.reproduce",
        description="Train the report's four models and the position-biased LeNet-5, let them "
        "answer every test image under every shift, print Table 1 beside the report's, and write "
        "table, figures, predictions and checkpoints into a folder.",
        epilog="Exit status: 0 done, 2 not possible as asked (one line says why), 130 interrupted; "
        f"{STDOUT_LOST} done, all files are written, but standard output is lost (closed, full or "
        f"without a reader), {STDERR_LOST} standard error, {STDOUT_LOST + STDERR_LOST} both.",
        formatter_class=HelpWithDefaults,
        allow_abbrev=False,
    )
    files = made.add_argument_group("files")
    files.add_argument(
        "--out", type=folder_path, default=Path("results"), metavar="DIR",
        help="folder for the results; the files of an earlier run in it are replaced",
    )  # fmt: skip
    files.add_argument(
        "--data", type=folder_path, metavar="DIR",
        help="folder with the four IDX files, raw or .gz (default: the packaged MNIST); a figure "
        "whose test image the data lack is left out",
    )  # fmt: skip
    files.add_argument(
        "--resume", action="store_true",
        help="keep the finished epochs and models in --out, made with the same options, and go on",
    )  # fmt: skip
    files.add_argument(
        "--no-page",
        dest="page",
        action="store_false",
        help="write no report.html (default: it is written)",
    )
    files.add_argument(
        "--study", type=folder_path, metavar="DIR",
        help="dossier of python -m lenetshift.study, of the same data: report.html shows its "
        "intervals and verdicts beside this run",
    )  # fmt: skip
    what = made.add_argument_group("what to do")
    what.add_argument(
        "--models", nargs="+", type=_names, default=[MODELS], metavar="NAME",
        help=f"some of {', '.join(MODELS)}, separated by spaces or commas; figures need "
        f"{position_bias.MODEL} (default: all)",
    )  # fmt: skip
    what.add_argument(
        "--quick", action="store_true",
        help=f"only {QUICK_TRAIN:,} training and {QUICK_TEST:,} test images, drawn evenly over "
        "their sets: shows that all works, and says in every file that it is a subset",
    )  # fmt: skip
    for name, direction, grid in (
        ("dx", "right", default.grid.dx),
        ("dy", "down", default.grid.dy),
    ):
        what.add_argument(
            f"--{name}", type=int, nargs=2, default=[grid[0], grid[-1]], metavar=("FIRST", "LAST"),
            help=f"shifts of the evaluation in pixels, > 0 is {direction}, 0 among them "
            f"(default: {grid[0]} {grid[-1]})",
        )  # fmt: skip
    what.add_argument(
        "--bias", nargs="+", type=_bias, metavar="DIGIT:DX,DY",
        help="how the biased model's training images are moved, in pixels "
        f"(default: {' '.join(f'{d}:{dx:+d},{dy}' for d, (dx, dy) in default.bias_rule.items())})",
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
        "--threads", type=_threads, metavar="N",
        help="CPU threads, no more than there are CPUs (default: PyTorch's choice)",
    )  # fmt: skip
    return made


def folder_path(text: str) -> Path:
    """A folder's path as an option gives it, ``~`` the home folder."""
    try:
        return Path(text).expanduser()  # "~/mnist", where the shell has left it as it is
    except RuntimeError as error:  # nobody has that name
        raise argparse.ArgumentTypeError(f"got {text!r}: {error}") from error


def _bias(text: str) -> tuple[int, tuple[int, int]]:
    match = re.fullmatch(r"(\d):([+-]?\d+),([+-]?\d+)", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a digit and its shift in pixels, such as 3:+3,0"
        )
    digit, dx, dy = map(int, match.groups())
    return digit, (dx, dy)


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
