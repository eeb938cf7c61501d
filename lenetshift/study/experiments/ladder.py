"""Claim 4: does no network of a convolutional network's layers answer alike wherever the digit is?

What is varied: one thing at a time on the way from LeNet-5 to one whose answers hardly depend on the place
(:data:`lenetshift.study.experiments.networks.LADDER`): the black border around the digit, a global maximum
before the dense layers or none, the pooling, zero or circular padding; the training images, centred or with
the report's position bias. What is measured: accuracy over all patterns, and the share of images that is
answered with the moved digit. What decides: the last network less LeNet-5 in points, centred. Such a
network's robustness is built in; it is not learnt, and says nothing of whether a network recognises a shape.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .criteria import ROBUSTNESS, Part, looks, not_larger, of
from .drawing import COLOURS, MARKS, bar, name_lines, page, rows_of
from .experiment import Experiment
from .networks import BESIDE_LADDER, LADDER
from .position_bias import RULE, RULE_ROWS
from .runs import BIASED, CENTRED, Run, per_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


WITH_CENTRED = ("lenet5", "place_blind")
"""The networks that are trained on centred digits, too."""

N_SEEDS = 3
"""Seeds of the networks between these two, which decide nothing."""

NUMBERS = {name: number for number, name in enumerate((*LADDER, *BESIDE_LADDER))}
"""Network -> its number in figure and tables."""

STEPS: dict[str, str] = {
    **LADDER,
    **{name: f"from {NUMBERS[of]}: {what}" for name, (of, what) in BESIDE_LADDER.items()},
}
"""Network -> what differs from the one before, or from the one with another number."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """Each network on biased images, the two ends on centred ones, too; a quick look at the two ends."""
    found = []
    for name in STEPS:
        ends = name in WITH_CENTRED
        of = [
            Run(
                "ladder", f"{name}_{training}", 0, name,
                training=training, rule=RULE_ROWS if training == BIASED else (),
            )
            for training in ((CENTRED, BIASED) if ends else (BIASED,))
        ]  # fmt: skip
        if ends or not quick:
            found += per_seed(seeds if ends else seeds[:N_SEEDS], of)
    return found


def draw(value: Mapping[str, Any]) -> Figure:
    """How many images each network reads, and answers by the place, after biased training."""
    rows = rows_of(value, "ladder")
    names = [name for name in STEPS if (f"{name}_{BIASED}", 2) in rows]
    figure, panels = page(
        "From LeNet-5, step by step, to a network with robustness built in",
        "trained on position-biased digits, after 2 epochs; means and 95 % intervals over seeds, cut at 0 "
        "and 100",
        2,
        2.6 + 0.5 * len(names),
        names=4.5,
        panel_width=3.9,
    )
    by_place = {
        f"answered {d} at dx={dx}": f"answered {d} at {dx:+d}" for d, (dx, _) in RULE.items()
    }
    for axes, columns in zip(
        panels, ({"unmoved": "unmoved", "moved": "moved"}, by_place), strict=True
    ):
        for number, (measure, label) in enumerate(columns.items()):
            for line, name in enumerate(names):
                row = rows[f"{name}_{BIASED}", 2][measure]
                bar(axes, row["interval"], line, color=COLOURS[number], linewidth=2)
                shown = label if line == 0 else None
                axes.plot(row["mean"], line, MARKS[number], color=COLOURS[number], label=shown)
        axes.set_xlim(-2, 102)
        axes.set_xlabel("per cent of the images")
        axes.legend(frameon=False, fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    panels[0].set_title("read right", size=11, pad=28)
    panels[1].set_title("answered by the place", size=11, pad=28)
    shown_names = [f"{NUMBERS[name]}  {textwrap.fill(STEPS[name], 46)}" for name in names]
    name_lines(panels[0], shown_names)
    figure.subplots_adjust(top=1 - 1.5 / figure.get_figheight())
    return figure


EXPERIMENT = Experiment(
    "ladder",
    runs,
    draw,
    "Accuracy, and share of images answered by the place, for each network from LeNet-5 to one with "
    "robustness built in",
    (
        Part(
            4,
            "no such network is robust",
            "No network of convolutions, poolings and dense layers answers alike wherever the digit is.",
            "trained on centred digits: the last network of the ladder less LeNet-5",
            not_larger(of("place_blind_centred"), of("lenet5_centred")),
            looks((2,), *ROBUSTNESS),
            known=True,
        ),
    ),
)
