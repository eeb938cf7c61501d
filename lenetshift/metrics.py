"""Counts and fractions from a prediction array; no model is run here."""

from __future__ import annotations

from typing import TypedDict

from torch import Tensor

from .checks import check_labels, check_predictions, check_type
from .shifts import ShiftGrid


class Counts(TypedDict):
    """How many patterns were answered right and wrong, and the fraction of right ones."""

    correct: int
    wrong: int
    accuracy: float


class Summary(TypedDict):
    """What ``summarize`` returns; JSON as it stands."""

    unmoved: Counts | None
    moved: Counts
    accuracy_map: list[list[float]]


def summarize(predictions: Tensor, labels: Tensor, grid: ShiftGrid) -> Summary:
    """The report's two columns (Tanaka 2024, Table 1), and the accuracy under each shift.

    Args:
        predictions: uint8 ``[N, n_dy, n_dx]``, N >= 1.
        labels: int64 ``[N]``, the true digits.
        grid: the shifts that the predictions belong to.

    Returns:
        ``"unmoved"``: counts over the N images at shift (0, 0), or None if the grid lacks it;
        ``"moved"``: counts over all N * n_dy * n_dx patterns, the unmoved ones among them as in
        the report; ``"accuracy_map"``: accuracy per shift, n_dy rows of n_dx. Accuracy is a
        fraction, 0 to 1.

    Raises:
        ValueError: dtypes or shapes are not as described.
    """
    check_type("grid", grid, ShiftGrid)
    check_predictions(predictions, grid.shape)
    n = len(predictions)
    check_labels(labels, n)

    # In NumPy: torch's threads, which it uses for so many values, hang in a forked child.
    right = predictions.cpu().numpy() == labels.cpu().numpy()[:, None, None]
    correct = right.sum(0).tolist()  # [n_dy][n_dx]
    unmoved = None
    if grid.has_centre:
        row, column = grid.index(0, 0)
        unmoved = _counts(correct[row][column], n)
    return {
        "unmoved": unmoved,
        "moved": _counts(sum(map(sum, correct)), n * len(grid)),
        "accuracy_map": [[count / n for count in row] for row in correct],
    }


def _counts(correct: int, total: int) -> Counts:
    return {"correct": correct, "wrong": total - correct, "accuracy": correct / total}
