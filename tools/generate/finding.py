"""Draws docs/finding.png, the README's picture: ``python tools/generate/finding.py RESULTS``.

RESULTS is the folder of a finished ``python -m lenetshift.reproduce``. The picture tells what the first
screen of its page does: one test image moved left and right, what each network answers, and why: LeNet-5's
maps move with the digit, its C5 changes, the largest values of the place-blind network's maps stay.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lenetshift import ShiftGrid, load_mnist
from lenetshift.figures.layout import RIGHT, WRONG
from lenetshift.figures.matplotlib_settings import figure_settings, import_matplotlib
from lenetshift.models.build import build_model
from lenetshift.page.first_picture import MODELS
from lenetshift.page.mended import MENDED, accuracies, mended_network
from lenetshift.page.texts import SHORT_NAMES
from lenetshift.reference import translate
from lenetshift.reproduce.checkpoints import checkpoint_path, read_checkpoint
from lenetshift.reproduce.results import read_results

PICTURE = Path(__file__).parents[2] / "docs" / "finding.png"
INDEX = 109
"""The test image that the page of the default settings shows first: typical for every network."""

PLACES = (-5, 0, 5)
"""Where LeNet-5's layers are drawn."""

SHOWN = {"c1": 2, "s2": 2, "c3": 6, "s4": 6}
"""Layer -> the map that is drawn."""

POSITIVE, NEGATIVE, CHANGED = "#ffe996", "#967dff", "#e8590c"
WIDTH, HEIGHT = 10.0, 6.9  # inches
UNITS_ACROSS = 12


def draw(results: Path, index: int = INDEX) -> None:
    """Write the picture for one test image."""
    from matplotlib.figure import Figure

    test, grid = load_mnist()[1], ShiftGrid()
    label = int(test.labels[index])
    moved = translate(test.images[[index]], torch.tensor([(dx, 0) for dx in grid.dx]))[0]
    figure = Figure(figsize=(WIDTH, HEIGHT))
    _draw_answers(figure, _networks(results, index, moved), moved.numpy(), label, grid)
    _draw_layers(figure, results, moved[[grid.dx.index(dx) for dx in PLACES]])
    figure.savefig(PICTURE, dpi=150)


def _networks(results: Path, index: int, moved: Tensor) -> list[tuple[str, str, list[int], float]]:
    """Group, name, answers along the slide, and accuracy over all moved images."""
    models = read_results(results)["models"]
    archive, row = np.load(results / "predictions.npz"), ShiftGrid().index(0, 0)[0]
    found = [
        ("The report's networks", SHORT_NAMES[name], archive[name][index, row].tolist(),
         models[name]["moved"]["accuracy"])
        for name in MODELS
    ]  # fmt: skip
    for item in MENDED:
        with torch.no_grad():
            answers = mended_network(item.name)(moved[:, None] / 255).argmax(1).tolist()
        found.append(("What mends it", item.short, answers, accuracies()[item.name]["moved"]))
    return found


