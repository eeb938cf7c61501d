"""A metric as a mean over images, and the interval that resampling the images gives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checks.numbers import check_fraction, check_int, check_seed

N_RESAMPLES = 1999
"""Efron and Tibshirani (1993, section 14.3) ask for at least 1,000 for intervals of 95 %."""

LEAST_RESAMPLES = 39
"""The fewest of which one lies beyond each end of an interval of 95 %: ``0.025 * (39 + 1) = 1``."""

_DRAWN_AT_ONCE = 1 << 16
"""Images, or counts of images, drawn at once: 512 KiB of each array, which stays in the cache. With
1 << 20 each image takes two to three times as long."""

_DRAWS_PER_COUNT = 25
"""To draw one count of a multinomial takes as long as to draw so many single images, look their
values up and add them (NumPy 2.4, x86: 35 to 90 ns a count, 2.3 to 2.7 ns an image)."""

_ROUNDING = 1e-13
"""How far apart, as a fraction of the largest value, sums in another order may bring equal means: some
hundred roundings. Means of other images are farther apart, 1 / (N * shifts) or more."""


class Interval(NamedTuple):
    """Both ends of a confidence interval for one trained model: over images, not over seeds."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class ImageMean:
    """A number that is a weighted mean over images.

    The patterns of an image stand and fall together, so that a pattern is no observation of its
    own: images are. Each has one value, the mean over its own patterns or pairs of patterns.

    Attributes:
        values: float64 ``[N]``, one an image.
        weights: float64 ``[N]``, how much each counts: the patterns or pairs that its value is a
            mean of, up to a common factor. Where that is 0 the value has no meaning.
    """

    values: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def value(self) -> float:
        """``sum(weights * values) / sum(weights)``, a fraction where the values are; NaN if no image
        counts."""
        values, weights = self._counted()
        return _weighted_mean(values, weights) if len(values) else float("nan")

    @property
    def n_images(self) -> int:
        """How many images count."""
        return int(np.count_nonzero(self.weights))

    def interval(
        self, level: float = 0.95, *, n_resamples: int = N_RESAMPLES, seed: int = 0
    ) -> Interval:
        """A confidence interval by bootstrap over the images that count.

        It is about this trained model and says how far the value would be another with other
        images from the same source. Another seed's model is another draw: no interval over images
        speaks of a training method.

        The images, each with all its patterns, are resampled with replacement (the cluster
        bootstrap), and the interval is bias-corrected and accelerated (BCa; Efron 1987, Journal
        of the American Statistical Association 82). It depends on which values and weights there
        are and how often, not on their order. If all images have the same value, all resamples do,
        and the interval has no width: the bootstrap cannot see what no image has shown.

        Time and memory grow as the number of images does. Where there are few distinct values,
        such as right and wrong, a million images take a tenth of a second; where all values are
        distinct, some ten seconds.

        Args:
            level: of confidence, in 0..1 and neither.
            n_resamples: how many times the images are resampled, 39 or more. The higher the level,
                the more it takes: about ``n_resamples * (1 - level) / 2`` of them lie beyond each
                end. Where that is less than one, the ends are close to the extreme resamples and
                the interval is too narrow. 1,999 are enough for levels up to 0.999.
            seed: 0..2**32 - 1, of the resampling.

        Raises:
            ValueError: an argument out of range, or fewer than two images that count.
        """
        level = check_fraction("level", level)
        n_resamples = check_int("n_resamples", n_resamples, LEAST_RESAMPLES)
        rng = np.random.default_rng(check_seed(seed))
        values, weights = self._counted()
        if len(values) < 2:
            raise ValueError(
                f"images: got {len(values)} that the metric counts, expected 2 or more to resample"
            )
        if (values == values[0]).all():  # BCa's correction would be 0 / 0
            return Interval(float(values[0]), float(values[0]))
        # Pairs as complex numbers: NumPy sorts these by their real parts, then the imaginary ones.
        pairs, counts = np.unique(values + 1j * weights, return_counts=True)
        values, weights = pairs.real, pairs.imag
        means = _resampled_means(values, weights, counts, n_resamples, rng)
        below = _share_below(
            means, _weighted_mean(values, weights * counts), _ROUNDING * np.abs(values).max()
        )
        acceleration = _acceleration(_left_out(values, weights, counts), counts)
        low, high = np.quantile(means, _bca_shares(below, acceleration, level))
        return Interval(float(low), float(high))

    def _counted(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        counts = self.weights > 0
        return self.values[counts], self.weights[counts]


def over_images(values: NDArray[Any], counted: NDArray[Any] | None = None) -> ImageMean:
    """A mean over images: all alike, or weighted by ``counted`` (bools choose).

    Args:
        values: ``[N]``.
        counted: ``[N]``, 0 or more.
    """
    weights = np.ones(len(values)) if counted is None else counted.astype(np.float64)
    return ImageMean(values.astype(np.float64), weights)


def _weighted_mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    return float((values * weights).sum() / weights.sum())


def _resampled_means(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    counts: NDArray[np.int64],
    n_resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """The weighted means of as many images, drawn with replacement, ``[n_resamples]``.

    Which of two ways is taken depends on the images alone: the counts of all distinct images at
    once, a multinomial, or image after image where nearly all are distinct.

    Args:
        values: ``[K]``, of the distinct images.
        weights: ``[K]``, positive.
        counts: ``[K]``, how many images there are of each.
        n_resamples: how many times to draw.
        rng: gives the same images whatever ``_DRAWN_AT_ONCE`` is.
    """
    alike = bool((weights == weights[0]).all())  # then their sum is known
    terms = (values,) if alike else (values * weights, weights)
    few = _DRAWS_PER_COUNT * len(counts) <= counts.sum()
    sums = (_sums_of_counts if few else _sums_of_images)(terms, counts, n_resamples, rng)
    means: NDArray[np.float64] = sums[0] / (counts.sum() if alike else sums[1])
    return means


def _sums_of_counts(
    terms: tuple[NDArray[np.float64], ...],
    counts: NDArray[np.int64],
    n_resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """The sum of each term over each resample, ``[len(terms), n_resamples]``: how often each distinct
    image is drawn, times its term."""
    n = counts.sum()
    sums = np.empty((len(terms), n_resamples))
    rows = max(1, _DRAWN_AT_ONCE // len(counts))
    for first in range(0, n_resamples, rows):
        batch = slice(first, min(first + rows, n_resamples))
        drawn = rng.multinomial(n, counts / n, batch.stop - first)  # [rows, K]
        for term, of_term in zip(terms, sums, strict=True):
            of_term[batch] = (drawn * term).sum(1)  # not @: BLAS adds in an order of its own
    return sums


def _sums_of_images(
    terms: tuple[NDArray[np.float64], ...],
    counts: NDArray[np.int64],
    n_resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """The same, by drawing single images."""
    terms = tuple(np.repeat(term, counts) for term in terms)  # [N] each
    n = len(terms[0])
    sums = np.zeros((len(terms), n_resamples))
    rows, columns = max(1, _DRAWN_AT_ONCE // n), min(_DRAWN_AT_ONCE, n)
    for first in range(0, n_resamples, rows):
        batch = slice(first, min(first + rows, n_resamples))
        for start in range(0, n, columns):  # more than one only if rows is 1
            drawn = rng.integers(0, n, (batch.stop - first, min(columns, n - start)))
            for term, of_term in zip(terms, sums, strict=True):
                of_term[batch] += term.take(drawn).sum(1)
    return sums


def _share_below(means: NDArray[np.float64], value: float, rounding: float) -> float:
    """The fraction of means below the value, those that equal it counted half, as SciPy does; more
    than 0 and less than 1.

    If all lie on one side the bias correction would be infinite. Half a resample is then put on the
    other: the least that a count with halves can find there.
    """
    n_below = np.count_nonzero(means < value - rounding)
    n_above = np.count_nonzero(means > value + rounding)
    half = 1 / (2 * len(means))
    share = (len(means) + int(n_below) - int(n_above)) * half
    return min(max(share, half), 1 - half)


def _left_out(
    values: NDArray[np.float64], weights: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How much greater the weighted mean is without one image of each kind, ``[K]``: the jackknife.

    With the sum S of all weights, ``(S * mean - w * v) / (S - w) - mean = w * (mean - v) / (S - w)``.
    """
    mean = _weighted_mean(values, weights * counts)
    left_out: NDArray[np.float64] = weights * (mean - values) / ((weights * counts).sum() - weights)
    return left_out


def _acceleration(left_out: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """A sixth of ``sum(u**3) / sum(u**2)**1.5``, the skewness of the jackknife (Efron and Tibshirani
    1993, equation 14.15), where u is how far each lies below their mean; within -1/6..1/6."""
    u = _weighted_mean(left_out, counts.astype(np.float64)) - left_out
    u /= np.abs(u).max()  # or the cubes of small differences would be 0
    return float((counts * u**3).sum() / (6 * (counts * u**2).sum() ** 1.5))


def _bca_shares(below: float, acceleration: float, level: float) -> tuple[float, float]:
    """Which fraction of the resamples lies below each end (Efron and Tibshirani 1993, equation 14.10).

    Args:
        below: the fraction of resamples below the value, more than 0 and less than 1.
        acceleration: from :func:`_acceleration`.
        level: of confidence.
    """
    normal = NormalDist()
    bias = normal.inv_cdf(below)
    tail = normal.inv_cdf((1 - level) / 2)

    def share(z: float) -> float:
        slowed = 1 - acceleration * z
        # It falls to 0 at 1 / acceleration, 6 standard deviations out or more: the end has left all
        # resamples behind by then, and would come back from the other side.
        return normal.cdf(bias + z / slowed if slowed > 0 else math.copysign(math.inf, z))

    return share(bias + tail), share(bias - tail)
