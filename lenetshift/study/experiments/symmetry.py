"""Claim 3: does C3's asymmetry matter, and does Model 2's 49 % come from too few epochs?

What is varied: C3's connections, the table of 1998 or all; the epochs, 1 to 12. What is measured:
accuracy unmoved and over all patterns, after every epoch. What decides: Model 2 less Model 0 after the
same number of epochs, in points; and whether Model 2 meets its own row of Table 1, both numbers at
once, after any; if not, the claim is left open, for these are epochs at one learning rate and batch size
(:func:`lenetshift.study.experiments.claims.claims`).
"""

from __future__ import annotations

from collections.abc import Sequence

from .runs import Run, per_seed

MODELS = ("lenet5", "symmetric_lenet5")
EPOCHS = tuple(range(1, 13))


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """Model 0 and Model 2, evaluated after every epoch."""
    epochs = EPOCHS[:3] if quick else EPOCHS
    return per_seed(seeds, [Run("symmetry", name, 0, name, epochs) for name in MODELS])
