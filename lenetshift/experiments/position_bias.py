"""The second experiment: a LeNet-5 that could tell two digits from their place.

Its training images are moved by a rule, digit -> shift; then it answers the same moved test images
as the others. Measured: how often the place decides (``answers_by_position``), and all answers to
four test images (figures 1 to 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..shifts import ShiftGrid, ShiftRule

MODEL = "biased_lenet5"
"""The model's name in result files."""

ARCHITECTURE = "lenet5"
"""What it is, as ``build_model`` knows it."""

RULE: Mapping[int, tuple[int, int]] = {3: (3, 0), 2: (-3, 0)}
"""The report's rule: every 3 by 3 pixels to the right, every 2 by 3 to the left."""

FIGURE_INDICES = (4017, 4888, 5392, 8655)
"""The test images (0-based) of the report's figures 1 to 4."""


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
