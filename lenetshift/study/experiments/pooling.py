"""Claim 2: does pooling by itself give robustness to movement, and would a sixth of the nodes do?

What is varied: in an MLP, how many pixels along each axis become one (1, 2, 4, 7), and how: their mean,
their largest, the first; in LeNet-5, how S2 and S4 halve the maps: mean, first pixel (the same size without
averaging), largest, BlurPool, max-BlurPool; and how many units a side S2 has: 14, 12, 11 (a sixth of C1's
nodes) or 7. What is measured: accuracy unmoved and over all patterns. What decides: the pooled network less
the one that pools nothing, or only subsamples, or pools less, in points.
"""

from __future__ import annotations

from collections.abc import Sequence

from .criteria import ROBUSTNESS, Part, looks, not_larger, of
from .drawing import dots, rows_of
from .experiment import Experiment
from .networks import MLP_FOLDS, MLP_POOLINGS, POOLINGS
from .runs import Run, per_seed

EPOCHS = (2, 5)
"""After which the networks of the claim's parts are evaluated; the others after the first."""

S2_SIDES = (12, 11, 7)
"""Units a side of S2, besides LeNet-5's 14."""

IN_PARTS = (
    *("mlp", "mlp_average_2", "mlp_average_7", "lenet5_average", "lenet5_subsampling"),
    "lenet5_s2_11",
)


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """The report's own networks, trained fused, where they are among these."""
    own = {"mlp_average_4": "pooled_mlp", "lenet5_average": "lenet5"}
    names = ["mlp", *(f"mlp_{pool}_{k}" for pool in MLP_POOLINGS for k in MLP_FOLDS[1:])]
    names += [f"lenet5_{pool}" for pool in POOLINGS]
    names += [f"lenet5_s2_{side}" for side in S2_SIDES]
    longer = EPOCHS[:1] if quick else EPOCHS
    settings = [
        Run("pooling", name, 0, own.get(name, name), longer if name in IN_PARTS else EPOCHS[:1])
        for name in names
    ]
    return per_seed(seeds, settings)


_ROBUSTNESS = looks(EPOCHS, *ROBUSTNESS)

EXPERIMENT = Experiment(
    "pooling",
    runs,
    lambda value: dots(
        "Pooling",
        {key: row for key, row in rows_of(value, "pooling").items() if key[1] == EPOCHS[0]},
    ),
    "Accuracy unmoved and moved for each kind of pooling",
    (
        *(
            Part(
                2,
                f"MLP, {k}-fold",
                f"An MLP behind {k}-fold average pooling is no more robust than one without.",
                f"{k}-fold average pooling less none",
                not_larger(of(f"mlp_average_{k}"), of("mlp")),
                _ROBUSTNESS,
                known=True,
            )
            for k in (2, 7)
        ),
        Part(
            2,
            "LeNet-5",
            "LeNet-5's average pooling gives nothing that mere subsampling does not.",
            "LeNet-5 with average pooling less with subsampling",
            not_larger(of("lenet5_average"), of("lenet5_subsampling")),
            _ROBUSTNESS,
            known=True,
        ),
        Part(
            2,
            "a sixth would do, unmoved",
            "Pooling to a sixth of the nodes would lose nothing that matters.",
            "LeNet-5 less LeNet-5 whose S2 has 11 units a side",
            not_larger(of("lenet5_average"), of("lenet5_s2_11")),
            looks(EPOCHS, "unmoved"),
            known=False,
        ),
        Part(
            2,
            "a sixth would do, moved",
            "The same for moved digits.",
            "LeNet-5 less LeNet-5 whose S2 has 11 units a side",
            not_larger(of("lenet5_average"), of("lenet5_s2_11")),
            looks(EPOCHS, "moved", "kept"),
            known=False,
        ),
    ),
)
