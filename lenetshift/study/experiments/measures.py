"""The measures of one trained network: pure functions of its predictions, in per cent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import metrics
from .runs import GRID, accuracies

DEFINITIONS: dict[str, str] = {
    "unmoved": "test images answered right at shift (0, 0)",
    "moved": "patterns (image and shift) answered right, the unmoved ones among them",
    "kept": "patterns answered right, of the images that are answered right unmoved",
    "change": "moved less unmoved, in points",
    "worst_case": "test images answered right at every shift",
    "agreement": "moved patterns that get the answer of their unmoved image, right or wrong",
    "consistency": "pairs of shifts, drawn independently, that give an image the same answer",
    "loss": "mean cross-entropy of the last epoch's steps, in nats",
}
"""The measures that are one number, with their definitions; all except the loss are in per cent."""


def measure(
    predictions: NDArray[np.uint8], labels: NDArray[np.int64], losses: NDArray[np.float32]
) -> dict[str, float]:
    """The measures of one network.

    Args:
        predictions: ``[N, n_dy, n_dx]`` on the report's grid.
        labels: ``[N]``.
        losses: ``[n_steps]``, of the last epoch.
    """
    fractions = {
        "worst_case": metrics.worst_case_accuracy(predictions, labels),
        "agreement": metrics.agreement(predictions, GRID),
        "consistency": metrics.consistency(predictions, labels, GRID).overall,
    }
    values = {name: 100 * fraction.value for name, fraction in fractions.items()}
    values = {**accuracies(predictions, labels), **values}
    return {**values, "loss": mean_loss(losses)}


def mean_loss(losses: NDArray[np.float32]) -> float:
    """The mean loss of an epoch's steps ``[n_steps]``, in nats."""
    return float(losses.astype(np.float64).mean())


def accuracy_by_dx(predictions: NDArray[np.uint8], labels: NDArray[np.int64]) -> list[float]:
    """Per cent of the images answered right at each dx -5..5, dy = 0."""
    row = GRID.index(0, 0)[0]
    by_dx = 100 * metrics.accuracy_map(predictions, labels)[row]
    return [float(value) for value in by_dx]


def answered_by_class(
    predictions: NDArray[np.uint8], labels: NDArray[np.int64], digits: Sequence[int]
) -> dict[str, Any]:
    """For each of some digits: per cent of the images that are answered with it at each dx, dy = 0.

    Returns:
        ``{digit: {"all": [n_dx], "0": [n_dx], ... "9": ...}}``: of all images, and of the images of each
        true class that occurs.
    """
    answers = predictions[:, GRID.index(0, 0)[0]]  # [N, n_dx]
    result: dict[str, Any] = {}
    for digit in digits:
        so = answers == digit
        by_class = {str(c): (100 * so[labels == c].mean(0)).tolist() for c in np.unique(labels)}
        result[str(digit)] = {"all": (100 * so.mean(0)).tolist(), **by_class}
    return result
