"""Whether the answer stays the same when the image moves, right or wrong.

A network that always says 7 is perfectly stable: these metrics say nothing without the accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import Array
from ..checks.errors import NotAvailable
from ..checks.predictions import check_predictions
from ..checks.types import check_type
from ..shifts import ShiftGrid
from .accuracy import centre_of, moved_accuracy, right_when_unmoved
from .image_mean import ImageMean, over_images
from .registry import metric


@metric(
    "flip rate", "fraction of pairs of neighbouring shifts whose answers differ", "neighbours",
    smaller_is_better=True, of_steps=True,
)  # fmt: skip
def flip_rate(predictions: Array) -> ImageMean:
    """The fraction of neighbouring shifts whose answers differ, over all pairs of neighbours.

    Neighbours are one step apart in dx, or one in dy. Only if both ranges of the grid have step 1 is
    this the flip rate of a move by one pixel. Azulay and Weiss compare such pairs (2019, "Why do deep
    convolutional networks generalize so poorly to small image transformations?", JMLR 20); they draw
    one pair for each image, here all are counted.

    Args:
        predictions: integers ``[N, n_dy, n_dx]``, N >= 1, a tensor or an array; n_dy * n_dx >= 2.

    Raises:
        NotAvailable: there is a single shift.
        ValueError: dtype or shape is not as described.

    >>> flip_rate(np.array([[[3, 3, 8]], [[5, 5, 5]]])).value
    0.25
    """
    answers = check_predictions(predictions)
    n_pairs = n_neighbours(answers.shape[1:])
    n_flips = (answers[:, 1:] != answers[:, :-1]).sum((1, 2))
    n_flips += (answers[:, :, 1:] != answers[:, :, :-1]).sum((1, 2))
    return over_images(n_flips / n_pairs)


def n_neighbours(shape: tuple[int, ...]) -> int:
    """How many pairs of neighbours a grid of ``(n_dy, n_dx)`` shifts has.

    Raises:
        NotAvailable: there are none.
    """
    n_dy, n_dx = shape
    n_pairs = n_dy * (n_dx - 1) + (n_dy - 1) * n_dx
    if n_pairs == 0:
        raise NotAvailable("grid: got a single shift, expected two or more to compare")
    return n_pairs


@metric(
    "consistency", "probability that two shifts, drawn independently, give the same answer",
    name="consistency",
)  # fmt: skip
def _consistency_overall(predictions: Array) -> ImageMean:
    """``consistency(...).overall``."""
    answers = check_predictions(predictions)
    return over_images(_same_twice(answers.reshape(len(answers), -1)))


@metric(
    "consistency when right", "the same for the images answered right at shift (0, 0)",
    "labels", "centre", name="consistency_when_right",
)  # fmt: skip
def _consistency_when_right(predictions: Array, labels: Array, grid: ShiftGrid) -> ImageMean:
    """``consistency(...).right_when_unmoved``."""
    return over_images(
        _consistency_overall(predictions).values, right_when_unmoved(predictions, labels, grid)
    )


@dataclass(frozen=True, eq=False)
class Consistency:
    """How often two shifts give the same answer, and how often the answer is right.

    Attributes:
        accuracy: over all patterns (:func:`~lenetshift.metrics.moved_accuracy`).
        overall: over all images.
        right_when_unmoved: over the images that are answered right at shift (0, 0); None if the
            grid lacks it.
    """

    accuracy: ImageMean
    overall: ImageMean
    right_when_unmoved: ImageMean | None


def consistency(predictions: Array, labels: Array, grid: ShiftGrid) -> Consistency:
    """The probability that two shifts, drawn independently, give the same answer to an image.

    Zhang (2019, "Making Convolutional Networks Shift-Invariant Again", ICML, section 4) draws a pair
    for each image. Here all ``(n_dy * n_dx)**2`` pairs count, also those of a shift with itself, from
    the counts of each answer: ``sum over k of (n_k / (n_dy * n_dx))**2``.

    Args:
        predictions: integers ``[N, n_dy, n_dx]``, N >= 1, a tensor or an array.
        labels: integers ``[N]``.
        grid: the shifts that the predictions belong to.

    Raises:
        ValueError: dtypes or shapes are not as described.

    >>> grid = ShiftGrid(range(-1, 2), range(1))
    >>> two = consistency(np.array([[[5, 5, 8]], [[5, 3, 5]]]), np.array([5, 5]), grid)
    >>> round(two.overall.value, 3)  # each image: (2 / 3)**2 + (1 / 3)**2
    0.556
    >>> two.right_when_unmoved.n_images  # the first alone
    1
    """
    check_type("grid", grid, ShiftGrid)
    answers = check_predictions(predictions, grid.shape)
    overall = _consistency_overall(answers)
    right = right_when_unmoved(answers, labels, grid) if grid.has_centre else None
    return Consistency(
        accuracy=moved_accuracy(answers, labels),
        overall=overall,
        right_when_unmoved=None if right is None else over_images(overall.values, right),
    )


def _same_twice(answers: NDArray[np.integer]) -> NDArray[np.float64]:
    """For each row of ``[N, S]`` the fraction of its S**2 pairs that are equal: float64 ``[N]``."""
    n, n_shifts = answers.shape
    in_order = np.sort(answers, axis=1)
    starts = np.ones((n, n_shifts), dtype=bool)  # of a run of equal answers
    starts[:, 1:] = in_order[:, 1:] != in_order[:, :-1]
    first = np.flatnonzero(starts)
    lengths = np.diff(first, append=starts.size)
    squares = np.bincount(first // n_shifts, weights=lengths.astype(np.float64) ** 2)
    same: NDArray[np.float64] = squares / n_shifts**2
    return same


@metric(
    "agreement", "fraction of moved patterns that get the answer of their unmoved image",
    "centre", "neighbours",
)  # fmt: skip
def agreement(predictions: Array, grid: ShiftGrid) -> ImageMean:
    """The fraction of moved patterns that get the answer of their unmoved image, right or wrong.

    One minus the flip probability against the first frame, as ImageNet-P has it for its noise
    sequences (Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to Common
    Corruptions and Perturbations"), and Michaeli et al. for translations (2023, "Alias-Free Convnets:
    Fractional Shift Invariance via Polynomial Activations"). Shift (0, 0) itself does not count.

    Args:
        predictions: integers ``[N, n_dy, n_dx]``, N >= 1, a tensor or an array.
        grid: the shifts that the predictions belong to, (0, 0) and others.

    Raises:
        NotAvailable: the grid lacks (0, 0), or has no other shift.
        ValueError: dtype or shape is not as described.

    >>> grid = ShiftGrid(range(-1, 2), range(1))
    >>> agreement(np.array([[[5, 5, 8]], [[5, 3, 5]]]), grid).value
    0.25
    """
    row, column = centre_of(grid)
    answers = check_predictions(predictions, grid.shape)
    n_neighbours(grid.shape)
    same = answers == answers[:, row, column][:, None, None]
    return over_images((same.sum((1, 2)) - 1) / (len(grid) - 1))
