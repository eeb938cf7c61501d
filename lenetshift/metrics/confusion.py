"""Which class is taken for which, at each shift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import Array
from ..checks.predictions import check_labels, check_predictions


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often images of each class get each answer.

    Attributes:
        classes: int64 ``[K]``, the labels and answers that occur, in ascending order.
        counts: int64 ``[n_dy, n_dx, K, K]``: at each shift, the number of images of class
            ``classes[i]`` (rows) that are answered ``classes[j]`` (columns).
    """

    classes: NDArray[np.int64]
    counts: NDArray[np.int64]


def confusion(predictions: Array, labels: Array) -> Confusion:
    """The confusion matrix at each shift; ``counts.sum((0, 1))`` is that of all patterns.

    Args:
        predictions: integers ``[N, n_dy, n_dx]``, N >= 1, a tensor or an array.
        labels: integers ``[N]``.

    Raises:
        ValueError: dtypes or shapes are not as described.

    >>> found = confusion(np.array([[[3, 3, 8]], [[5, 5, 5]]]), np.array([3, 5]))
    >>> found.classes.tolist(), found.counts[0, 2].tolist()  # at the last shift
    ([3, 5, 8], [[0, 0, 1], [0, 1, 0], [0, 0, 0]])
    """
    answers = check_predictions(predictions).astype(np.int64)
    truth = check_labels(labels, len(answers))
    classes = np.union1d(truth, answers)
    k, (n_dy, n_dx) = len(classes), answers.shape[1:]
    rows, columns = np.searchsorted(classes, truth), np.searchsorted(classes, answers)
    cells = (np.arange(n_dy * n_dx).reshape(n_dy, n_dx) * k + rows[:, None, None]) * k + columns
    counts = np.bincount(cells.reshape(-1), minlength=n_dy * n_dx * k * k)
    return Confusion(classes, counts.reshape(n_dy, n_dx, k, k))
