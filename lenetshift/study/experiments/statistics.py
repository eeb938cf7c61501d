"""What a few seeds say about a method: intervals, comparisons, corrections.

The unit is a seed: one model, trained once. Intervals here are Student's over seeds and say how much a
*method* varies; those over test images (:mod:`lenetshift.metrics.evaluation`) say how well *one trained
model* is known. A difference between two methods is one between two sets of seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy  # type: ignore[import-untyped]

from ...checks.errors import ArgumentError

LEVEL = 0.95
"""The confidence level of every interval; tests reject at 1 - LEVEL."""


@dataclass(frozen=True)
class Sample:
    """A measure over seeds.

    Attributes:
        n: seeds.
        mean, sd: of the measure; sd with n - 1 in the denominator.
    """

    n: int
    mean: float
    sd: float


class SeedInterval(NamedTuple):
    """Low and high end of an interval over seeds."""

    low: float
    high: float

    def includes(self, value: float) -> bool:
        """Whether the value lies in it or is one of its ends."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Difference:
    """The difference between two methods, first minus second.

    Attributes:
        mean: of the difference.
        interval: Welch's, of the mean.
        p_different: two-sided; small if the methods differ.
        p_equivalent: of the two one-sided tests; small if the difference is smaller than the
            margin in either direction.
        margin: the smallest difference that matters.
    """

    mean: float
    interval: SeedInterval
    p_different: float
    p_equivalent: float
    margin: float

    @property
    def relation(self) -> str:
        """Of the first to the second: ``"larger"`` or ``"smaller"`` if they differ, and by the margin or
        more in the mean; ``"equivalent"`` if by less than the margin; ``"open"`` if these seeds cannot
        say."""
        if self.p_equivalent < 1 - LEVEL:
            return "equivalent"
        if self.p_different < 1 - LEVEL and abs(self.mean) >= self.margin:
            return "larger" if self.mean > 0 else "smaller"
        return "open"


def sample(values: Sequence[float]) -> Sample:
    """Number, mean and standard deviation of a measure over seeds.

    Raises:
        ArgumentError: fewer than two seeds, or a value that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2:
        raise ArgumentError("seeds", str(array.size), "2 or more")
    if not np.isfinite(array).all():
        raise ArgumentError("values", "some that are not finite", "finite values")
    return Sample(len(array), float(array.mean()), float(array.std(ddof=1)))


def interval_of_mean(s: Sample) -> SeedInterval:
    """Where the mean over all seeds lies: mean +- t sd / sqrt(n), n - 1 degrees of freedom."""
    half = _t(s.n - 1) * s.sd / math.sqrt(s.n)
    return SeedInterval(s.mean - half, s.mean + half)


def prediction_interval(s: Sample) -> SeedInterval:
    """Where one more run's value lies: mean +- t sd sqrt(1 + 1 / n)."""
    half = _t(s.n - 1) * s.sd * math.sqrt(1 + 1 / s.n)
    return SeedInterval(s.mean - half, s.mean + half)


def p_of_one_run(s: Sample, value: float) -> float:
    """Two-sided probability that one more run lies as far from the mean as ``value`` does: below
    1 - LEVEL exactly if ``value`` lies outside :func:`prediction_interval`."""
    spread = s.sd * math.sqrt(1 + 1 / s.n)
    if spread == 0:
        return float(value == s.mean)
    return float(2 * scipy.stats.t.sf(abs(value - s.mean) / spread, s.n - 1))


def difference(first: Sequence[float], second: Sequence[float], margin: float) -> Difference:
    """Two methods compared over their seeds: Welch's t-test, and two one-sided tests of equivalence
    (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15) with the same standard error.

    Args:
        first, second: the measure of each, one value for each seed.
        margin: the smallest difference that matters, in the measure's unit.
    """
    a, b = sample(first), sample(second)
    mean = a.mean - b.mean
    error = math.sqrt(a.sd**2 / a.n + b.sd**2 / b.n)
    if error == 0:
        different, equivalent = float(mean == 0), float(abs(mean) >= margin)
        return Difference(mean, SeedInterval(mean, mean), different, equivalent, margin)
    freedom = error**4 / ((a.sd**2 / a.n) ** 2 / (a.n - 1) + (b.sd**2 / b.n) ** 2 / (b.n - 1))
    half = _t(freedom) * error
    return Difference(
        mean,
        SeedInterval(mean - half, mean + half),
        float(2 * scipy.stats.t.sf(abs(mean) / error, freedom)),
        float(scipy.stats.t.sf((margin - abs(mean)) / error, freedom)),
        margin,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """The probabilities corrected for their number (Holm 1979, Scand. J. Statist. 6): each at least
    as large as before, at most 1."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def _t(freedom: float) -> float:
    return float(scipy.stats.t.ppf((1 + LEVEL) / 2, freedom))
