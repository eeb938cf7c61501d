"""The second experiment: a LeNet-5 that could tell two digits by their place.

Its training images are moved by a rule, digit -> shift; then it is evaluated on the same moved test
images as the others. What is measured: how often the place decides (``answers_by_position``), and all answers
to four test images (figures 1 to 4).

What the study varies: how far the two digits are moved, 0 to 5 pixels; which digits, or all alike; and
the network, from a perceptron to LeNet-5 whose dense layers see no place. What it measures: the share
of all test images that is answered with the moved digit, at each dx, for each true class. What
decides: whether the share exceeds one half at the place where the rule put the digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...models import table as names
from ...shifts import ShiftGrid, ShiftRule
from .criteria import Measures, Part, Quantity, above
from .drawing import against_dx, page, rows_of
from .experiment import Experiment
from .runs import BIASED, GRID, Run, per_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODEL = names.BIASED
"""The model's name in result files."""

RULE = names.BIAS_RULE

RULE_ROWS = tuple((digit, dx, dy) for digit, (dx, dy) in RULE.items())
"""The same as a :class:`lenetshift.study.experiments.runs.Run` has it."""

FIGURE_INDICES = (4017, 4888, 5392, 8655)
"""The test images (0-based) of the report's figures 1 to 4."""

FIGURES = {"figures 1 and 2": FIGURE_INDICES[:2], "figures 3 and 4": FIGURE_INDICES[2:]}
"""Those that the report saw answered right when unmoved, and those that it saw misread."""

HALF = 50.0
"""Per cent of images beyond which the position decides the answer more often than all else."""

BIASES = range(0, 6)
"""Pixels that the study moves the digits by; the report's is 3."""

PLACELESS = ("lenet5_global_average_s4", "lenet5_global_average_c5", "lenet5_global_max_c5")
"""LeNet-5 whose dense layers cannot tell places apart."""

OTHER_PAIRS = ((1, 7), (4, 9), (0, 6))
"""Digits moved right and left as controls, instead of 3 and 2."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """The study's runs: biases, networks, digits."""

    def biased(setting: str, network: str, rule: Sequence[tuple[int, int, int]]) -> Run:
        return Run("position_bias", setting, 0, network, training=BIASED, rule=tuple(rule))

    biases = (0, 3) if quick else BIASES
    settings = [
        biased(f"{network}_by_{bias}", network, _pair(3, 2, bias))
        for network in ("lenet5", "mlp")
        for bias in biases
    ]
    settings += [biased(f"{name}_by_3", name, _pair(3, 2, 3)) for name in PLACELESS]
    pairs = OTHER_PAIRS[:1] if quick else OTHER_PAIRS
    settings += [biased(f"lenet5_{a}_and_{b}", "lenet5", _pair(a, b, 3)) for a, b in pairs]
    settings.append(biased("lenet5_all_alike", "lenet5", [(digit, 3, 0) for digit in range(10)]))
    return per_seed(seeds, settings)


def _pair(right: int, left: int, bias: int) -> list[tuple[int, int, int]]:
    return [(right, bias, 0), (left, -bias, 0)]


def figures_as_reported(
    predictions: NDArray[np.uint8], labels: NDArray[np.int64], rows: Mapping[int, int]
) -> dict[str, float]:
    """How much of what the report saw in its figures is seen in one position-biased network.

    Args:
        predictions: ``[N, n_dy, n_dx]`` on the report's grid.
        labels: ``[N]``.
        rows: test index -> row of both arrays; a figure is left out unless all of its images are there.

    Returns:
        Per cent. For figures 1 and 2: the patterns, of those moved at least as far as the training digits,
        that are answered by the position, 3 on the right and 2 on the left; none of an image that is
        misread unmoved. For figures 3 and 4: the images that are misread unmoved.
    """
    dy, centre = GRID.index(0, 0)
    shown = {}
    for name, indices in FIGURES.items():
        if not all(index in rows for index in indices):
            continue
        at = [rows[index] for index in indices]
        right = predictions[at, dy, centre] == labels[at]
        if name == "figures 3 and 4":
            shown[name] = 100 * float((~right).mean())
            continue
        follows = []
        for digit, (dx, _) in RULE.items():
            beyond = [x for x in GRID.dx if x * dx > 0 and abs(x) >= abs(dx)]
            columns = [GRID.index(x, 0)[1] for x in beyond]
            follows.append((predictions[at][:, :, columns] == digit).mean((1, 2)))
        shown[name] = 100 * float((np.mean(follows, 0) * right).mean())
    return shown


def answers_by_position(
    predictions: Tensor, rule: ShiftRule, grid: ShiftGrid
) -> list[dict[str, Any]]:
    """How much the answer follows the position: the experiment in one number for each digit.

    Args:
        predictions: uint8 [N, n_dy, n_dx] of the position-biased model on all test images.
        rule: digit -> (dx, dy), how its training images were moved.
        grid: the shifts; a digit whose shift is not in it is left out.

    Returns:
        ``{"digit", "dx", "dy", "fraction"}`` for each digit: the fraction of all test images, whatever
        they show, that is answered ``digit`` when moved by (dx, dy).
    """
    answers = []
    for digit, (dx, dy) in rule.items():
        if dx in grid.dx and dy in grid.dy:
            row, column = grid.index(dx, dy)
            fraction = (predictions[:, row, column] == digit).double().mean().item()
            answers.append({"digit": digit, "dx": dx, "dy": dy, "fraction": fraction})
    return answers


def follows(setting: str) -> Quantity:
    """Per cent of all images answered with the moved digit where the report's rule put it: for each seed
    the smaller of the two digits' shares."""

    def smaller_share(measures: Measures) -> list[float]:
        of = measures[setting, 2]
        shares = (of[f"answered {digit} at dx={dx}"] for digit, (dx, _) in RULE.items())
        return [min(share) for share in zip(*shares, strict=True)]

    return smaller_share


def draw(value: Mapping[str, Any]) -> Figure:
    """How many images are answered 3, and 2, against dx, by the networks of the report's rule."""
    figure, panels = page(
        "Does the answer follow the position?",
        "share of all test images answered so, 3 trained to the right and 2 to the left by 3 pixels",
        2,
    )
    rows = rows_of(value, "position_bias")
    networks = {run.setting: run.network for run in runs([0]) if run.rule == RULE_ROWS}
    for axes, digit in zip(panels, RULE, strict=True):
        of = {network: rows[setting, 2] for setting, network in networks.items()}
        against_dx(axes, f"answered {digit}", of, f"answered {digit} at ")
    panels[0].set_ylabel("per cent of the images")
    panels[0].legend(frameon=False, fontsize=9)
    return figure


EXPERIMENT = Experiment(
    "position_bias",
    runs,
    draw,
    "Share of all test images answered 3, and 2, against dx, for several networks",
    (
        Part(
            4,
            "it is the convolution",
            "The convolutional part alone makes LeNet-5 answer by the position: it still does where the "
            "dense layers see no place.",
            "the same of LeNet-5 with a global maximum after C5",
            above(follows("lenet5_global_max_c5_by_3"), HALF),
        ),
    ),
)
