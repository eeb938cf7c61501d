"""Claim 2: does pooling by itself give robustness to movement?

What is varied: in a perceptron, how many pixels along each axis become one (1, 2, 4, 7), and how: their
mean, their largest, the first; in LeNet-5, how S2 and S4 halve the maps: mean, first pixel (the same
size without averaging), largest, BlurPool, max-BlurPool. What is measured: accuracy unmoved and over
all patterns. What decides: the pooled network less the one that pools nothing, or only subsamples, in
points. The report's remark that "1/6 would do" is not tested by any of these.
"""

from __future__ import annotations

from collections.abc import Sequence

from .criteria import UNTESTED, Part, measured, not_larger
from .drawing import dots, rows_of
from .experiment import Experiment
from .networks import MLP_FOLDS, MLP_POOLINGS, POOLINGS
from .runs import Run, per_seed


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """The report's own networks, trained fused, where they are among these."""
    own = {"mlp_average_4": "pooled_mlp", "lenet5_average": "lenet5"}
    names = [f"mlp_{pool}_{k}" for pool in MLP_POOLINGS for k in MLP_FOLDS[1:]]
    names += [f"lenet5_{pool}" for pool in POOLINGS]
    settings = [Run("pooling", name, 0, own.get(name, name)) for name in names]
    return per_seed(seeds, [Run("pooling", "mlp", 0, "mlp"), *settings])


EXPERIMENT = Experiment(
    "pooling",
    runs,
    lambda value: dots("Pooling", rows_of(value, "pooling")),
    "Accuracy unmoved and moved for each kind of pooling",
    (
        *(
            Part(
                2,
                f"perceptron, {k}-fold",
                f"A perceptron behind {k}-fold average pooling is no more robust than one without.",
                f"accuracy over all patterns: {k}-fold average pooling less none, after 2 epochs",
                not_larger(measured(f"mlp_average_{k}"), measured("mlp")),
            )
            for k in (2, 7)
        ),
        Part(
            2,
            "LeNet-5",
            "LeNet-5's average pooling gives nothing that mere subsampling does not.",
            "accuracy over all patterns: LeNet-5 with average pooling less with subsampling, after 2 "
            "epochs",
            not_larger(measured("lenet5_average"), measured("lenet5_subsampling")),
        ),
        Part(
            2,
            "a sixth would do",
            "Pooling to a sixth of the nodes would lose nothing that matters.",
            "none: no experiment here tests it",
            UNTESTED,
        ),
    ),
)
