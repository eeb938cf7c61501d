"""What a handful of seeds says of a method: intervals, comparisons, corrections.

A seed is the unit: one model, trained once. Intervals here are Student's over seeds and say how a
*method* scatters; those over test images (:mod:`lenetshift.metrics.evaluation`) say how well *one trained
model* is known. A difference between two methods is one between two sets of seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from ...checks.errors import ArgumentError

LEVEL = 0.95
"""Of every interval; tests reject at 1 - LEVEL."""


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


@dataclass(frozen=True)
class Interval:
    """Low and high end."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        """Whether the value lies in it, its ends included."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Difference:
    """The difference between two methods, first minus second.

    Attributes:
        mean: of the difference.
        interval: Welch's, of the mean.
        p_different: two-sided; small where the methods differ.
        p_equivalent: of the two one-sided tests; small where the difference is smaller than the
            margin, whichever way.
        margin: the smallest difference that matters.
    """

    mean: float
    interval: Interval
    p_different: float
    p_equivalent: float
    margin: float

    @property
    def finding(self) -> str:
        """``"larger"``, ``"smaller"``: the difference is one, and at least the margin in the mean;
        ``"equivalent"``: it is smaller than the margin; ``"open"``: these seeds cannot say."""
        if self.p_equivalent < 1 - LEVEL:
            return "equivalent"
        if self.p_different < 1 - LEVEL and abs(self.mean) >= self.margin:
            return "larger" if self.mean > 0 else "smaller"
        return "open"


def sample(values: Sequence[float]) -> Sample:
    """Number, mean and standard deviation of a measure over seeds.

    Raises:
        ValueError: fewer than two seeds, or a value that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if not (array.ndim == 1 and len(array) >= 2):
        raise ArgumentError("seeds", str(array.size), "2 or more")
    if not np.isfinite(array).all():
        raise ValueError("values: got some that are not finite")
    return Sample(len(array), float(array.mean()), float(array.std(ddof=1)))


def interval_of_mean(s: Sample, level: float = LEVEL) -> Interval:
    """Where the mean over all seeds lies: mean +- t sd / sqrt(n), n - 1 degrees of freedom."""
    half = _t(s.n - 1, level) * s.sd / math.sqrt(s.n)
    return Interval(s.mean - half, s.mean + half)


def prediction_interval(s: Sample, level: float = LEVEL) -> Interval:
    """Where one more run's value lies: mean +- t sd sqrt(1 + 1 / n)."""
    half = _t(s.n - 1, level) * s.sd * math.sqrt(1 + 1 / s.n)
    return Interval(s.mean - half, s.mean + half)


def p_of_one_run(s: Sample, value: float) -> float:
    """Two-sided probability that one more run lies as far from the mean as ``value`` does: below
    1 - level exactly where ``value`` lies outside of :func:`prediction_interval`."""
    spread = s.sd * math.sqrt(1 + 1 / s.n)
    if spread == 0:
        return float(value == s.mean)
    return float(2 * stats.t.sf(abs(value - s.mean) / spread, s.n - 1))


def difference(first: Sequence[float], second: Sequence[float], margin: float) -> Difference:
    """Two methods compared over their seeds: Welch's t-test, and two one-sided tests of equivalence
    (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15) with the same standard error.

    Args:
        first, second: the measure of each, a value a seed.
        margin: the smallest difference that matters, in the measure's unit.
    """
    a, b = sample(first), sample(second)
    mean = a.mean - b.mean
    error = math.sqrt(a.sd**2 / a.n + b.sd**2 / b.n)
    if error == 0:
        different, equivalent = float(mean == 0), float(abs(mean) >= margin)
        return Difference(mean, Interval(mean, mean), different, equivalent, margin)
    freedom = error**4 / ((a.sd**2 / a.n) ** 2 / (a.n - 1) + (b.sd**2 / b.n) ** 2 / (b.n - 1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    return Difference(
        mean,
        Interval(mean - half, mean + half),
        float(2 * stats.t.sf(abs(mean) / error, freedom)),
        float(stats.t.sf((margin - abs(mean)) / error, freedom)),
        margin,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """The probabilities corrected for their number (Holm 1979, Scand. J. Statist. 6): each at least
    as large as it came, at most 1."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def _t(freedom: float, level: float) -> float:
    return float(stats.t.ppf((1 + level) / 2, freedom))
