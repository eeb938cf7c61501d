"""Images and their labels, in one piece or batch by batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..checks.arrays import Array
from ..checks.describe import describe, describe_array, dtype_name
from ..checks.images import check_images
from ..checks.predictions import check_labels
from .dataset import Dataset

Batches = Iterable[tuple[Array, Array]]


def batches_of(
    images: Array | Dataset | Batches, labels: Array | None
) -> tuple[Iterator[tuple[Tensor, NDArray[np.int64]]], int | None, Tensor | None]:
    """Images and labels batch by batch, whatever they come in.

    Args:
        images: ``[N, H, W]`` or ``[N, C, H, W]``, a tensor or an array; a Dataset; or an iterable of
            batches ``(images, labels)`` of one size and dtype.
        labels: integers ``[N]`` where the images come alone, else None.

    Returns:
        The batches, each checked when it comes and with an image at least; how many they are to be,
        None if nobody knows; and all images, if they are there at once.

    Raises:
        ValueError: at once, or where a batch is not as described, in a line that gives its number.
    """
    if isinstance(images, Dataset) and labels is None:
        dataset = images
        images, labels = dataset.images, dataset.labels
    if isinstance(images, (Tensor, np.ndarray)):
        pictures = check_images(images)
        if labels is None:
            raise ValueError(f"labels: got None, expected integers [{len(pictures)}]")
        truth = check_labels(labels, len(pictures))
        if not len(pictures):
            raise ValueError(f"images: got {describe_array(images)}, expected at least one image")
        return iter([(pictures, truth)]), 1, pictures
    if not isinstance(images, Iterable):
        raise ValueError(
            f"images: got {describe(images)}, expected images or an iterable of (images, labels)"
        )
    if labels is not None:
        raise ValueError(
            f"labels: got {describe_array(labels)}, expected none beside {describe(images)}, whose "
            "batches are to be (images, labels)"
        )
    n_batches = None
    # A generator has no length, nor has a DataLoader of a stream; others raise what they like.
    with contextlib.suppress(Exception):
        n_batches = len(images)  # type: ignore[arg-type]
    return _checked(images, n_batches), n_batches, None


def _checked(
    batches: Iterable[Any], n_batches: int | None
) -> Iterator[tuple[Tensor, NDArray[np.int64]]]:
    """The batches that have images; ValueError if there are none, or fewer than there should be."""
    first: Tensor | None = None
    n = 0
    for n, batch in enumerate(batches, 1):
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            got = (
                f"{len(batch)} items" if isinstance(batch, (tuple, list)) else describe_array(batch)
            )
            raise ValueError(f"batch {n}: got {got}, expected a pair (images, labels)")
        try:
            pictures = check_images(batch[0])
            truth = check_labels(batch[1], len(pictures))
        except ValueError as error:
            raise ValueError(f"batch {n}: {error}") from error
        if not len(pictures):
            continue
        first = pictures[:0] if first is None else first
        if (pictures.dtype, pictures.shape[1:]) != (first.dtype, first.shape[1:]):
            raise ValueError(
                f"batch {n}: images: got {describe(pictures)}, "
                f"expected {dtype_name(first.dtype)} [N, {', '.join(map(str, first.shape[1:]))}] "
                "as in the first"
            )
        yield pictures, truth
    if n_batches is not None and n < n_batches:
        raise ValueError(f"images: got {n} batches, expected {n_batches}, the iterable's length")
    if first is None:
        raise ValueError(f"images: got an iterable of {n} batches without images, expected some")
