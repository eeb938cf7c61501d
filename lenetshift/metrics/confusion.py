"""Which class is taken for which, at each shift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import Array
from ..checks.predictions import check_class_names, check_labels, check_predictions


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often images of each class get each answer.

    Attributes:
        classes: int64 ``[K]``, the labels and answers that occur, in ascending order.
        counts: int64 ``[n_dy, n_dx, K, K]``: at each shift, the number of images of class
            ``classes[i]`` (rows) that are answered ``classes[j]`` (columns).
        names: the names of the K classes, in the same order; their numbers if they have no names.
    """

    classes: NDArray[np.int64]
    counts: NDArray[np.int64]
    names: tuple[str, ...] = ()


def confusion(
    predictions: Array, labels: Array, class_names: Sequence[str] | None = None
) -> Confusion:
    """The confusion matrix at each shift; ``counts.sum((0, 1))`` is that of all patterns.

    Args:
        predictions: integers ``[N, n_dy, n_dx]``, N >= 1, a tensor or an array.
        labels: integers ``[N]``.
        class_names: names of the classes 0, 1, ...; None if they have none.

    Raises:
        ValueError: dtypes or shapes are not as described.

    >>> found = confusion(np.array([[[3, 3, 8]], [[5, 5, 5]]]), np.array([3, 5]))
    >>> found.classes.tolist(), found.counts[0, 2].tolist()  # at the last shift
    ([3, 5, 8], [[0, 0, 1], [0, 1, 0], [0, 0, 0]])
    >>> found.names
    ('3', '5', '8')
    """
    answers = check_predictions(predictions).astype(np.int64)
    truth = check_labels(labels, len(answers))
    classes = np.union1d(truth, answers)
    k, (n_dy, n_dx) = len(classes), answers.shape[1:]
    rows, columns = np.searchsorted(classes, truth), np.searchsorted(classes, answers)
    cells = (np.arange(n_dy * n_dx).reshape(n_dy, n_dx) * k + rows[:, None, None]) * k + columns
    counts = np.bincount(cells.reshape(-1), minlength=n_dy * n_dx * k * k)
    named = check_class_names(class_names) or ()
    names = tuple(class_name(label, named) for label in classes.tolist())
    return Confusion(classes, counts.reshape(n_dy, n_dx, k, k), names)


def class_name(label: int, names: Sequence[str] = ()) -> str:
    """The name of a class; its number if it has none."""
    return names[label] if 0 <= label < len(names) else str(label)
