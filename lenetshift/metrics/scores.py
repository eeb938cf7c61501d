"""How much the network's own certainty moves with the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import Array, as_array, as_dense
from ..checks.describe import describe_array
from ..checks.errors import ArgumentError, NotAvailable
from ..checks.predictions import check_labels
from ..checks.types import check_type
from ..shifts import ShiftGrid
from .image_mean import ImageMean, over_images
from .registry import metric
from .stability import n_neighbours

_LOGITS_AT_ONCE = 1 << 20


@metric(
    "score change", "mean change of the true class's softmax for each pixel that the image moves",
    "labels", "neighbours", "logits", smaller_is_better=True,
)  # fmt: skip
def score_change(logits: Array | None, labels: Array, grid: ShiftGrid) -> ImageMean:
    """The mean absolute change of the true class's score per pixel that the image moves.

    The score is the softmax of the logits, 0 to 1. The change between two neighbouring shifts, for all
    pairs of them, is divided by the pixels between them, the grid's step. This follows the mean
    absolute change of Azulay and Weiss (2019, "Why do deep convolutional networks generalize so
    poorly to small image transformations?", JMLR 20).

    Args:
        logits: floating ``[N, n_dy, n_dx, K]``, N >= 1, a tensor or an array.
        labels: integers ``[N]``, 0..K - 1.
        grid: the shifts that the logits belong to, two or more.

    Raises:
        NotAvailable: there are no floating logits or a single shift, or a label is not a class of the
            model.
        ValueError: other dtypes or shapes are not as described.

    >>> logits = np.array([[[[0.0, 0.0], [0.0, 9.0], [0.0, 9.0]]]])  # 0.5, then nearly 0 twice
    >>> round(score_change(logits, np.array([0]), ShiftGrid(range(-1, 2), range(1))).value, 3)
    0.25
    """
    check_type("grid", grid, ShiftGrid)
    values = as_array(logits)
    n_dy, n_dx = grid.shape
    expected = f"floating [N, {n_dy}, {n_dx}, K], N, K >= 1"
    if logits is None:
        raise NotAvailable(f"logits: got NoneType, expected {expected}")
    dense = as_dense(logits) if values is None else values  # NumPy has no float8
    if (
        dense is None
        or dense.ndim != 4
        or tuple(dense.shape[1:3]) != grid.shape
        or 0 in dense.shape
    ):
        raise ArgumentError("logits", describe_array(logits), expected)
    if values is None or values.dtype.kind != "f":
        raise NotAvailable(f"logits: got {describe_array(logits)}, expected {expected}")
    n, n_classes = len(values), values.shape[3]
    truth = check_labels(labels, n)
    low, high = truth.min(), truth.max()
    if low < 0 or high >= n_classes:
        raise NotAvailable(
            f"labels: got values in {low}..{high}, expected 0..{n_classes - 1}: "
            "only a class of the model has a score"
        )
    n_pairs = n_neighbours(grid.shape)
    changes = np.empty(n)
    at_once = max(1, _LOGITS_AT_ONCE // values[0].size)
    for first in range(0, n, at_once):
        part = slice(first, first + at_once)
        scores = _scores(values[part], truth[part])
        total = np.abs(np.diff(scores, axis=1)).sum((1, 2)) / grid.dy.step
        changes[part] = total + np.abs(np.diff(scores, axis=2)).sum((1, 2)) / grid.dx.step
    return over_images(changes / n_pairs)


def _scores(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The softmax of each image's true class: float64 ``[n, n_dy, n_dx]``."""
    exponents = logits.astype(np.float64)
    exponents -= exponents.max(-1, keepdims=True)
    true_class = labels[:, None, None, None]
    of_true_class = np.take_along_axis(exponents, true_class, -1)[..., 0]
    scores: NDArray[np.float64] = np.exp(of_true_class) / np.exp(exponents).sum(-1)
    return scores
