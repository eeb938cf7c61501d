"""A metric as a mean over images, and the interval that resampling the images gives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checks.errors import NotAvailable
from ..checks.numbers import check_fraction, check_int, check_seed

N_RESAMPLES = 1999
"""Efron and Tibshirani (1993, section 14.3) ask for at least 1,000 for intervals of 95 %."""

LEAST_RESAMPLES = 39
"""With fewer, no resample lies beyond the ends of an interval of 95 %: ``0.025 * (39 + 1) = 1``."""

_DRAWN_AT_ONCE = 1 << 16
"""How many images, or counts of images, are drawn at once: 512 KiB of each array, which stays in the
cache. With 1 << 20, each image takes two to three times as long."""

_DRAWS_PER_COUNT = 25
"""Drawing one count of a multinomial takes as long as drawing this many single images, looking up their
values and adding them (NumPy 2.4, x86: 35 to 90 ns per count, 2.3 to 2.7 ns per image)."""

ROUNDING = 1e-13
"""How far equal means may differ because they are summed in another order, as a fraction of the largest
value: some hundred roundings. Means of other images differ more, by 1 / (N * shifts) or more."""


class Interval(NamedTuple):
    """Both ends of a confidence interval for one trained model: over images, not over seeds."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class ImageMean:
    """A number that is a weighted mean over images.

    The patterns of an image depend on one another, so the observations are the images. Each image has
    one value, the mean over its own patterns or pairs of patterns.

    Attributes:
        values: float64 ``[N]``, one per image.
        weights: float64 ``[N]``, how much each counts: the number of patterns or pairs that its value
            is a mean of, up to a common factor. A value of weight 0 has no meaning.
        bounds: the least and the largest value that an image can have.

    >>> mean = ImageMean(np.array([1.0, 0.5, 0.0]), np.array([1.0, 1.0, 2.0]))
    >>> mean.value, mean.n_images
    (0.375, 3)
    """

    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    bounds: tuple[float, float] = (0.0, 1.0)

    @property
    def value(self) -> float:
        """``sum(weights * values) / sum(weights)``, a fraction if the values are; NaN if no image
        counts."""
        values, weights = self._counted()
        return weighted_mean(values, weights) if len(values) else float("nan")

    @property
    def n_images(self) -> int:
        """How many images count."""
        return int(np.count_nonzero(self.weights))

    def interval(
        self, level: float = 0.95, *, n_resamples: int = N_RESAMPLES, seed: int = 0
    ) -> Interval:
        """A confidence interval by bootstrap over the images that count.

        It is about this trained model: it says how much the value would vary with other images from
        the same source. A model trained from another seed has another value, so no interval over
        images describes a training method.

        The images, each with all its patterns, are resampled with replacement (the cluster
        bootstrap), and the interval is bias-corrected and accelerated (BCa; Efron 1987, Journal
        of the American Statistical Association 82). It depends on which values and weights there
        are and how often, not on their order.

        If all images have the same value, so have all resamples, and the bootstrap cannot see what no
        image has shown. The interval then says how many others there may be: of N images from the
        same source, all have this value with a probability of ``(1 - level) / 2`` if it is that of
        ``((1 - level) / 2) ** (1 / N)`` of all images (Clopper and Pearson 1934, Biometrika 26), and
        the others may have any value within ``bounds``.

        Time and memory grow with the number of images. With few distinct values, such as right and
        wrong, a million images take a tenth of a second; with distinct values only, some ten seconds.

        Args:
            level: of confidence, between 0 and 1, both excluded.
            n_resamples: how many times the images are resampled, 39 or more. A higher level needs
                more: about ``n_resamples * (1 - level) / 2`` of them lie beyond each end. If that is
                less than one, the ends are close to the extreme resamples and the interval is too
                narrow. 1,999 are enough for levels up to 0.999.
            seed: 0..2**32 - 1, of the resampling.

        Raises:
            NotAvailable: fewer than two images count.
            ValueError: an argument is out of range.

        >>> right = np.arange(1000) < 700
        >>> low, high = ImageMean(right.astype(float), np.ones(1000)).interval()
        >>> f"{low:.3f} to {high:.3f}"
        '0.671 to 0.727'
        >>> low, high = ImageMean(np.ones(120), np.ones(120)).interval()
        >>> f"{low:.3f} to {high:.3f}"
        '0.970 to 1.000'
        """
        level = check_fraction("level", level)
        n_resamples = check_int("n_resamples", n_resamples, LEAST_RESAMPLES)
        rng = np.random.default_rng(check_seed(seed))
        values, weights = self._counted()
        if len(values) < 2:
            raise NotAvailable(
                f"images: got {len(values)} that the metric counts, expected 2 or more to resample"
            )
        if (values == values[0]).all():  # BCa's correction would be 0 / 0
            return _around(float(values[0]), self.bounds, unseen(len(values), level))
        # Pairs as complex numbers: NumPy sorts these by their real parts, then the imaginary ones.
        pairs, counts = np.unique(values + 1j * weights, return_counts=True)
        values, weights = pairs.real, pairs.imag
        means = _resampled_means(values, weights, counts, n_resamples, rng)
        value = weighted_mean(values, weights * counts)
        rounding = ROUNDING * float(np.abs(values).max())
        return bca_interval(
            means, value, rounding, left_out(values, weights, counts), counts, level
        )

    def _counted(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        counts = self.weights > 0
        return self.values[counts], self.weights[counts]


def unseen(n: int, level: float) -> float:
    """The largest share of all images that may differ if ``n`` of them are alike, at a level of
    confidence with the same probability beyond each end."""
    return 1 - math.pow((1 - level) / 2, 1 / n)


def _around(value: float, bounds: tuple[float, float], others: float) -> Interval:
    """Where the mean may lie if a share of the images may have others than this value."""
    low, high = min(bounds[0], value), max(bounds[1], value)
    return Interval(value - others * (value - low), value + others * (high - value))


def bca_interval(
    resampled: NDArray[np.float64],
    value: float,
    rounding: float,
    jackknife: NDArray[np.float64],
    counts: NDArray[np.int64],
    level: float,
) -> Interval:
    """The BCa interval of a number.

    Args:
        resampled: the number in each resample.
        value: the number itself.
        rounding: how far numbers may differ that are equal but for rounding.
        jackknife: ``[K]``, how much greater the number is without one image of each kind; not all 0.
        counts: ``[K]``, how many images there are of each kind.
        level: of confidence.
    """
    below = _share_below(resampled, value, rounding)
    acceleration = _acceleration(jackknife, counts)
    low, high = np.quantile(resampled, _bca_shares(below, acceleration, level))
    return Interval(float(low), float(high))


def over_images(values: NDArray[Any], counted: NDArray[Any] | None = None) -> ImageMean:
    """A mean over images, with equal weights or with the weights ``counted`` (bools choose).

    Args:
        values: ``[N]``.
        counted: ``[N]``, 0 or more.
    """
    weights = np.ones(len(values)) if counted is None else counted.astype(np.float64)
    return ImageMean(values.astype(np.float64), weights)


def weighted_mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The mean of values ``[K]`` with weights ``[K]``."""
    return float((values * weights).sum() / weights.sum())


def _resampled_means(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    counts: NDArray[np.int64],
    n_resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """The weighted means of as many images, drawn with replacement, ``[n_resamples]``.

    Args:
        values: ``[K]``, of the distinct images.
        weights: ``[K]``, positive.
        counts: ``[K]``, how many images there are of each.
        n_resamples, rng: as in :func:`resampled_sums`.
    """
    n = int(counts.sum())
    alike = bool((weights == weights[0]).all())  # then their sum is known
    terms: tuple[NDArray[np.float64], ...] = (values,) if alike else (values * weights, weights)
    sums = resampled_sums(terms, counts, n_resamples, rng)
    means: NDArray[np.float64] = sums[0] / (n if alike else sums[1])
    return means


def resampled_sums(
    terms: tuple[NDArray[np.float64], ...],
    counts: NDArray[np.int64],
    n_resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """The sum of each term over as many images, drawn with replacement: ``[len(terms), n_resamples]``.
    A resample draws the same images for all terms.

    The images alone decide how they are drawn: as counts of all distinct images at once, a multinomial,
    or one by one if nearly all are distinct.

    Args:
        terms: each ``[K]``, of the distinct images.
        counts: ``[K]``, how many images there are of each.
        n_resamples: how many times to draw.
        rng: draws the same images whatever ``_DRAWN_AT_ONCE`` is.
    """
    n = int(counts.sum())
    if _DRAWS_PER_COUNT * len(counts) <= n:
        sums_of, width = _sums_of_counts, len(counts)
    else:
        sums_of, width = _sums_of_images, n
        terms = tuple(np.repeat(term, counts) for term in terms)  # [N] each
    rows = max(1, _DRAWN_AT_ONCE // width)
    batches = [min(rows, n_resamples - first) for first in range(0, n_resamples, rows)]
    return np.concatenate([sums_of(terms, counts, batch, rng) for batch in batches], axis=1)


def _sums_of_counts(
    terms: tuple[NDArray[np.float64], ...],
    counts: NDArray[np.int64],
    rows: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """The sum of each term ``[K]`` over each of ``rows`` resamples, ``[len(terms), rows]``: how often
    each distinct image is drawn, times its term."""
    n = counts.sum()
    drawn = rng.multinomial(n, counts / n, rows)  # [rows, K]
    return np.array([(drawn * term).sum(1) for term in terms])  # not @: BLAS adds in its own order


def _sums_of_images(
    terms: tuple[NDArray[np.float64], ...],
    counts: NDArray[np.int64],
    rows: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """The same for terms ``[N]``, by drawing single images."""
    n = len(terms[0])
    sums = np.zeros((len(terms), rows))
    for start in range(0, n, _DRAWN_AT_ONCE):  # more than once only if rows is 1
        drawn = rng.integers(0, n, (rows, min(_DRAWN_AT_ONCE, n - start)))
        sums += [term.take(drawn).sum(1) for term in terms]
    return sums


def _share_below(means: NDArray[np.float64], value: float, rounding: float) -> float:
    """The fraction of means below the value, more than 0 and less than 1. As in SciPy, means that equal
    the value count half.

    If all lie on one side, the bias correction would be infinite. Half a resample is then put on the
    other side: the least that a count with halves can find there.
    """
    n_below = np.count_nonzero(means < value - rounding)
    n_above = np.count_nonzero(means > value + rounding)
    half = 1 / (2 * len(means))
    share = (len(means) + int(n_below) - int(n_above)) * half
    return min(max(share, half), 1 - half)


def left_out(
    values: NDArray[np.float64], weights: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How much greater the weighted mean is without one image of each kind, ``[K]``: the jackknife.

    With the sum S of all weights, ``(S * mean - w * v) / (S - w) - mean = w * (mean - v) / (S - w)``.
    """
    mean = weighted_mean(values, weights * counts)
    greater: NDArray[np.float64] = weights * (mean - values) / ((weights * counts).sum() - weights)
    return greater


def _acceleration(left_out: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """A sixth of ``sum(u**3) / sum(u**2)**1.5``, the skewness of the jackknife (Efron and Tibshirani
    1993, equation 14.15), where u is how far each lies below their mean; within -1/6..1/6."""
    u = weighted_mean(left_out, counts.astype(np.float64)) - left_out
    u /= np.abs(u).max()  # or the cubes of small differences would be 0
    return float((counts * u**3).sum() / (6 * (counts * u**2).sum() ** 1.5))


def _bca_shares(below: float, acceleration: float, level: float) -> tuple[float, float]:
    """The fraction of the resamples that lies below each end (Efron and Tibshirani 1993, equation 14.10).

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
        # This reaches 0 at z = 1 / acceleration, 6 standard deviations out or more. By then the end
        # is beyond all resamples; past it, it would come back from the other side.
        return normal.cdf(bias + z / slowed if slowed > 0 else math.copysign(math.inf, z))

    return share(bias + tail), share(bias - tail)
