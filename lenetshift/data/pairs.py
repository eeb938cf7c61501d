"""Images with labels in the forms that datasets and loaders give them: pairs, and dicts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from ..checks.arrays import as_array
from ..checks.describe import describe_array, shown
from ..checks.errors import ArgumentError
from ..checks.images import has_channels_last
from .pictures import as_picture

IMAGE_KEYS = ("image", "img", "pixel_values", "images")
LABEL_KEYS = ("label", "labels", "fine_label", "target")
"""The keys of a dict of images and labels; one of each must be there."""

AT_ONCE = 256
"""The most items of a dataset that are read as a batch."""

BATCH_BYTES = 64 << 20
"""The most bytes of such a batch, if it has more than one image: 106 of 224 x 224 pixels in float32."""


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


def check_no_splits(images: object, name: str) -> None:
    """ArgumentError if this is a dict of Hugging Face's datasets, one for each split."""
    if isinstance(images, Mapping) and hasattr(images, "column_names"):
        splits = ", ".join(map(str, images))
        raise ArgumentError(
            name, f"{type(images).__name__} with the splits {splits}", "one of its splits"
        )


def n_at_once(image_bytes: int, most_images: int, most_bytes: int) -> int:
    """Images in a batch that is read at once."""
    return max(1, min(most_images, most_bytes // max(1, image_bytes)))


def pair_of(batch: Any, name: str, expected: str) -> tuple[Any, Any]:
    """Images and labels, or one of each.

    Args:
        batch: a pair, or a dict with one key of :data:`IMAGE_KEYS` and one of :data:`LABEL_KEYS`.
        name: what it is called in an error.
        expected: a pair of what, for an error.

    Raises:
        ArgumentError: anything else.
    """
    check_not_a_path(batch, name)
    if isinstance(batch, Mapping):
        pair = _of_a_dict(batch, IMAGE_KEYS, name), _of_a_dict(batch, LABEL_KEYS, name)
    elif isinstance(batch, (tuple, list)) and len(batch) == 2:
        pair = batch[0], batch[1]
    else:
        got = f"{len(batch)} items" if isinstance(batch, (tuple, list)) else describe_array(batch)
        raise ArgumentError(name, got, expected)
    first = pair[0][0] if isinstance(pair[0], (tuple, list)) and pair[0] else pair[0]
    check_not_a_path(first, f"{name}: image")
    return pair


def check_not_a_path(value: object, name: str) -> None:
    """ArgumentError if a path has been given in the place of what is in its file."""
    if isinstance(value, (str, os.PathLike)):
        raise ArgumentError(
            name, f"a path, {shown(value)}", "pixels: lenetshift.open_data(PATH) reads files"
        )


def _of_a_dict(batch: Mapping[Any, Any], keys: Sequence[str], name: str) -> Any:
    found = [key for key in keys if key in batch]
    if len(found) != 1:
        raise ArgumentError(
            name, f"a dict with the keys {', '.join(map(str, batch))}", f"one of {', '.join(keys)}"
        )
    return batch[found[0]]


class BatchesOfItems:
    """The items of a map-style dataset, in order, as pairs of images and labels; the first is read at once.

    Raises:
        ArgumentError: an item is not a pair of an image and a label, or differs from the others.
    """

    def __init__(self, dataset: Items) -> None:
        self._dataset, self._n = dataset, len(dataset)
        self._first: tuple[Tensor, NDArray[Any]] | None = None
        self.n_at_once = AT_ONCE
        if self._n:
            self._first = self._item(0)
            self.n_at_once = n_at_once(self._first[0].nbytes, AT_ONCE, BATCH_BYTES)

    def __len__(self) -> int:
        """The number of batches."""
        return -(-self._n // self.n_at_once)

    def __iter__(self) -> Iterator[tuple[Tensor, NDArray[Any]]]:
        """Each batch, read when it is asked for."""
        for start in range(0, self._n, self.n_at_once):
            numbers = range(start, min(self._n, start + self.n_at_once))
            items = [self._item(i) for i in numbers]
            yield (
                _stacked([image for image, _ in items], start),
                np.array([label for _, label in items]),
            )

    def _item(self, i: int) -> tuple[Tensor, NDArray[Any]]:
        if i == 0 and self._first is not None:
            return self._first
        image, label = pair_of(self._dataset[i], f"item {i}", "a pair (image, label)")
        return _image(image, f"item {i}"), _label(label, f"item {i}")


def _image(image: Any, name: str) -> Tensor:
    """A tensor, an array or a picture of Pillow as a tensor, whose numbers are kept; pictures, and bytes with
    channels last, as :func:`as_picture` reads them."""
    array = image if isinstance(image, Tensor) else as_array(image)
    if isinstance(image, Image.Image) or _is_bytes_with_channels_last(array):
        try:
            pixels = torch.from_numpy(np.array(as_picture(image)))
        except ValueError as error:
            raise ValueError(f"{name}: image: {error}") from error
        return pixels if pixels.dim() == 2 else pixels.permute(2, 0, 1)
    if array is None:
        raise ArgumentError(
            f"{name}: image", describe_array(image), "a tensor, an array or a picture"
        )
    return array if isinstance(array, Tensor) else torch.from_numpy(np.ascontiguousarray(array))


def _is_bytes_with_channels_last(array: Tensor | NDArray[Any] | None) -> bool:
    return (
        array is not None
        and array.ndim == 3
        and array.dtype in (torch.uint8, np.uint8)
        and has_channels_last(torch.Size((1, *array.shape)))
    )


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
