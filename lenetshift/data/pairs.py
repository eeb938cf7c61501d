"""Images with labels in the forms that datasets and loaders give them: pairs, and dicts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from ..checks.arrays import as_array
from ..checks.describe import describe_array
from ..checks.errors import ArgumentError

IMAGE_KEYS = ("image", "images", "pixel_values", "img")
LABEL_KEYS = ("label", "labels", "target")
"""The keys of a dict of images and labels; one of each must be there."""

AT_ONCE = 256
"""Items of a dataset that are read as a batch."""


class Items(Protocol):
    """A map-style dataset, of torch or of Hugging Face."""

    def __len__(self) -> int:
        """The number of items."""

    def __getitem__(self, i: int, /) -> Any:
        """An image with its label."""


def is_map_style(images: object) -> TypeGuard[Items]:
    """Whether this is such a dataset."""
    if isinstance(images, Dataset):
        return not isinstance(images, IterableDataset)
    return hasattr(images, "column_names") and hasattr(images, "__getitem__")


def pair_of(batch: Any, name: str, expected: str) -> tuple[Any, Any]:
    """Images and labels, or one of each.

    Args:
        batch: a pair, or a dict with one key of :data:`IMAGE_KEYS` and one of :data:`LABEL_KEYS`.
        name: what it is called in an error.
        expected: a pair of what, for an error.

    Raises:
        ArgumentError: anything else.
    """
    if isinstance(batch, Mapping):
        return _of_a_dict(batch, IMAGE_KEYS, name), _of_a_dict(batch, LABEL_KEYS, name)
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    got = f"{len(batch)} items" if isinstance(batch, (tuple, list)) else describe_array(batch)
    if isinstance(batch, (str, os.PathLike)):
        expected += ": files must have been read"
    raise ArgumentError(name, got, expected)


def _of_a_dict(batch: Mapping[Any, Any], keys: Sequence[str], name: str) -> Any:
    found = [key for key in keys if key in batch]
    if len(found) != 1:
        raise ArgumentError(
            name, f"a dict with the keys {', '.join(map(str, batch))}", f"one of {', '.join(keys)}"
        )
    return batch[found[0]]


def batches_of_items(dataset: Items) -> Iterator[tuple[Any, Any]]:
    """The items of a map-style dataset, in order, :data:`AT_ONCE` as a pair of images and labels.

    Raises:
        ArgumentError: an item is not a pair of an image and a label, or differs from the others.
    """
    for first in range(0, len(dataset), AT_ONCE):
        numbers = range(first, min(len(dataset), first + AT_ONCE))
        items = [pair_of(dataset[i], f"item {i}", "a pair (image, label)") for i in numbers]
        images = [_image(item[0], f"item {i}") for i, item in zip(numbers, items, strict=True)]
        labels = [_label(item[1], f"item {i}") for i, item in zip(numbers, items, strict=True)]
        yield _stacked(images, first), np.array(labels)


def _image(image: Any, name: str) -> Tensor:
    """A tensor, an array or a picture of Pillow as a tensor."""
    if hasattr(image, "getbands"):  # Pillow's, which need not be installed
        if "".join(image.getbands()) not in ("L", "RGB"):
            raise ArgumentError(
                f"{name}: image", f"a picture in mode {image.mode}", "mode L or RGB"
            )
        pixels = torch.from_numpy(np.array(image))
        return pixels if pixels.dim() == 2 else pixels.permute(2, 0, 1)
    array = image if isinstance(image, Tensor) else as_array(image)
    if array is None:
        raise ArgumentError(
            f"{name}: image", describe_array(image), "a tensor, an array or a picture"
        )
    return array if isinstance(array, Tensor) else torch.from_numpy(np.ascontiguousarray(array))


def _label(label: Any, name: str) -> NDArray[Any]:
    array = np.asarray(label.cpu() if isinstance(label, Tensor) else label)
    if array.size != 1 or array.dtype.kind not in "iu":
        raise ArgumentError(f"{name}: label", describe_array(label), "an integer")
    return array.reshape(())


def _stacked(images: list[Tensor], first: int) -> Tensor:
    for i, image in enumerate(images, first):
        if (image.shape, image.dtype) != (images[0].shape, images[0].dtype):
            raise ArgumentError(
                f"item {i}: image", describe_array(image), f"{describe_array(images[0])} as before"
            )
    return torch.stack(images)
