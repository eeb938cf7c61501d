"""How often the answer is right: over all patterns, at each shift, for each class, in the worst case."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import Array
from ..checks.errors import NotAvailable
from ..checks.predictions import check_labels, check_predictions
from ..checks.types import check_type
from ..shifts import ShiftGrid
from .image_mean import ImageMean, over_images
from .registry import metric


def is_right(predictions: Array, labels: Array) -> NDArray[np.bool_]:
    """Whether each answer is the image's label: bool ``[N, n_dy, n_dx]``.

    Args:
        predictions: integers ``[N, n_dy, n_dx]``, N >= 1, a tensor or an array.
        labels: integers ``[N]``, of any size and sign.

    Raises:
        ValueError: dtypes or shapes are not as described.
    """
    # In NumPy: torch would use threads for so many values, and those hang in a forked child.
    answers = check_predictions(predictions)
    right: NDArray[np.bool_] = answers == check_labels(labels, len(answers))[:, None, None]
    return right


def centre_of(grid: ShiftGrid) -> tuple[int, int]:
    """Row and column of shift (0, 0) in the grid.

    Raises:
        NotAvailable: the grid lacks it.
        ValueError: ``grid`` is not a grid.
    """
    check_type("grid", grid, ShiftGrid)
    if not grid.has_centre:
        raise NotAvailable(f"grid: got {grid}, expected one with the unmoved image, shift (0, 0)")
    return grid.index(0, 0)


@metric("unmoved accuracy", "fraction of images answered right at shift (0, 0)", "labels", "centre")
def unmoved_accuracy(predictions: Array, labels: Array, grid: ShiftGrid) -> ImageMean:
    """The fraction of the N images that is answered right at shift (0, 0): the usual accuracy.

    Args and errors: as in :func:`moved_accuracy`; the grid must have shift (0, 0).

    >>> predictions = np.array([[[3, 3, 8]], [[5, 3, 3]]])  # two images, dx = -1, 0, 1
    >>> unmoved_accuracy(predictions, np.array([3, 5]), ShiftGrid(range(-1, 2), range(1))).value
    0.5
    """
    return over_images(right_when_unmoved(predictions, labels, grid))


def right_when_unmoved(predictions: Array, labels: Array, grid: ShiftGrid) -> NDArray[np.bool_]:
    """Whether each image is answered right at shift (0, 0): bool ``[N]``.

    Args and errors: as in :func:`unmoved_accuracy`.
    """
    row, column = centre_of(grid)
    answers = check_predictions(predictions, grid.shape)
    return is_right(answers, labels)[:, row, column]


@metric("moved accuracy", "fraction of patterns answered right, unmoved ones included", "labels")
def moved_accuracy(predictions: Array, labels: Array) -> ImageMean:
    """The fraction of all N * n_dy * n_dx patterns that is answered right, unmoved ones included
    (Tanaka 2024, Table 1).

    Args:
        predictions: integers ``[N, n_dy, n_dx]``, N >= 1, a tensor or an array.
        labels: integers ``[N]``, of any size and sign.

    Raises:
        ValueError: dtypes or shapes are not as described.

    >>> predictions = np.array([[[3, 3, 8]], [[5, 5, 5]]])
    >>> round(moved_accuracy(predictions, np.array([3, 5])).value, 3)
    0.833
    """
    return over_images(is_right(predictions, labels).mean((1, 2)))


@metric("worst case accuracy", "fraction of images answered right at every shift", "labels")
def worst_case_accuracy(predictions: Array, labels: Array) -> ImageMean:
    """The fraction of images that is answered right at every shift of the grid.

    An adversary who may choose the shift leaves no more than these (Engstrom et al. 2019, "Exploring
    the Landscape of Spatial Robustness", whose grid search this is, over translations alone).

    Args and errors: as in :func:`moved_accuracy`.

    >>> predictions = np.array([[[3, 3, 8]], [[5, 5, 5]]])
    >>> worst_case_accuracy(predictions, np.array([3, 5])).value
    0.5
    """
    right = is_right(predictions, labels)
    always = np.logical_and.reduce(right.reshape(len(right), -1), axis=1)
    return over_images(always)


def accuracy_map(predictions: Array, labels: Array) -> NDArray[np.float64]:
    """The fraction of the images that is answered right at each shift: float64 ``[n_dy, n_dx]``.

    Args and errors: as in :func:`moved_accuracy`.

    >>> accuracy_map(np.array([[[3, 3, 8]], [[5, 5, 5]]]), np.array([3, 5]))
    array([[1. , 1. , 0.5]])
    """
    return _accuracy_map(is_right(predictions, labels))


def class_maps(predictions: Array, labels: Array) -> dict[int, NDArray[np.float64]]:
    """The accuracy map of the images of each label that occurs: float64 ``[n_dy, n_dx]`` by label, in
    ascending order.

    One map per class with one cell per shift is the form of the translation-sensitivity maps of
    Kauderer-Abrams (2017, "Quantifying Translation-Invariance in Convolutional Neural Networks", arXiv
    1801.01450). Their cells hold a distance between the network's outputs; these hold an accuracy.

    Args and errors: as in :func:`moved_accuracy`.

    >>> class_maps(np.array([[[3, 3, 8]], [[5, 5, 5]]]), np.array([3, 5]))
    {3: array([[1., 1., 0.]]), 5: array([[1., 1., 1.]])}
    """
    right = is_right(predictions, labels)
    truth = check_labels(labels, len(right))
    return {int(label): _accuracy_map(right[truth == label]) for label in np.unique(truth)}


def _accuracy_map(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    means: NDArray[np.float64] = right.sum(0) / len(right)
    return means
