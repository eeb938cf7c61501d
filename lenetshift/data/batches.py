"""Images and their labels, all at once or batch by batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks.arrays import Array
from ..checks.describe import describe, describe_array, dtype_name
from ..checks.errors import ArgumentError
from ..checks.images import check_images
from ..checks.predictions import check_labels
from ..shifts import ShiftGrid
from .dataset import Dataset
from .pairs import (
    BatchesOfItems,
    Items,
    check_no_splits,
    check_not_a_path,
    is_map_style,
    pair_of,
)

Batches = Iterable[tuple[Array, Array] | Mapping[str, Array]]


def batches_of(
    images: Array | Dataset | Items | Batches, labels: Array | None
) -> tuple[Iterator[tuple[Tensor, NDArray[np.int64]]], int | None, Tensor | None]:
    """Images and labels as batches, whatever form they have.

    Args:
        images: ``[N, H, W]`` or ``[N, C, H, W]``, a tensor or an array; a Dataset; a map-style dataset
            of torch or of Hugging Face; or an iterable of batches ``(images, labels)`` whose images have
            one size and dtype.
        labels: integers ``[N]`` if ``images`` is a tensor or an array, else None.

    Returns:
        The batches, each with at least one image and checked when it is taken; their expected number,
        None if it is unknown; and all images, None if they come in batches.

    Raises:
        ValueError: an argument is not as described; or, when it is taken, a batch is not: the message
            gives its number.
    """
    if isinstance(images, Dataset) and labels is None:
        dataset = images
        images, labels = dataset.images, dataset.labels
    if isinstance(images, ShiftGrid):
        raise ArgumentError("images", "a ShiftGrid", "images here: pass the grid as grid=")
    if isinstance(labels, ShiftGrid):
        raise ArgumentError("labels", "a ShiftGrid", _without_labels(images))
    if isinstance(images, (Tensor, np.ndarray)):
        checked = check_images(images)
        n = len(checked)
        if labels is None:
            raise ArgumentError("labels", "None", f"integers [{n}]")
        truth = check_labels(labels, n)
        if not n:
            raise ArgumentError("images", describe_array(images), "at least one image")
        return iter([(checked, truth)]), 1, checked
    check_no_splits(images, "images")
    if not is_map_style(images):
        _check_iterable(images)
    if labels is not None:
        raise ArgumentError(
            "labels",
            describe_array(labels),
            f"none with {describe(images)}, whose batches must be (images, labels)",
        )
    if is_map_style(images):
        items = BatchesOfItems(images)
        return _checked(items, len(items)), len(items), None
    assert isinstance(images, Iterable)
    return _checked(images, _length(images)), _length(images), None


def _check_iterable(images: object) -> None:
    check_not_a_path(images, "images")
    if not isinstance(images, Iterable):
        expected = "images or an iterable of (images, labels)"
        raise ArgumentError("images", describe(images), expected)


def _length(batches: Iterable[Any]) -> int | None:
    """The number of batches; None if it is not known."""
    # A generator or a DataLoader of a stream has no length; other objects may raise any error.
    with contextlib.suppress(Exception):
        return len(batches)  # type: ignore[arg-type]
    return None


def _without_labels(images: object) -> str:
    """What is expected in place of a grid that was passed where labels belong."""
    if isinstance(images, (Tensor, np.ndarray)):
        expected = f"integers [{len(images)}], one per image"
    else:
        expected = f"nothing here, since the labels come with the {type(images).__name__}"
    return f"{expected}: pass the grid as grid="


def _checked(
    batches: Iterable[Any], n_batches: int | None
) -> Iterator[tuple[Tensor, NDArray[np.int64]]]:
    """The batches that have images; ArgumentError if there are none, or fewer than the iterable's length."""
    first: tuple[torch.dtype, torch.Size] | None = None
    n = 0
    for n, batch in enumerate(batches, 1):
        pictures, truth = pair_of(batch, f"batch {n}", "a pair (images, labels)")
        try:
            images = check_images(pictures)
            labels = check_labels(truth, len(images))
        except ArgumentError as error:
            raise ArgumentError(f"batch {n}: {error.name}", error.got, error.expected) from error
        if not len(images):
            continue
        kind = (images.dtype, images.shape[1:])
        first = kind if first is None else first
        if kind != first:
            shape = ", ".join(map(str, first[1]))
            raise ArgumentError(
                f"batch {n}: images",
                describe(images),
                f"{dtype_name(first[0])} [N, {shape}] as in the first",
            )
        yield images, labels
    if n_batches is not None and n < n_batches:
        raise ArgumentError("images", f"{n} batches", f"{n_batches}, the iterable's length")
    if first is None:
        raise ArgumentError("images", f"an iterable of {n} batches without images", "some")
