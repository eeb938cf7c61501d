"""A metric as a mean over images, and the interval that resampling the images gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checks import check_fraction, check_int, check_seed

N_RESAMPLES = 1999
"""Efron and Tibshirani (1993, section 14.3) ask for at least 1,000 for intervals of 95 %."""

_RESAMPLED_AT_ONCE = 1 << 20
"""Images drawn at once, in all resamples of a batch: 8 MiB of each array."""


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
        of the American Statistical Association 82), by ``scipy.stats.bootstrap``. If all images
        have the same value, all resamples do, and the interval has no width: the bootstrap cannot
        see what no image has shown.

        Args:
            level: of confidence, in 0..1 and neither.
            n_resamples: how many times the images are resampled, 1 or more.
            seed: 0..2**32 - 1, of the resampling.

        Raises:
            ValueError: an argument out of range, or fewer than two images that count.
        """
        level = check_fraction("level", level)
        n_resamples = check_int("n_resamples", n_resamples, 1)
        rng = np.random.default_rng(check_seed(seed))
        values, weights = self._counted()
        if len(values) < 2:
            raise ValueError(
                f"images: got {len(values)} that the metric counts, expected 2 or more to resample"
            )
        if (values == values[0]).all():  # BCa's correction would be 0 / 0
            return Interval(float(values[0]), float(values[0]))
        # Not at the top of the file: an evaluation without intervals should not wait for SciPy.
        from scipy.stats import bootstrap  # type: ignore[import-untyped]

        alike = (weights == weights[0]).all()  # no need to resample the weights, too
        bounds = bootstrap(
            (values,) if alike else (values, weights),
            np.mean if alike else _weighted_mean,
            paired=True,
            vectorized=True,
            confidence_level=level,
            n_resamples=n_resamples,
            batch=max(1, _RESAMPLED_AT_ONCE // len(values)),
            method="BCa",
            rng=rng,
        ).confidence_interval
        return Interval(float(bounds.low), float(bounds.high))

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


def _weighted_mean(
    values: NDArray[np.float64], weights: NDArray[np.float64], axis: int = -1
) -> Any:
    return (values * weights).sum(axis) / weights.sum(axis)
