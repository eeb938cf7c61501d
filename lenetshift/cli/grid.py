"""The command ``grid``: one test image under every shift, with a checkpoint's answers."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..checks.errors import UsageError
from ..models.table import DISPLAY_NAMES
from .options import (
    FILE,
    USUAL_STATUS,
    add_data,
    add_json,
    add_path,
    naming,
    naming_options,
    picture,
    shift_range,
)
from .output import check_writable, give

DESCRIPTION = (
    "Draw one test image under every shift, each with the answer of a checkpoint's model, like the "
    "report's figures 1 to 4."
)
EXAMPLE = "grid --checkpoint results/checkpoints/lenet5.pt \\\n        --index 4017 --out 4017.png"
STATUS = USUAL_STATUS
NEEDS = ("lenetshift.api",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_path(
        parser, "--checkpoint", FILE, required=True, metavar="FILE",
        help="checkpoint in a result folder, such as results/checkpoints/lenet5.pt",
    )  # fmt: skip
    parser.add_argument(
        "--index", type=int, required=True, metavar="N", help="number of the test image, from 0"
    )
    add_data(parser)
    add_path(
        parser, "--out", FILE, type=picture, metavar="FILE",
        help="the figure, .png or .svg (default: MODEL-N.png in this folder)",
    )  # fmt: skip
    for name, direction in (("dx", "right"), ("dy", "down")):
        parser.add_argument(
            f"--{name}", type=int, nargs=2, metavar=("FIRST", "LAST"),
            help=f"shifts in pixels, > 0 is {direction} (default: those of the checkpoint's run)",
        )  # fmt: skip
    add_json(parser, "image, label and answers")


def run(args: argparse.Namespace) -> int:
    """Query the model about the image, and draw."""
    from ..api import ShiftGrid, load_mnist, predict_shifts
    from ..figures.layout import save_figure
    from ..figures.moved_image import shift_figure
    from .machine import check_isa, check_matplotlib
    from .networks.checkpoints import load_checkpoint_model

    check_isa()
    with naming("--checkpoint"):
        model, checkpoint = load_checkpoint_model(args.checkpoint)
    out = Path(f"{checkpoint.model}-{args.index}.png") if args.out is None else args.out
    check_writable({"--json": args.json, "--out": out})
    check_matplotlib()
    with naming(None if args.data is None else "--data"):
        _, test = load_mnist(args.data)
    if not 0 <= args.index < len(test):
        raise UsageError(f"argument --index: got {args.index}, expected 0..{len(test) - 1}")
    image, label = test[args.index]
    asked = checkpoint.settings.get("grid")
    with naming_options():
        grid = ShiftGrid(_shifts("dx", args.dx, asked), _shifts("dy", args.dy, asked))
        predictions = predict_shifts(model, image[None], grid)[0]
    name = DISPLAY_NAMES[checkpoint.model]
    title = f"Test image {args.index} (label {int(label)}), answers of {name}"
    note = checkpoint.caveat()
    n_right = int((predictions == label).sum())
    value = {
        "model": checkpoint.model,
        "index": args.index,
        "label": int(label),
        "grid": {"dx": list(grid.dx), "dy": list(grid.dy)},
        "predictions": predictions.tolist(),
        "right": n_right,
        "figure": str(out),
    }
    text = f"{title}: right at {n_right} of {len(grid)} shifts"

    def draw() -> None:
        save_figure(out, shift_figure(image, int(label), predictions, grid, title, note))

    give(args.json, value, text, {out: draw})
    return 0


def _shifts(name: str, given: Sequence[int] | None, asked: Any) -> range:
    """The shifts of an option, or those of the checkpoint's run."""
    if given is None:
        given = asked.get(name) if isinstance(asked, Mapping) else None
        if not isinstance(given, list) or [type(shift) for shift in given] != [int, int]:
            raise UsageError(f"argument --{name}: got none, and the checkpoint names no shifts")
    return shift_range(f"--{name}", given)
