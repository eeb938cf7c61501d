"""Images with their labels, and the form in which a model takes images."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from ..checks.arrays import as_array
from ..checks.describe import shown
from ..checks.errors import ArgumentError
from ..checks.images import check_digit_images
from ..checks.numbers import check_int, is_int
from ..checks.predictions import check_digits
from ..checks.types import check_type


@dataclass(frozen=True, eq=False)
class Dataset(TorchDataset[tuple[Tensor, Tensor]]):
    """Images and their labels: a PyTorch dataset, which can be indexed, iterated over and loaded.

    Both tensors are kept as they are, not copied.

    Args:
        images: uint8 ``[N, 28, 28]``, 0 = background, 255 = full ink.
        labels: int64 ``[N]``, digits 0..9.

    Raises:
        ValueError: other dtypes or shapes, unequal lengths, or labels outside 0..9.

    >>> import torch
    >>> from lenetshift import Dataset
    >>> images = torch.zeros(3, 28, 28, dtype=torch.uint8)
    >>> dataset = Dataset(images, torch.tensor([7, 0, 9]))
    >>> image, label = dataset[-1]
    >>> image.shape, label
    (torch.Size([28, 28]), tensor(9))
    >>> dataset[:2].labels
    tensor([7, 0])
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        """Check both tensors."""
        check_digit_images(self.images)
        check_digits(self.labels, len(self.images))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]: ...

    @overload
    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> Dataset: ...

    def __getitem__(
        self, index: int | slice | Tensor | Sequence[int]
    ) -> tuple[Tensor, Tensor] | Dataset:
        """One image uint8 ``[28, 28]`` and its label int64 ``[]``, or a Dataset of several.

        Args:
            index: an int (also NumPy's, or in a tensor without dimensions), negative ones from the end;
                or a slice, a list of ints, or ints or bools in a tensor or an array ``[n]``.

        Raises:
            IndexError: there is no such image.
            ValueError: another type or shape.
        """
        rows = _rows(index, len(self))
        if isinstance(rows, int):
            return self.images[rows], self.labels[rows]
        if isinstance(rows, slice):
            return Dataset(self.images[rows], self.labels[rows])
        # In NumPy: torch would use its threads here, which hang in a forked child.
        images, labels = (tensor.cpu().numpy()[rows] for tensor in (self.images, self.labels))
        device = self.images.device
        return Dataset(torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each image with its label."""
        return zip(self.images, self.labels, strict=True)

    def subset(self, n: int) -> Dataset:
        """``n`` images and their labels, evenly spaced over the set (see ``evenly_spaced``); the set itself
        if ``n`` is its length.

        The first ``n`` images would be a biased sample: MNIST's first 5,000 test images come from other
        writers than the last 5,000, and differ in how easy they are to read.

        Raises:
            ValueError: ``n`` is not an int in 1..len(self).
        """
        n = check_int("n", n, 1, len(self))
        return self if n == len(self) else self[evenly_spaced(n, len(self))]

    def first(self, n: int | None) -> Dataset:
        """The first ``n`` images and their labels (views); all of them for None.

        Deprecated: ``dataset[:n]`` returns the same images, :meth:`subset` a fairer sample.

        Raises:
            ValueError: ``n`` is neither None nor an int in 1..len(self).
        """
        warnings.warn(
            "Dataset.first is deprecated: dataset[:n] returns the same images, dataset.subset(n) images from "
            "all over the set",
            DeprecationWarning,
            stacklevel=2,
        )
        return self if n is None else self[: check_int("n", n, 1, len(self))]

    def to(self, device: torch.device) -> Dataset:
        """The data set on a device; tensors that are there already are not copied."""
        return Dataset(self.images.to(device), self.labels.to(device))


def _rows(index: Any, n: int) -> int | slice | NDArray[np.int64]:
    """An index of ``n`` images as an int, a slice, or an array of ints; negative ints count from the
    end."""
    expected = f"an int, a slice, ints, or bools [{n}]"
    if isinstance(index, slice):  # torch refuses negative steps
        try:
            _, _, step = index.indices(n)
        except (TypeError, ValueError) as error:
            raise ArgumentError("index", shown(index), expected) from error
        return index if step > 0 else np.arange(n)[index]
    if is_int(index):  # it may be too large for an array
        return _row(int(index), n)
    rows = _as_rows(index)
    if rows is not None and rows.dtype == bool and rows.shape == (n,):
        rows = rows.nonzero()[0]
    if rows is None or rows.dtype.kind not in "iu" or rows.ndim > 1:
        got = shown(index)
        if rows is not None and rows.ndim:
            got = f"{rows.dtype} {list(rows.shape)}"
        raise ArgumentError("index", got, expected)
    for row in (rows.min(), rows.max()) if rows.size else ():
        _row(int(row), n)
    return int(rows) if rows.ndim == 0 else rows.astype(np.int64)


def _row(index: int, n: int) -> int:
    """The index; IndexError unless it is one of ``n`` images. Negative ones count from the end."""
    if not -n <= index < n:
        raise IndexError(f"index: got {index}, expected {-n}..{n - 1}: there are {n} images")
    return index


def _as_rows(index: Any) -> NDArray[Any] | None:
    """A tensor, an array or a list as an array; None for anything that cannot be one."""
    if isinstance(index, (Tensor, np.ndarray)):
        return as_array(index)
    with contextlib.suppress(Exception):  # lists of unequal lengths, tensors that hide their values
        rows = np.asarray(index)
        return rows.astype(np.int64) if rows.size == 0 and isinstance(index, list) else rows
    return None


def dataset_sha256(dataset: Dataset) -> dict[str, str]:
    """Fingerprint of a data set, for result files.

    Returns:
        ``{"images": ..., "labels": ...}``: the hexadecimal SHA-256 of the pixels and of the labels, in
        order, one byte each, which are the contents of an IDX file without its header.
    """
    check_type("dataset", dataset, Dataset)
    return {"images": _sha256(dataset.images), "labels": _sha256(dataset.labels)}


def evenly_spaced(n: int, total: int) -> Tensor:
    """Indices of ``n`` of ``total`` images, evenly spaced: int64 ``[n]`` on the CPU, ascending from 0. The
    i-th is ``floor(i * total / n)``: every k-th image if ``total = k * n``."""
    return torch.from_numpy(np.arange(n, dtype=np.int64) * total // n)


def as_input(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The models' input: images ``[N, H, W]`` or ``[N, C, H, W]`` -> ``dtype [N, C, H, W]``.

    uint8 is divided by 255; the values of floating images are kept.
    """
    images = images.unsqueeze(1) if images.dim() == 3 else images
    if images.is_floating_point():
        return images.to(dtype)
    exact = torch.promote_types(dtype, torch.float32)  # half precision: divide first, then round
    return images.to(exact).div_(255).to(dtype)


def _sha256(tensor: Tensor) -> str:
    values = np.ascontiguousarray(tensor.cpu().numpy(), dtype=np.uint8)
    return hashlib.sha256(values.data).hexdigest()
