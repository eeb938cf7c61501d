"""The second experiment: a LeNet-5 that could tell two digits by their place.

Its training images are moved by a rule, digit -> shift; then it is evaluated on the same moved test
images as the others. What is measured: how often the place decides (``answers_by_position``), and all answers
to four test images (figures 1 to 4).

What the study varies: how far the two digits are moved, 0 to 5 pixels; which digits, or all alike; how many
of their images, and at which learning rate; and the network, from an MLP to LeNet-5 whose dense layers
see no place. What it measures: the share of all test images that is answered with the moved digit, at each
dx, for each true class. What decides: whether the share exceeds one half at the place where the rule put
the digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...models import table as names
from ...shifts import ShiftGrid, ShiftRule
from .criteria import Look, Measures, Part, Quantity, above, looks, not_larger, of
from .drawing import against_dx, legend_above, page, rows_of
from .experiment import Experiment
from .runs import BIASED, GRID, Run, per_seed
from .words import NETWORKS

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

FOLLOWS = "follows"
"""What looks at :func:`follows` call it."""

HALF = 50.0
"""Per cent of images beyond which the position decides the answer more often than all else."""

BIASES = range(0, 6)
"""Pixels that the study moves the digits by; the report's is 3."""

PLACELESS = ("lenet5_global_average_s4", "lenet5_global_average_c5", "lenet5_global_max_c5")
"""LeNet-5 whose dense layers cannot tell places apart."""

SHARES = (0.0, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Of the 3s and 2s that are moved, besides all: how clear a shortcut must be to be taken."""

LEARNING_RATES = (0.01, 0.03, 0.3)
"""Besides the usual one."""

EPOCHS = (1, 2, 5, 10)
"""After which the networks of a claim's part are evaluated; others after 2."""

AT_MORE_EPOCHS = ("lenet5_by_3", "mlp_by_3")

OTHER_PAIRS = ((1, 7), (4, 9), (0, 6))
"""Digits moved right and left as controls, instead of 3 and 2."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """The study's runs: biases, networks, digits."""

    def biased(
        setting: str, network: str, rule: Sequence[tuple[int, int, int]], **more: Any
    ) -> Run:
        run = Run("position_bias", setting, 0, network, training=BIASED, rule=tuple(rule), **more)
        epochs = EPOCHS[:2] if quick else EPOCHS
        return replace(run, epochs=epochs if setting in AT_MORE_EPOCHS else run.epochs)

    biases = (0, 3) if quick else BIASES
    settings = [
        biased(f"{network}_by_{bias}", network, _pair(3, 2, bias))
        for network in ("lenet5", "mlp")
        for bias in biases
    ]
    settings += [biased(f"{name}_by_3", name, _pair(3, 2, 3)) for name in PLACELESS]
    settings += [
        biased(f"lenet5_share{share:g}", "lenet5", RULE_ROWS, share=share)
        for share in (SHARES[1:2] if quick else SHARES)
    ]
    settings += [
        biased(f"lenet5_rate{rate:g}", "lenet5", RULE_ROWS, learning_rate=rate)
        for rate in (LEARNING_RATES[2:] if quick else LEARNING_RATES)
    ]
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

    def smaller_share(measures: Measures, look: Look) -> list[float]:
        found = measures[setting, look.epochs]
        shares = (found[f"answered {digit} at dx={dx}"] for digit, (dx, _) in RULE.items())
        return [min(share) for share in zip(*shares, strict=True)]

    return Quantity(setting, smaller_share)


def draw(value: Mapping[str, Any]) -> Figure:
    """How many images are answered 3, and 2, against dx, by the networks of the report's rule."""
    figure, panels = page(
        "Does the answer follow the position?",
        "share of all test images answered so; trained with 3s moved 3 pixels right, 2s left",
        2,
    )
    rows = rows_of(value, "position_bias")
    networks = {f"{network}_by_3": network for network in ("lenet5", "mlp", *PLACELESS)}
    for axes, digit in zip(panels, RULE, strict=True):
        of = {NETWORKS[network]: rows[setting, 2] for setting, network in networks.items()}
        against_dx(axes, f"answered {digit}", of, f"answered {digit} at ")
    panels[0].set_ylabel("per cent of the images")
    legend_above(figure, panels[0], 3)
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
            looks((2,), FOLLOWS),
            known=True,
        ),
        Part(
            1,
            "not with untidy digits",
            "The lead over the MLP presupposes tidy digits: with position-biased training there is "
            "none.",
            "LeNet-5 less the MLP, both trained on position-biased digits",
            not_larger(of("lenet5_by_3"), of("mlp_by_3")),
            looks((2,), "change", "moved", "kept") + looks((1, 5, 10), "change"),
            known=True,
        ),
    ),
)
