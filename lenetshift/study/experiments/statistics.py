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

ROUNDING = 1e-9
"""Values that lie no farther apart are equal: the mean of equal numbers may differ from them by rounding."""


@dataclass(frozen=True)
class Sample:
    """A measure over seeds.

    Attributes:
        n: seeds.
        mean, sd: of the measure; sd with n - 1 in the denominator, 0 if all values are equal.
    """

    n: int
    mean: float
    sd: float


Pair = tuple[float, float]


class SeedInterval(NamedTuple):
    """Low and high end of an interval over seeds."""

    low: float
    high: float

    def includes(self, value: float) -> bool:
        """Whether the value lies in it or is one of its ends."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of two means, that seeds tell with an error.

    Attributes:
        value: it.
        error: its standard error; 0 if the seeds do not scatter.
        freedom: degrees of freedom of Student's distribution.
        n: seeds, the fewer of two.
    """

    value: float
    error: float
    freedom: float
    n: int

    @property
    def interval(self) -> SeedInterval:
        """Where it lies."""
        half = _t(self.freedom) * self.error
        return SeedInterval(self.value - half, self.value + half)

    def p_above(self, bound: float) -> float:
        """The probability of such seeds, or of ones that say it more clearly, if it were not above the bound:
        small if it is above."""
        if self.error == 0:
            return float(self.value <= bound)
        return float(scipy.stats.t.sf((self.value - bound) / self.error, self.freedom))

    def p_below(self, bound: float) -> float:
        """The same if it were not below the bound."""
        return Estimate(-self.value, self.error, self.freedom, self.n).p_above(-bound)


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
    equal = np.ptp(array) <= ROUNDING
    return Sample(len(array), float(array.mean()), 0.0 if equal else float(array.std(ddof=1)))


def prediction_interval(s: Sample) -> SeedInterval:
    """Where one more run's value lies: mean +- t sd sqrt(1 + 1 / n)."""
    half = _t(s.n - 1) * s.sd * math.sqrt(1 + 1 / s.n)
    return SeedInterval(s.mean - half, s.mean + half)


def p_of_one_run(s: Sample, value: float) -> float:
    """Two-sided probability that one more run lies as far from the mean as ``value`` does: below
    1 - LEVEL exactly if ``value`` lies outside :func:`prediction_interval`."""
    spread = s.sd * math.sqrt(1 + 1 / s.n)
    if spread == 0:
        return float(abs(value - s.mean) <= ROUNDING)
    return float(2 * scipy.stats.t.sf(abs(value - s.mean) / spread, s.n - 1))


def mean_of(values: Sequence[float]) -> Estimate:
    """The mean of a measure over all seeds."""
    s = sample(values)
    return Estimate(s.mean, s.sd / math.sqrt(s.n), s.n - 1, s.n)


def difference_of(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """The mean of a measure of one method less that of another.

    Seeds decide first weights and the order of the images, so that two methods with the same seeds are
    compared seed by seed. Otherwise Welch's test compares them.

    Args:
        first, second: of the seeds 0, 1, ..., one value for each.
    """
    if len(first) == len(second):
        return mean_of(np.subtract(first, second).tolist())
    a, b = sample(first), sample(second)
    parts = a.sd**2 / a.n, b.sd**2 / b.n
    squares = sum(part**2 / (s.n - 1) for part, s in zip(parts, (a, b), strict=True))
    freedom = sum(parts) ** 2 / squares if squares else min(a.n, b.n) - 1
    return Estimate(a.mean - b.mean, math.sqrt(sum(parts)), freedom, min(a.n, b.n))


def p_of_one_run_in_two(first: Sequence[float], second: Sequence[float], point: Pair) -> float:
    """The probability that one more run lies as far from the mean as a point does, in two measures at once
    (Hotelling 1931, Ann. Math. Statist. 2): 1 at the mean, small far away from it.

    Args:
        first, second: two measures of the same runs.
        point: their values to be judged.
    """
    runs = np.column_stack([first, second]).astype(np.float64)
    n, k = runs.shape
    if n <= k:
        raise ArgumentError("seeds", str(n), f"{k + 1} or more")
    off = np.asarray(point) - runs.mean(0)
    covariance = np.cov(runs, rowvar=False)
    if np.linalg.matrix_rank(covariance) < k:
        return float(not off.any())
    squared = n / (n + 1) * off @ np.linalg.solve(covariance, off)
    return float(scipy.stats.f.sf(squared * (n - k) / (k * (n - 1)), k, n - k))


def share_of_seeds(successes: int, n: int) -> SeedInterval:
    """Where the share of successful seeds lies, in per cent (Clopper and Pearson 1934, Biometrika 26)."""
    found = scipy.stats.binomtest(successes, n).proportion_ci(LEVEL, "exact")
    return SeedInterval(100 * float(found.low), 100 * float(found.high))


def within(interval: SeedInterval, low: float, high: float) -> SeedInterval:
    """The part of an interval between the bounds of what it is about, such as 0 and 100 per cent: nothing
    beyond them can be the true value, so that it holds that with at least the same confidence."""
    return SeedInterval(
        min(max(interval.low, low), high),
        max(min(interval.high, high), low),
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
