"""The difference of a metric between two networks that answered the same images, and its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks.errors import ArgumentError, NotAvailable
from ..checks.numbers import check_fraction, check_int, check_seed
from ..checks.types import check_type
from .image_mean import (
    LEAST_RESAMPLES,
    N_RESAMPLES,
    ROUNDING,
    ImageMean,
    Interval,
    bca_interval,
    left_out,
    resampled_sums,
)


@dataclass(frozen=True, eq=False)
class MeanDifference:
    """A mean over images minus another one over the same images: ``b.value - a.value``.

    Args:
        a, b: both have one value per image, in the same order.

    Raises:
        ValueError: an argument is not an ImageMean, or they have different numbers of images.

    >>> ones = np.ones(4)
    >>> a = ImageMean(np.array([1.0, 0.0, 0.0, 1.0]), ones)
    >>> b = ImageMean(np.array([1.0, 1.0, 0.0, 1.0]), ones)
    >>> MeanDifference(a, b).value
    0.25
    """

    a: ImageMean
    b: ImageMean

    def __post_init__(self) -> None:
        """Check that the means are over as many images."""
        check_type("a", self.a, ImageMean)
        check_type("b", self.b, ImageMean)
        n, expected = len(self.b.values), len(self.a.values)
        if n != expected:
            raise ArgumentError("b", f"{n} images", f"{expected} as a")

    @property
    def value(self) -> float:
        """The difference; NaN if no image counts in one of the means."""
        return self.b.value - self.a.value

    def interval(
        self, level: float = 0.95, *, n_resamples: int = N_RESAMPLES, seed: int = 0
    ) -> Interval:
        """A confidence interval by the paired bootstrap: each resample draws the same images for both.

        What makes an image hard for both networks cancels, so the interval is usually much narrower than
        two intervals suggest that overlap. Like :meth:`ImageMean.interval`, it is BCa, is about these two
        trained networks and says nothing about other seeds.

        If both means weight the images alike, this is the interval of the mean of the paired differences.
        If not (``consistency_when_right`` is over the images that each network itself answers right), both
        means are computed anew in each resample; resamples in which no image counts for one of them are
        left out. If all images have the same difference, the interval says how many others there may be,
        as in :meth:`ImageMean.interval`.

        Args:
            level, n_resamples, seed: as for :meth:`ImageMean.interval`.

        Raises:
            NotAvailable: fewer than two images count in one of the means.
            ValueError: an argument is out of range.

        >>> ones = np.ones(1000)
        >>> a = ImageMean((np.arange(1000) < 700).astype(float), ones)
        >>> b = ImageMean((np.arange(1000) < 720).astype(float), ones)
        >>> low, high = MeanDifference(a, b).interval()  # each mean alone varies by 0.028
        >>> f"{low:.3f} to {high:.3f}"
        '0.012 to 0.030'
        """
        a, b = self.a, self.b
        if np.array_equal(a.weights, b.weights):
            (least_a, most_a), (least_b, most_b) = a.bounds, b.bounds
            bounds = least_b - most_a, most_b - least_a
            paired = ImageMean(b.values - a.values, a.weights, bounds)
            return paired.interval(level, n_resamples=n_resamples, seed=seed)
        level = check_fraction("level", level)
        n_resamples = check_int("n_resamples", n_resamples, LEAST_RESAMPLES)
        rng = np.random.default_rng(check_seed(seed))
        least = min(a.n_images, b.n_images)
        if least < 2:
            raise NotAvailable(
                f"images: got {least} that the metric counts, expected 2 or more to resample"
            )
        kinds, counts = _kinds(a, b)
        sums = resampled_sums(tuple(kinds.T), counts, n_resamples, rng)
        sums = sums[:, (sums[1] > 0) & (sums[3] > 0)]
        value = self.value
        left = _jackknife(kinds, counts)
        if np.ptp(left) == 0:  # BCa's correction would be 0 / 0
            of_a, of_b = a.interval(level), b.interval(level)
            return Interval(of_b.low - of_a.high, of_b.high - of_a.low)
        largest = max(float(np.abs(mean.values[mean.weights > 0]).max()) for mean in (a, b))
        return bca_interval(
            sums[2] / sums[3] - sums[0] / sums[1], value, ROUNDING * largest, left, counts, level
        )


def _kinds(a: ImageMean, b: ImageMean) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The distinct images, ``[K, 4]``: weight * value and weight in a, then in b; and how many there are of
    each, ``[K]``. Images that count in neither are left out."""
    columns = []
    for mean in (a, b):
        counted = mean.weights > 0  # a value of weight 0 may be NaN
        columns += [np.where(counted, mean.weights * mean.values, 0.0), mean.weights]
    rows = np.stack(columns, axis=1)
    kinds, counts = np.unique(rows[(a.weights > 0) | (b.weights > 0)], axis=0, return_counts=True)
    return kinds, counts


def _jackknife(kinds: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much greater the difference is without one image of each kind, ``[K]``."""
    greater = []
    for products, weights in (kinds[:, :2].T, kinds[:, 2:].T):
        values = np.divide(products, weights, out=np.zeros_like(products), where=weights > 0)
        greater.append(left_out(values, weights, counts))
    return greater[1] - greater[0]
