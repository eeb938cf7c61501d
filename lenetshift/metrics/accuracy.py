"""How often the answer is right: over all patterns, at each shift, for each class, in the worst case."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import Array
from ..checks.predictions import check_labels, check_predictions
from ..checks.shifts import check_has_centre
from ..checks.types import check_type
from ..shifts import ShiftGrid
from .image_mean import ImageMean, over_images


def is_right(predictions: Array, labels: Array) -> NDArray[np.bool_]:
    """Whether each answer is the image's label: bool ``[N, n_dy, n_dx]``.

    Args:
        predictions: integers ``[N, n_dy, n_dx]``, N >= 1, a tensor or an array.
        labels: integers ``[N]``, of any size and sign.

    Raises:
        ValueError: dtypes or shapes are not as described.
    """
    # In NumPy: torch's threads, which it uses for so many values, hang in a forked child.
    answers = check_predictions(predictions)
    right: NDArray[np.bool_] = answers == check_labels(labels, len(answers))[:, None, None]
    return right


def moved_accuracy(predictions: Array, labels: Array) -> ImageMean:
    """The fraction of all N * n_dy * n_dx patterns that is answered right, the unmoved ones among
    them (Tanaka 2024, Table 1).

    Args and errors: as in :func:`is_right`.
    """
    return over_images(is_right(predictions, labels).mean((1, 2)))


def unmoved_accuracy(predictions: Array, labels: Array, grid: ShiftGrid) -> ImageMean:
    """The fraction of the N images that is answered right at shift (0, 0): the usual accuracy.

    Args and errors: as in :func:`is_right`; the grid must have shift (0, 0).
    """
    return over_images(right_when_unmoved(predictions, labels, grid))


def right_when_unmoved(predictions: Array, labels: Array, grid: ShiftGrid) -> NDArray[np.bool_]:
    """Whether each image is answered right at shift (0, 0): bool ``[N]``.

    Args and errors: as in :func:`unmoved_accuracy`.
    """
    check_type("grid", grid, ShiftGrid)
    check_has_centre("grid", grid)
    row, column = grid.index(0, 0)
    answers = check_predictions(predictions, grid.shape)
    return is_right(answers, labels)[:, row, column]


def worst_case_accuracy(predictions: Array, labels: Array) -> ImageMean:
    """The fraction of images that is answered right at every shift of the grid.

    An adversary who may choose the shift leaves no more than these (Engstrom et al. 2019, "Exploring
    the Landscape of Spatial Robustness", whose grid search this is, over translations alone).

    Args and errors: as in :func:`is_right`.
    """
    right = is_right(predictions, labels)
    always = np.logical_and.reduce(right.reshape(len(right), -1), axis=1)
    return over_images(always)


def accuracy_map(predictions: Array, labels: Array) -> NDArray[np.float64]:
    """The fraction of the images that is answered right at each shift: float64 ``[n_dy, n_dx]``.

    Args and errors: as in :func:`is_right`.
    """
    return _accuracy_map(is_right(predictions, labels))


def class_maps(predictions: Array, labels: Array) -> dict[int, NDArray[np.float64]]:
    """For each label that occurs, in ascending order, the accuracy map of its images alone: float64
    ``[n_dy, n_dx]``.

    A map a class and a cell a shift is the form of the translation-sensitivity maps of Kauderer-Abrams
    (2017, "Quantifying Translation-Invariance in Convolutional Neural Networks", arXiv 1801.01450),
    whose cells hold a distance of the network's outputs where these hold how often they are right.

    Args and errors: as in :func:`is_right`.
    """
    right = is_right(predictions, labels)
    truth = check_labels(labels, len(right))
    return {int(label): _accuracy_map(right[truth == label]) for label in np.unique(truth)}


def _accuracy_map(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    means: NDArray[np.float64] = right.sum(0) / len(right)
    return means
