"""The command ``grid``: one test image under every shift, with a checkpoint's answers."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..checks.arguments import is_int
from ..checks.errors import UsageError
from ..data.load import load_mnist
from ..figures.moved_image import draw_shift_figure
from ..models.table import DISPLAY_NAMES
from ..predict.evaluator import predict_shifts
from .grids import grid_of
from .machine import check_isa, check_matplotlib
from .networks import load_checkpoint_model
from .output import check_writable, give


def run(args: argparse.Namespace) -> int:
    """Ask the model about the image, and draw."""
    check_isa()
    model, checkpoint = load_checkpoint_model(args.checkpoint)
    out = Path(f"{checkpoint.model}-{args.index}.png") if args.out is None else args.out
    check_writable({"--json": args.json, "--out": out})
    check_matplotlib()
    _, test = load_mnist(args.data)
    if not 0 <= args.index < len(test):
        raise UsageError(f"argument --index: got {args.index}, expected 0..{len(test) - 1}")
    asked = checkpoint.settings.get("grid")
    grid = grid_of(_shifts("dx", args.dx, asked), _shifts("dy", args.dy, asked))
    image, label = test[args.index]
    try:
        predictions = predict_shifts(model, image[None], grid)[0]
    except ValueError as error:
        _, _, rest = str(error).partition(":")
        raise UsageError(f"argument --dx, --dy:{rest}") from error
    name = DISPLAY_NAMES[checkpoint.model]
    title = f"Test image {args.index} (label {int(label)}), answers of {name}"
    diverged = "Training diverged: the answers mean nothing." if checkpoint.divergence() else ""
    note = f"{checkpoint.note} {diverged}".strip()
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

    def draw() -> None:
        draw_shift_figure(out, image, int(label), predictions, grid, title, note)

    text = f"{title}: right at {n_right} of {len(grid)} shifts"
    give(args.json, value, text, {out: draw})
    return 0


def _shifts(name: str, given: Sequence[int] | None, asked: Any) -> range:
    """The shifts of an option, or those of the checkpoint's run."""
    if given is None:
        given = asked.get(name) if isinstance(asked, Mapping) else None
        if not isinstance(given, list) or len(given) != 2 or not all(map(is_int, given)):
            raise UsageError(f"argument --{name}: got none, and the checkpoint names no shifts")
    first, last = given
    if first > last:
        raise UsageError(
            f"argument --{name}: got {first} {last}, expected the first shift, then the last"
        )
    return range(first, last + 1)
