"""Data sets whose images are moved: by a rule, or each by a shift of its own."""

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

    All shifts of the grid are equally likely, and each image's is drawn for itself. A new epoch is a
    new draw: ``train(model, data=lambda epoch: jitter(dataset, grid, seed, epoch), ...)`` shows
    every image somewhere else each time.

    Args:
        dataset: images and labels; left as it is.
        grid: the shifts, in pixels, within -27..27.
        seed: 0..2**32 - 1. With the epoch's number it settles the shifts, by a generator of its own:
            no other random numbers of training are the same, or change.
        epoch: 0 or more.

    Returns:
        A new Dataset with the same labels, on the device of ``dataset``.

    Raises:
        ValueError: an argument is not as described.
    """
    check_type("dataset", dataset, Dataset)
    check_type("grid", grid, ShiftGrid)
    check_grid_fits(grid.dx, grid.dy, (28, 28), (28, 28))
    seed, epoch = check_seed(seed), check_int("epoch", epoch, 0)
    drawn = epoch_choices(len(dataset), len(grid), seed, epoch)
    return _moved(dataset, grid.shifts().numpy()[drawn.numpy()])


def position_biased(dataset: Dataset, rule: ShiftRule) -> Dataset:
    """A training set in which the digit can be told from its place.

    Args:
        dataset: images and labels; left as it is.
        rule: digit -> (dx, dy) in pixels, within -27..27; every image with that label is moved
            so. The report's second experiment (Tanaka 2024) is ``{3: (3, 0), 2: (-3, 0)}``:
            each 3 to the right, each 2 to the left.

    Returns:
        A new Dataset with the same labels; digits that the rule does not name stay in place.

    Raises:
        ValueError: a label or shift that the rule cannot have.
    """
    check_type("dataset", dataset, Dataset)
    rule = check_shift_rule(rule)
    by_label = np.array([rule.get(label, (0, 0)) for label in range(10)])
    return _moved(dataset, by_label[dataset.labels.cpu().numpy()])


def _moved(dataset: Dataset, shifts: NDArray[np.int64]) -> Dataset:
    """Image i moved by row i, (dx, dy). The rows come from NumPy: torch's threads, which gather so many
    values, hang in a forked child."""
    device = dataset.images.device
    moved = torch.ops.lenetshift.shift_each(dataset.images, torch.from_numpy(shifts).to(device))
    return Dataset(moved, dataset.labels)
