"""Images with their labels, and what a model is given of them."""

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
from ..checks.images import check_digit_images
from ..checks.numbers import check_int, is_int
from ..checks.predictions import check_digits
from ..checks.types import check_type


@dataclass(frozen=True, eq=False)
class Dataset(TorchDataset[tuple[Tensor, Tensor]]):
    """Images and their labels, also as any dataset of torch: to be indexed, iterated and loaded.

    Both tensors are kept as they are, not copied.

    Args:
        images: uint8 ``[N, 28, 28]``, 0 = background, 255 = full ink.
        labels: int64 ``[N]``, digits 0..9.

    Raises:
        ValueError: other dtypes or shapes, unequal lengths, or labels out of 0..9.
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
            index: an int, also of NumPy or in a tensor without dimensions, from the end if negative;
                or a slice, a list of ints, or ints or bools in a tensor or an array ``[n]``.

        Raises:
            IndexError: it names no image of the set.
            ValueError: it is something else.
        """
        rows = _rows(index, len(self))
        if isinstance(rows, int):
            return self.images[rows], self.labels[rows]
        if isinstance(rows, slice):
            return Dataset(self.images[rows], self.labels[rows])
        # In NumPy: torch's threads, which gather so many values, hang in a forked child.
        images, labels = (tensor.cpu().numpy()[rows] for tensor in (self.images, self.labels))
        device = self.images.device
        return Dataset(torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each image with its label."""
        return zip(self.images, self.labels, strict=True)

    def subset(self, n: int) -> Dataset:
        """``n`` images and their labels, drawn evenly over the set (``evenly_spaced``); all of them are
        the set itself.

        The first ``n`` would be another sample than the rest: MNIST's first 5,000 test images come
        from other writers than the last 5,000, and are easier or harder to read.

        Raises:
            ValueError: ``n`` is not an int in 1..len(self).
        """
        n = check_int("n", n, 1, len(self))
        return self if n == len(self) else self[evenly_spaced(n, len(self))]

    def first(self, n: int | None) -> Dataset:
        """The first ``n`` images and their labels (views); all of them for None.

        Deprecated: ``dataset[:n]`` gives the same, :meth:`subset` a fairer sample.

        Raises:
            ValueError: ``n`` is neither None nor an int in 1..len(self).
        """
        warnings.warn(
            "Dataset.first is deprecated: dataset[:n] gives the same images, dataset.subset(n) some from "
            "all over the set",
            DeprecationWarning,
            stacklevel=2,
        )
        return self if n is None else self[: check_int("n", n, 1, len(self))]

    def to(self, device: torch.device) -> Dataset:
        """The same on a device; itself where it is there already."""
        return Dataset(self.images.to(device), self.labels.to(device))


def _rows(index: Any, n: int) -> int | slice | NDArray[np.int64]:
    """An index of ``n`` images: one int, a slice, or an array of ints, negative ones from the
    end."""
    expected = f"expected an int, a slice, ints, or bools [{n}]"
    if isinstance(index, slice):  # torch takes none that goes backwards
        try:
            _, _, step = index.indices(n)
        except (TypeError, ValueError) as error:
            raise ValueError(f"index: got {shown(index)}, {expected}") from error
        return index if step > 0 else np.arange(n)[index]
    if is_int(index):  # which may be beyond all that an array holds
        return _row(int(index), n)
    rows = _as_rows(index)
    if rows is not None and rows.dtype == bool and rows.shape == (n,):
        rows = rows.nonzero()[0]
    if rows is None or rows.dtype.kind not in "iu" or rows.ndim > 1:
        got = shown(index)
        if rows is not None and rows.ndim:
            got = f"{rows.dtype} {list(rows.shape)}"
        raise ValueError(f"index: got {got}, {expected}")
    for row in (rows.min(), rows.max()) if rows.size else ():
        _row(int(row), n)
    return int(rows) if rows.ndim == 0 else rows.astype(np.int64)


def _row(index: int, n: int) -> int:
    """The same; IndexError unless it is one of ``n``, from the end if negative."""
    if not -n <= index < n:
        raise IndexError(f"index: got {index}, expected {-n}..{n - 1}: there are {n} images")
    return index


def _as_rows(index: Any) -> NDArray[Any] | None:
    """A tensor, an array or a list as an array; None of what has no such form."""
    if isinstance(index, (Tensor, np.ndarray)):
        return as_array(index)
    with contextlib.suppress(Exception):  # lists of unequal lengths, tensors that hide their values
        rows = np.asarray(index)
        return rows.astype(np.int64) if rows.size == 0 and isinstance(index, list) else rows
    return None


def dataset_sha256(dataset: Dataset) -> dict[str, str]:
    """Fingerprint of a data set, for result files.

    Returns:
        ``{"images": ..., "labels": ...}``, the hexadecimal SHA-256 of the pixels and of the
        labels, one byte each, in order: of an IDX file's contents without its header.
    """
    check_type("dataset", dataset, Dataset)
    return {
        "images": _sha256(dataset.images),
        "labels": _sha256(dataset.labels),
    }


def evenly_spaced(n: int, total: int) -> Tensor:
    """Which ``n`` of ``total`` images make an even subset: int64 ``[n]`` on the CPU, ascending from 0,
    the i-th is ``floor(i * total / n)``: every k-th where ``total = k * n``."""
    return torch.from_numpy(np.arange(n, dtype=np.int64) * total // n)


def as_input(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """What the models see: images ``[N, H, W]`` or ``[N, C, H, W]`` -> ``dtype [N, C, H, W]``.

    uint8 is divided by 255; floating images are taken as they are.
    """
    images = images.unsqueeze(1) if images.dim() == 3 else images
    if images.is_floating_point():
        return images.to(dtype)
    exact = torch.promote_types(dtype, torch.float32)  # half precision: divide first, then round
    return images.to(exact).div_(255).to(dtype)


def _sha256(tensor: Tensor) -> str:
    values = np.ascontiguousarray(tensor.cpu().numpy(), dtype=np.uint8)
    return hashlib.sha256(values.data).hexdigest()
