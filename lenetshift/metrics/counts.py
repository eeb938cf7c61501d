"""The report's two columns: how many answers are right and wrong, unmoved and moved."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import Array
from ..checks.predictions import check_predictions
from ..checks.types import check_type
from ..shifts import ShiftGrid
from .accuracy import accuracy_map, is_right


class Counts(TypedDict):
    """How many patterns were answered right and wrong, and the fraction of right ones."""

    correct: int
    wrong: int
    accuracy: float


class Summary(TypedDict):
    """What ``summarize`` returns; it can be written as JSON."""

    unmoved: Counts | None
    moved: Counts
    accuracy_map: list[list[float]]


def summarize(predictions: Array, labels: Array, grid: ShiftGrid) -> Summary:
    """The report's two columns (Tanaka 2024, Table 1), and the accuracy under each shift.

    Args:
        predictions: integers ``[N, n_dy, n_dx]``, N >= 1, a tensor or an array.
        labels: integers ``[N]``, the true classes.
        grid: the shifts that the predictions belong to.

    Returns:
        ``"unmoved"``: counts over the N images at shift (0, 0), or None if the grid lacks it;
        ``"moved"``: counts over all N * n_dy * n_dx patterns, unmoved ones included as in the
        report; ``"accuracy_map"``: accuracy per shift, n_dy rows of n_dx. Accuracy is a fraction, 0
        to 1.

    Raises:
        ValueError: dtypes or shapes are not as described.

    >>> predictions = np.array([[[3, 3, 8]], [[5, 5, 5]]])  # two images, dx = -1, 0, 1
    >>> summary = summarize(predictions, np.array([3, 5]), ShiftGrid(range(-1, 2), range(1)))
    >>> summary["unmoved"]
    {'correct': 2, 'wrong': 0, 'accuracy': 1.0}
    >>> summary["moved"]["wrong"], summary["accuracy_map"]
    (1, [[1.0, 1.0, 0.5]])
    """
    check_type("grid", grid, ShiftGrid)
    right = is_right(check_predictions(predictions, grid.shape), labels)
    unmoved = None
    if grid.has_centre:
        row, column = grid.index(0, 0)
        unmoved = counts(right[:, row, column])
    return {
        "unmoved": unmoved,
        "moved": counts(right),
        "accuracy_map": accuracy_map(predictions, labels).tolist(),
    }


def counts(right: NDArray[np.bool_]) -> Counts:
    """The counts of one or more answers, right or not."""
    correct, total = int(np.count_nonzero(right)), right.size
    return {"correct": correct, "wrong": total - correct, "accuracy": correct / total}
