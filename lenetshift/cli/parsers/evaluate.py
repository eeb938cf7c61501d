"""The options of ``lenetshift evaluate``."""

from __future__ import annotations

import argparse
import math

from ..words import DX, DY, EVALUATION_METHODS
from . import (
    FILE,
    USUAL_STATUS,
    a_path,
    add_data,
    add_device,
    add_json,
    add_threads,
    completed,
    picture,
)

DESCRIPTION = (
    "Ask a network about the test images of a data set under every shift of a grid, and say how far "
    "its answers can be relied on: accuracy, worst case, flips, consistency, each with an interval "
    "over images."
    "\n\n"
    "The file of --model is Python code of yours, and is executed. Files of weights never are: they "
    "are read as safetensors where the name ends so, else by torch.load(weights_only=True)."
)
EXAMPLE = (
    "evaluate --model net.py:Net --weights net.safetensors --mean 0.1307 --std 0.3081 \\\n"
    "        --dx -6 6 2 --dy -2 2 --json result.json --plot accuracy.png"
)
STATUS = USUAL_STATUS


def add_arguments(made: argparse.ArgumentParser) -> None:
    """Its options."""
    network = made.add_argument_group("the network (one of --model and --checkpoint)")
    which = network.add_mutually_exclusive_group(required=True)
    model = which.add_argument(
        "--model", type=_model, metavar="FILE.py:NAME",
        help="a class of torch.nn.Module that takes no arguments, a function without arguments that "
        "returns a module, or a module itself; takes [B, 1, 28, 28], gives logits [B, K]",
    )  # fmt: skip
    checkpoint = which.add_argument(
        "--checkpoint", type=a_path, metavar="FILE",
        help="checkpoint of a result folder, such as results/checkpoints/lenet5.pt",
    )  # fmt: skip
    weights = network.add_argument(
        "--weights", type=a_path, metavar="FILE",
        help="the state dict for --model, or a file that has one as state_dict (default: the weights "
        "that the module is made with)",
    )  # fmt: skip
    for option in (model, checkpoint, weights):
        completed(option, FILE)
    asked = made.add_argument_group("what it is asked")
    add_data(asked, "; the test images are taken")
    asked.add_argument(
        "--images", type=int, metavar="N",
        help="only so many test images, drawn evenly over the set (default: all)",
    )  # fmt: skip
    for name, direction, (first, last) in (("dx", "right", DX), ("dy", "down", DY)):
        asked.add_argument(
            f"--{name}", type=int, nargs="+", default=[first, last], metavar="PIXELS",
            help=f"first and last shift, and the step between them (1), > 0 is {direction} "
            f"(default: {first} {last})",
        )  # fmt: skip
    asked.add_argument(
        "--fill", type=_fill, nargs="+", default=[0.0], metavar="X",
        help="what comes in where the image leaves, 0..255, or circular: what left on the other side "
        "(default: 0)",
    )  # fmt: skip
    asked.add_argument(
        "--crop", type=int, nargs=2, metavar=("H", "W"),
        help="the network sees the middle of the image only, which moves behind it",
    )  # fmt: skip
    asked.add_argument(
        "--mean", type=_number, nargs="+", metavar="X",
        help="with --std: pixels in 0..1 become (pixel - mean) / std before the network",
    )  # fmt: skip
    asked.add_argument("--std", type=_number, nargs="+", metavar="X", help="with --mean")
    how = made.add_argument_group("how")
    how.add_argument(
        "--method", choices=EVALUATION_METHODS, default=EVALUATION_METHODS[0],
        help="auto, or the only way that is to be taken: the op of a model of this package, features "
        "that the shifts share, or pattern by pattern",
    )  # fmt: skip
    how.add_argument(
        "--batch-size", type=int, metavar="N",
        help="patterns a forward pass, of plain (default: by their size)",
    )  # fmt: skip
    how.add_argument(
        "--scores", action="store_true",
        help="keep the logits, for the metric score change: 4 bytes for each class and pattern",
    )  # fmt: skip
    add_device(how)
    add_threads(how)
    how.add_argument("--no-progress", action="store_true", help="no bar, also on a terminal")
    said = made.add_argument_group("what is said")
    said.add_argument(
        "--level", type=_number, default=0.95, metavar="X",
        help="of confidence, of the intervals",
    )  # fmt: skip
    said.add_argument("--no-intervals", action="store_true", help="none of them")
    add_json(said, "all results, with the accuracy at every shift and for each class,")
    plot = said.add_argument(
        "--plot",
        type=picture,
        metavar="FILE",
        help="draw the accuracy at every shift, .png or .svg",
    )
    completed(plot, FILE)


def _model(text: str) -> tuple[str, str]:
    file, colon, name = text.rpartition(":")
    if not colon or not file or not name.isidentifier():
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a file and a name in it, such as net.py:Net"
        )
    return str(a_path(file)), name


def _fill(text: str) -> float | str:
    return text if text == "circular" else _number(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a finite number")
    return number
