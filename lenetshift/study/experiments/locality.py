"""Claim 0: is LeNet-5 ahead unmoved because near pixels are correlated, and does it extract features?

What is varied: all pixels are permuted, the same way in every image, so that no near pixels are left; C1's
and C3's weights are another set at every place, so that locality stays and weight sharing goes; C1's and
C3's filters stay as they were drawn at the start. What is measured: accuracy unmoved and over all patterns.
What decides: one network less another, in points.
"""

from __future__ import annotations

from collections.abc import Sequence

from .criteria import Part, larger, looks, not_larger, of
from .drawing import dots, rows_of
from .experiment import Experiment
from .runs import Run, per_seed

NETWORKS = (
    "lenet5",
    "mlp",
    "lenet5_permuted",
    "mlp_permuted",
    "lenet5_untied",
    "lenet5_random_filters",
)

EPOCHS = (2, 5)

UNTIED = "lenet5_untied"
"""Slow, and evaluated after 2 epochs only."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """Each network on centred images."""
    settings = [
        Run("locality", name, 0, name, EPOCHS[:1] if quick or name == UNTIED else EPOCHS)
        for name in NETWORKS
    ]
    return per_seed(seeds, settings)


EXPERIMENT = Experiment(
    "locality",
    runs,
    lambda value: dots(
        "Near pixels, shared weights, features",
        {key: row for key, row in rows_of(value, "locality").items() if key[1] == EPOCHS[0]},
    ),
    "Accuracy unmoved and moved with permuted pixels, weights of each place, random filters",
    (
        Part(
            0,
            "because of near pixels",
            "LeNet-5 is ahead because near pixels are correlated: with permuted pixels it is not.",
            "LeNet-5 less the MLP, both on permuted pixels",
            not_larger(of("lenet5_permuted"), of("mlp_permuted")),
            looks(EPOCHS, "unmoved"),
            known=True,
        ),
        Part(
            0,
            "locality, not equal weights",
            "The only difference is how near and far pixels are treated: with weights of its own at every "
            "place LeNet-5 is still ahead of the MLP, after two epochs.",
            "LeNet-5 with untied weights less the MLP",
            larger(of(UNTIED), of("mlp")),
            looks(EPOCHS[:1], "unmoved"),
            known=False,
        ),
        Part(
            0,
            "no features are extracted",
            "Convolved values are no extracted features: filters that stay random do as well.",
            "LeNet-5 less LeNet-5 with random filters",
            not_larger(of("lenet5"), of("lenet5_random_filters")),
            looks(EPOCHS, "unmoved"),
            known=False,
        ),
        Part(
            1,
            "locality is enough",
            "Treating near pixels together gives the robustness: with weights of its own at every place "
            "LeNet-5 is still more robust than the MLP, after two epochs.",
            "LeNet-5 with untied weights less the MLP",
            larger(of(UNTIED), of("mlp")),
            looks(EPOCHS[:1], "kept", "moved", "change"),
            known=False,
        ),
    ),
)
