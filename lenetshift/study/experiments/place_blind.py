"""Claims 1 and 4: is there "no mechanism that recognises a shape wherever it is"?

What is varied: the network, LeNet-5 or one of its layers that cannot read the place
(:func:`lenetshift.study.experiments.networks.place_blind`); the training images, centred or with the report's
position bias. What is measured: accuracy over all patterns, and the share of images that is answered
with the moved digit. What decides: the place-blind network less LeNet-5 in points, centred; and whether
its answers follow the position (:func:`lenetshift.study.experiments.claims.claims`).
"""

from __future__ import annotations

from collections.abc import Sequence

from . import position_bias
from .runs import BIASED, CENTRED, Run, per_seed

NETWORKS = ("lenet5", "place_blind")


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """Both networks, on centred and on biased images."""
    rule = tuple((digit, dx, dy) for digit, (dx, dy) in position_bias.RULE.items())
    settings = [
        Run(
            "place_blind", f"{name}_{training}", 0, name,
            training=training, rule=rule if training == BIASED else (),
        )
        for training in (CENTRED, BIASED) for name in NETWORKS
    ]  # fmt: skip
    return per_seed(seeds, settings)
