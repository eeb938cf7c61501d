"""The options of ``lenetshift reproduce`` and ``python -m lenetshift.reproduce``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from ...models.table import BIASED
from ...reproduce.defaults import QUICK_TEST, QUICK_TRAIN
from ..words import (
    ACTIVATIONS,
    BATCH_SIZE,
    BIAS_RULE,
    DX,
    DY,
    EPOCHS,
    LEARNING_RATE,
    MODELS,
    SEED,
    TRAINING_METHODS,
)
from . import (
    FOLDER,
    USUAL_STATUS,
    a_path,
    add_data,
    add_device,
    add_threads,
    completed,
    names_of,
)

DESCRIPTION = (
    "Train the report's four models and the position-biased LeNet-5, let them answer every test "
    "image under every shift, print Table 1 beside the report's, and write table, figures, "
    "predictions and checkpoints into a folder."
)
EXAMPLE = "reproduce --quick --out results"
STATUS = USUAL_STATUS
INTERRUPTED = "interrupted: the same command with --resume goes on from what is in {out}"


def add_arguments(made: argparse.ArgumentParser) -> None:
    """Its options."""
    files = made.add_argument_group("files")
    out = files.add_argument(
        "--out", type=a_path, default=Path("results"), metavar="DIR",
        help="folder for the results; the files of an earlier run in it are replaced",
    )  # fmt: skip
    completed(out, FOLDER)
    add_data(files, "; a figure whose test image the data lack is left out")
    files.add_argument(
        "--resume", action="store_true",
        help="keep the finished epochs and models in --out, made with the same options, and go on",
    )  # fmt: skip
    files.add_argument(
        "--no-page", dest="page", action="store_false",
        help="write no report.html (default: it is written)",
    )  # fmt: skip
    study = files.add_argument(
        "--study", type=a_path, metavar="DIR",
        help="dossier of python -m lenetshift.study, of the same data: report.html shows its "
        "intervals and verdicts beside this run",
    )  # fmt: skip
    completed(study, FOLDER)
    what = made.add_argument_group("what to do")
    what.add_argument(
        "--models", nargs="+", type=_names, default=[MODELS], metavar="NAME",
        help=f"some of {', '.join(MODELS)}, separated by spaces or commas; figures need "
        f"{BIASED} (default: all)",
    )  # fmt: skip
    what.add_argument(
        "--quick", action="store_true",
        help=f"only {QUICK_TRAIN:,} training and {QUICK_TEST:,} test images, drawn evenly over "
        "their sets: shows that all works, and says in every file that it is a subset",
    )  # fmt: skip
    for name, direction, shifts in (
        ("dx", "right", DX),
        ("dy", "down", DY),
    ):
        what.add_argument(
            f"--{name}", type=int, nargs=2, default=[shifts[0], shifts[-1]], metavar=("FIRST", "LAST"),
            help=f"shifts of the evaluation in pixels, > 0 is {direction}, 0 among them "
            f"(default: {shifts[0]} {shifts[-1]})",
        )  # fmt: skip
    what.add_argument(
        "--bias", nargs="+", type=_bias, metavar="DIGIT:DX,DY",
        help="how the biased model's training images are moved, in pixels "
        f"(default: {' '.join(f'{d}:{dx:+d},{dy}' for d, (dx, dy) in BIAS_RULE.items())})",
    )  # fmt: skip
    training = made.add_argument_group("training (the same for all models)")
    training.add_argument(
        "--seed", type=int, default=SEED, metavar="N",
        help="of the initial weights and the order of the images",
    )  # fmt: skip
    training.add_argument(
        "--epochs", type=int, default=EPOCHS, metavar="N",
        help="passes over the training images",
    )  # fmt: skip
    training.add_argument(
        "--learning-rate", type=float, default=LEARNING_RATE, metavar="X",
        help="of plain stochastic gradient descent",
    )  # fmt: skip
    training.add_argument(
        "--batch-size", type=int, default=BATCH_SIZE, metavar="N", help="images per step"
    )
    training.add_argument(
        "--activation", choices=ACTIVATIONS, default=ACTIVATIONS[0],
        help="between the layers",
    )  # fmt: skip
    training.add_argument(
        "--method", choices=TRAINING_METHODS, default=TRAINING_METHODS[0],
        help="fused: one op call per epoch; autograd: the plain PyTorch loop",
    )  # fmt: skip
    machine = made.add_argument_group("machine")
    add_device(machine)
    add_threads(machine)


def _bias(text: str) -> tuple[int, tuple[int, int]]:
    match = re.fullmatch(r"(\d):([+-]?\d+),([+-]?\d+)", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a digit and its shift in pixels, such as 3:+3,0"
        )
    digit, dx, dy = map(int, match.groups())
    return digit, (dx, dy)


def _names(text: str) -> tuple[str, ...]:
    return names_of(MODELS, text)
