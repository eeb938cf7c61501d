"""Data sets whose images are moved, by a rule or each by a random shift."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..checks.numbers import check_int, check_seed
from ..checks.shifts import check_grid_fits, check_shift_rule
from ..checks.types import check_type
from ..shifts import ShiftGrid, ShiftRule
from .dataset import Dataset
from .seeds import epoch_choices


def jitter(dataset: Dataset, grid: ShiftGrid, seed: int, epoch: int) -> Dataset:
    """A data set in which each image is moved by a shift drawn from a grid.

    Shifts are drawn independently for each image, all shifts of the grid with equal probability. A new
    epoch is a new draw: ``train(model, data=lambda epoch: jitter(dataset, grid, seed, epoch), ...)``
    moves every image anew in each epoch.

    Args:
        dataset: images and labels; it is not changed.
        grid: the shifts, in pixels, within -27..27.
        seed: 0..2**32 - 1. Seed and epoch determine the shifts. They come from a separate generator,
            whose numbers are not used elsewhere and which changes no other random numbers of training.
        epoch: 0 or more.

    Returns:
        A new Dataset with the same labels, on the device of ``dataset``.

    Raises:
        ValueError: an argument is not as described.

    >>> import torch
    >>> from lenetshift import Dataset, ShiftGrid, jitter
    >>> images = torch.zeros(2, 28, 28, dtype=torch.uint8)
    >>> images[:, 14, 14] = 255  # two images of a dot in the middle
    >>> dataset = Dataset(images, torch.tensor([0, 1]))
    >>> moved = jitter(dataset, ShiftGrid(), seed=0, epoch=0)
    >>> moved.images.nonzero()  # image, row, column
    tensor([[ 0, 13,  9],
            [ 1, 16, 15]])
    """
    check_type("dataset", dataset, Dataset)
    check_type("grid", grid, ShiftGrid)
    check_grid_fits(grid.dx, grid.dy, (28, 28), (28, 28))
    seed, epoch = check_seed(seed), check_int("epoch", epoch, 0)
    drawn = epoch_choices(len(dataset), len(grid), seed, epoch)
    return _moved(dataset, grid.shifts().numpy()[drawn.numpy()])


def position_biased(dataset: Dataset, rule: ShiftRule) -> Dataset:
    """A training set in which the position of a digit depends on its label.

    Args:
        dataset: images and labels; it is not changed.
        rule: digit -> (dx, dy) in pixels, within -27..27, the shift of every image with that label.
            The report's second experiment (Tanaka 2024) is ``{3: (3, 0), 2: (-3, 0)}``: each 3 is
            moved to the right, each 2 to the left.

    Returns:
        A new Dataset with the same labels; digits that the rule does not name are not moved.

    Raises:
        ValueError: the rule has a label that is not a digit, or a shift that is not as described.

    >>> import torch
    >>> from lenetshift import Dataset, position_biased
    >>> images = torch.zeros(2, 28, 28, dtype=torch.uint8)
    >>> images[:, 14, 14] = 255  # two images of a dot in the middle
    >>> moved = position_biased(Dataset(images, torch.tensor([3, 8])), {3: (3, 0)})
    >>> moved.images.nonzero()  # image, row, column
    tensor([[ 0, 14, 17],
            [ 1, 14, 14]])
    """
    check_type("dataset", dataset, Dataset)
    rule = check_shift_rule(rule)
    by_label = np.array([rule.get(label, (0, 0)) for label in range(10)])
    return _moved(dataset, by_label[dataset.labels.cpu().numpy()])


def _moved(dataset: Dataset, shifts: NDArray[np.int64]) -> Dataset:
    """Image i moved by row i of ``shifts``, (dx, dy). The rows are a NumPy array: to gather them, torch would
    use its threads, which hang in a forked child."""
    device = dataset.images.device
    moved = torch.ops.lenetshift.shift_each(dataset.images, torch.from_numpy(shifts).to(device))
    return Dataset(moved, dataset.labels)