def _draw_answers(
    figure: Any,
    networks: list[tuple[str, str, list[int], float]],
    moved: NDArray[np.uint8],
    label: int,
    grid: ShiftGrid,
) -> None:
    """The upper half: the digit at each place, and a line of answers for each network."""
    left, width, top, line = 0.235, 0.0605, 0.87, 0.06
    for column, dx in enumerate(grid.dx):
        axes = figure.add_axes(
            (left + column * width, top, width * 0.92, 0.92 * width * WIDTH / HEIGHT)
        )
        axes.imshow(moved[column], cmap="gray", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
        title = "unmoved" if dx == 0 else f"{dx:+d} px".replace("-", "\N{MINUS SIGN}")
        axes.set_title(title, size=8, weight="bold" if dx == 0 else "normal")
    right_edge = 0.985
    figure.text(right_edge, top + 0.01, "right, all\n55 shifts", ha="right", va="bottom", size=9)
    y, group = top - 0.012, ""
    for of, name, answers, share in networks:
        if of != group:
            figure.text(0.015, y - 0.014, of, va="center", size=9, weight="bold", color="#555")
            y, group = y - 0.032, of
        figure.text(left - 0.012, y - line / 2, name, ha="right", va="center", size=11)
        for column, answer in enumerate(answers):
            box = (left + column * width, y - 0.94 * line, width * 0.92, line * 0.88)
            axes = figure.add_axes(box)
            _draw_answer(axes, answer, answer == label)
        figure.text(
            right_edge,
            y - line / 2,
            f"{share:.0%}",
            ha="right",
            va="center",
            size=11,
            weight="bold",
        )
        y -= line


def _draw_answer(axes: Any, answer: int, is_right: bool) -> None:
    """A disc for a right answer, a dashed square for a wrong one."""
    from matplotlib.patches import Ellipse, Rectangle

    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    if is_right:
        axes.add_patch(Ellipse((0.5, 0.5), 0.62, 0.96, fc=RIGHT, ec="none"))
    else:
        axes.add_patch(
            Rectangle((0.19, 0.05), 0.62, 0.9, fc="#fdf1e8", ec=WRONG, lw=1.2, linestyle="--")
        )
    axes.text(
        0.5, 0.47, str(answer), ha="center", va="center", size=11,
        color="white" if is_right else "#1d1d1b", weight="bold",
    )  # fmt: skip


@torch.no_grad()
def _layers(results: Path, images: Tensor) -> dict[str, Tensor]:
    """LeNet-5's maps less what black gives, its C5, and the place-blind network's."""
    checkpoint = read_checkpoint(checkpoint_path(results, "lenet5"))
    model = build_model("lenet5", checkpoint.settings["activation"])
    model.load_state_dict(checkpoint.state_dict)
    black = torch.zeros(1, 28, 28)
    x = torch.cat([images / 255, black])[:, None]
    found = {"c1": model.c1(x).tanh()}
    found["s2"] = F.avg_pool2d(found["c1"], 2)
    found["c3"] = model.c3(found["s2"]).tanh()
    found["s4"] = F.avg_pool2d(found["c3"], 2)
    maps = {name: values[:-1] - values[-1:] for name, values in found.items()}
    c5 = model.c5(found["s4"].flatten(1)).tanh()[:-1]
    blind = mended_network("place_blind")[:9](x[:-1])
    return {**maps, "c5": c5, "blind": blind}


def _draw_layers(figure: Any, results: Path, images: Tensor) -> None:
    """The lower half: a line for each place."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("signed", [NEGATIVE, "#0e0e0e", POSITIVE])
    layers = _layers(results, images)
    centre = PLACES.index(0)
    side, gap, top = 0.078, 0.012, 0.41
    height = side * WIDTH / HEIGHT
    for x, claim in (
        (0.115, "The maps move with the digit."),
        (0.575, "The layer after\nthem does not."),
        (0.785, "Each map's largest\nvalue stays."),
    ):
        figure.text(x, 0.42, claim, size=13, weight="bold", family="serif", va="bottom")
    for line, dx in enumerate(PLACES):
        y = top - (line + 1) * (height + gap) + gap
        name = "unmoved" if dx == 0 else f"{dx:+d} px".replace("-", "\N{MINUS SIGN}")
        figure.text(0.1, y + height / 2, name, ha="right", va="center", size=10)
        pictures = [images[line] / 255, *(layers[name][line, k] for name, k in SHOWN.items())]
        for column, picture in enumerate(pictures):
            axes = figure.add_axes((0.115 + column * (side + 0.011), y, side, height))
            most = float(picture.abs().max())
            cmap = "gray" if column == 0 else colours
            low = 0 if column == 0 else -most
            axes.imshow(picture, cmap=cmap, vmin=low, vmax=most)
            axes.set(xticks=[], yticks=[])
            if line == len(PLACES) - 1:
                title = ("image", *(layer.upper() for layer in SHOWN))[column]
                axes.set_xlabel(title, size=9)
        for name, x in (("c5", 0.575), ("blind", 0.785)):
            axes = figure.add_axes((x, y, side * 1.25, height))
            _draw_units(axes, layers[name][line], layers[name][centre], colours)
            if line == len(PLACES) - 1:
                axes.set_xlabel("C5" if name == "c5" else "place-blind network", size=9)
            n = int(((layers[name][line] > 0) != (layers[name][centre] > 0)).sum())
            if line != centre:
                figure.text(
                    x + side * 1.25 + 0.008,
                    y + height / 2,
                    f"{n} of 120\nchanged",
                    va="center",
                    size=9,
                )


def _draw_units(axes: Any, values: Tensor, before: Tensor, colours: Any) -> None:
    from matplotlib.patches import Rectangle

    axes.imshow(values.reshape(-1, UNITS_ACROSS), cmap=colours, vmin=-1, vmax=1, aspect="auto")
    axes.set(xticks=[], yticks=[])
    for i in ((values > 0) != (before > 0)).nonzero().flatten().tolist():
        corner = (i % UNITS_ACROSS - 0.5, i // UNITS_ACROSS - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fc="none", ec=CHANGED, lw=1.6))


if __name__ == "__main__":
    import_matplotlib()
    with figure_settings():
        draw(Path(sys.argv[1]), *map(int, sys.argv[2:]))
