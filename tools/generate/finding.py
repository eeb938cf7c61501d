"""Draws docs/finding.png, the README's picture: ``python tools/generate/finding.py RESULTS``.

RESULTS is the folder of a finished ``python -m lenetshift.reproduce``. It shows one test image moved left
and right, the answer of each model, and the share of all test images that the model reads correctly under
that shift.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from lenetshift import ShiftGrid, load_mnist
from lenetshift.figures.layout import RIGHT, WRONG
from lenetshift.figures.matplotlib_settings import figure_settings, import_matplotlib
from lenetshift.models.table import DISPLAY_NAMES
from lenetshift.ops import translate  # noqa: F401  registers the op
from lenetshift.reproduce.results import read_results

PICTURE = Path(__file__).parents[2] / "docs" / "finding.png"
INDEX = 1580
"""A test image that is typical for every model."""


def draw(results: Path, index: int = INDEX) -> None:
    """Write the picture for one test image."""
    import torch
    from matplotlib.figure import Figure

    models = read_results(results)["models"]
    names = [name for name in DISPLAY_NAMES if name in models and name != "biased_lenet5"]
    archive = np.load(results / "predictions.npz")
    test, grid = load_mnist()[1], ShiftGrid()
    labels, row = test.labels.numpy(), grid.index(0, 0)[0]
    shifts = torch.tensor([(dx, 0) for dx in grid.dx])
    moved = torch.ops.lenetshift.translate(test.images[index : index + 1], shifts)[0].numpy()
    figure = Figure(figsize=(10, 4.2))
    width, left = 0.0735, 0.185
    for column, dx in enumerate(grid.dx):
        x = left + column * width
        axes = figure.add_axes((x, 0.74, width * 0.92, 0.92 * width * 10 / 4.2))
        axes.imshow(moved[column], cmap="gray_r", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
        title = "unmoved" if dx == 0 else f"{dx:+d} px"
        axes.set_title(title, size=10, weight="bold" if dx == 0 else "normal")
    table = figure.add_axes((left, 0.08, 11 * width, 0.62))
    table.set(xlim=(0, 11), ylim=(len(names), 0))
    table.axis("off")
    for line, name in enumerate(names):
        answers = archive[name][:, row]  # [N, n_dx]
        figure.text(
            left - 0.008, 0.7 - 0.62 * (line + 0.5) / len(names),
            re.sub(r"^Model \d ", "", DISPLAY_NAMES[name]), ha="right", va="center",
        )  # fmt: skip
        for column in range(len(grid.dx)):
            answer, label = int(answers[index, column]), int(labels[index])
            share = float((answers[:, column] == labels).mean())
            right = answer == label
            table.add_patch(_cell(column, line, RIGHT if right else WRONG, 0.16 if right else 0.28))
            mark = f"{answer}" if right else f"{answer} ✗"
            table.text(
                column + 0.46, line + 0.36, mark, ha="center", va="center", size=14,
                color=RIGHT if right else WRONG, weight="bold",
            )  # fmt: skip
            table.text(column + 0.46, line + 0.74, f"{share:.0%}", ha="center", va="center", size=9)
    figure.text(
        left, 0.02,
        "large: the answer to this digit, ✗ where wrong; small: how many of all 10,000 test images "
        "are read right when moved so",
        size=9,
    )  # fmt: skip
    figure.savefig(PICTURE, dpi=150)


def _cell(column: int, line: int, colour: str, alpha: float) -> object:
    from matplotlib.patches import Rectangle

    return Rectangle((column, line + 0.04), 0.92, 0.92, fc=colour, alpha=alpha, ec="none")


if __name__ == "__main__":
    import_matplotlib()
    with figure_settings():
        draw(Path(sys.argv[1]), *map(int, sys.argv[2:]))
