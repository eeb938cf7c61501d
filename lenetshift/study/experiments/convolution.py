"""Claim 1: is LeNet-5 robust to movement because of its convolutions, or because of the data?

What is varied: the network, the report's four; the training images, centred as they are or jittered
over the test's own shifts; the epochs. What is measured: accuracy over all patterns, and against dx,
with the kernel's 5 pixels marked. What decides: LeNet-5 less the perceptron, in points, centred and
jittered; and how much LeNet-5 loses within half a kernel and at a whole one
(:func:`lenetshift.study.experiments.claims.claims`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ...models.build import MODEL_NAMES
from .runs import CENTRED, JITTERED, Run, per_seed

EPOCHS = (1, 2, 5, 10)
KERNEL = 5
"""Pixels along a side of LeNet-5's kernels."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """Four models, two kinds of training images."""
    epochs = EPOCHS[:2] if quick else EPOCHS
    settings = [
        Run("convolution", f"{name}_{training}", 0, name, epochs, training=training)
        for training in (CENTRED, JITTERED)
        for name in MODEL_NAMES
    ]
    return per_seed(seeds, settings)
