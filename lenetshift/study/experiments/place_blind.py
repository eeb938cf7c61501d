"""Claims 1 and 4: is there "no mechanism that recognises a shape wherever it is"?

What is varied: the network, LeNet-5 or a network of the same layers that cannot read the place
(:func:`lenetshift.study.experiments.networks.place_blind`); the training images, centred or with the report's
position bias. What is measured: accuracy over all patterns, and the share of images that is answered
with the moved digit. What decides: the place-blind network less LeNet-5 in points, centred.
"""

from __future__ import annotations

from collections.abc import Sequence

from .criteria import Part, measured, not_larger
from .drawing import dots, rows_of
from .experiment import Experiment
from .position_bias import RULE_ROWS
from .runs import BIASED, CENTRED, Run, per_seed

NETWORKS = ("lenet5", "place_blind")


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """Both networks, on centred and on biased images."""
    settings = [
        Run(
            "place_blind", f"{name}_{training}", 0, name,
            training=training, rule=RULE_ROWS if training == BIASED else (),
        )
        for training in (CENTRED, BIASED) for name in NETWORKS
    ]  # fmt: skip
    return per_seed(seeds, settings)


EXPERIMENT = Experiment(
    "place_blind",
    runs,
    lambda value: dots("A network that cannot read the place", rows_of(value, "place_blind")),
    "Accuracy unmoved and moved of LeNet-5 and of a network that cannot read the place",
    (
        Part(
            4,
            "no shape wherever it is",
            "A convolutional network has no mechanism that recognises a shape wherever it is.",
            "accuracy over all patterns, trained on centred digits: the place-blind network less "
            "LeNet-5, after 2 epochs",
            not_larger(measured("place_blind_centred"), measured("lenet5_centred")),
        ),
    ),
)
