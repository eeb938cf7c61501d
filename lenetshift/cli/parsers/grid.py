"""The options of ``lenetshift grid``."""

from __future__ import annotations

import argparse

from . import (
    FILE,
    USUAL_STATUS,
    a_path,
    add_data,
    add_json,
    completed,
    picture,
)

DESCRIPTION = (
    "Draw one test image under every shift, each with the answer of a checkpoint's model, as the "
    "report's figures 1 to 4 do."
)
EXAMPLE = "grid --checkpoint results/checkpoints/biased_lenet5.pt --index 4017 --out 4017.png"
STATUS = USUAL_STATUS


def add_arguments(made: argparse.ArgumentParser) -> None:
    """Its options."""
    checkpoint = made.add_argument(
        "--checkpoint", type=a_path, required=True, metavar="FILE",
        help="checkpoint of a result folder, such as results/checkpoints/lenet5.pt",
    )  # fmt: skip
    completed(checkpoint, FILE)
    made.add_argument(
        "--index", type=int, required=True, metavar="N", help="which test image, from 0"
    )
    add_data(made)
    out = made.add_argument(
        "--out", type=picture, metavar="FILE",
        help="the figure, .png or .svg (default: MODEL-N.png in this folder)",
    )  # fmt: skip
    completed(out, FILE)
    for name, direction in (("dx", "right"), ("dy", "down")):
        made.add_argument(
            f"--{name}", type=int, nargs=2, metavar=("FIRST", "LAST"),
            help=f"shifts in pixels, > 0 is {direction} (default: those that the checkpoint's run asked "
            "about)",
        )  # fmt: skip
    add_json(made, "image, label and answers")
