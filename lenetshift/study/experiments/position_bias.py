"""The second experiment: a LeNet-5 that could tell two digits from their place.

Its training images are moved by a rule, digit -> shift; then it answers the same moved test images
as the others. Measured: how often the place decides (``answers_by_position``), and all answers to
four test images (figures 1 to 4).

What the study varies: how far the two digits are moved, 0 to 5 pixels; which digits, or all alike; and
the network, from a perceptron to LeNet-5 whose dense layers see no place. What it measures: the share
of all test images that is answered with the moved digit, at each dx, for each true class. What
decides: whether the share exceeds a half where the rule put the digit
(:func:`lenetshift.study.experiments.claims.claims`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...models import table as names
from ...shifts import ShiftGrid, ShiftRule
from .runs import BIASED, Run, per_seed

MODEL = names.BIASED
"""The model's name in result files."""

ARCHITECTURE = names.BY_NAME[MODEL].architecture
"""What it is, as ``build_model`` knows it."""

RULE = names.BIAS_RULE

FIGURE_INDICES = (4017, 4888, 5392, 8655)
"""The test images (0-based) of the report's figures 1 to 4."""

FIGURES = {"figures 1 and 2": FIGURE_INDICES[:2], "figures 3 and 4": FIGURE_INDICES[2:]}
"""Those whose unmoved image the report saw answered right, and misread."""

BIASES = range(0, 6)
"""Pixels that the study moves the digits by; the report's is 3."""

PLACELESS = ("lenet5_global_average_s4", "lenet5_global_average_c5", "lenet5_global_max_c5")
"""LeNet-5 whose dense layers cannot tell places apart."""

OTHER_PAIRS = ((1, 7), (4, 9), (0, 6))
"""Digits moved right and left as controls, in the place of 3 and 2."""


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
    """How much of what the report saw in its figures one position-biased network shows.

    Args:
        predictions: ``[N, n_dy, n_dx]`` on the report's grid.
        labels: ``[N]``.
        rows: test index -> row of both; without all of a figure's images it is left out.

    Returns:
        Per cent. Of figures 1 and 2: patterns moved at least as far as the training digits that are
        answered by the position, 3 on the right and 2 on the left; none of an image that is misread
        unmoved. Of figures 3 and 4: images misread unmoved.
    """
    grid = ShiftGrid()
    dy, centre = grid.index(0, 0)
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
            beyond = [x for x in grid.dx if x * dx > 0 and abs(x) >= abs(dx)]
            columns = [grid.index(x, 0)[1] for x in beyond]
            follows.append((predictions[at][:, :, columns] == digit).mean((1, 2)))
        shown[name] = 100 * float((np.mean(follows, 0) * right).mean())
    return shown


def answers_by_position(
    predictions: Tensor, rule: ShiftRule, grid: ShiftGrid
) -> list[dict[str, Any]]:
    """How far the answer follows the position: the experiment in one number per digit.

    Args:
        predictions: uint8 [N, n_dy, n_dx] of the position-biased model on all test images.
        rule: digit -> (dx, dy), how its training images were moved.
        grid: the shifts; a rule's shift that it lacks is left out.

    Returns:
        One ``{"digit", "dx", "dy", "fraction"}`` each: the fraction of all test images, whatever
        they show, that is answered ``digit`` when moved by (dx, dy).
    """
    answers = []
    for digit, (dx, dy) in rule.items():
        if dx in grid.dx and dy in grid.dy:
            row, column = grid.index(dx, dy)
            fraction = (predictions[:, row, column] == digit).double().mean().item()
            answers.append({"digit": digit, "dx": dx, "dy": dy, "fraction": fraction})
    return answers
