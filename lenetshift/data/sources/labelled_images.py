"""Images of a source in one size and colour, batch by batch: what an evaluation reads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...checks.arrays import as_tensor
from ...checks.errors import ArgumentError, DataError
from ...checks.images import check_crop
from ...checks.shifts import check_grid_fits, first_seen
from ...shifts import ShiftGrid
from ..memory import trim_if_grown
from ..pairs import n_at_once
from ..pictures import Picture
from .source import Look, Source

_BATCH_BYTES = 4 << 20
"""The most bytes of a batch with more than one image."""

_MOST_IN_A_BATCH = 4096

_WHOLE_BYTES = 64 << 20
"""Up to this size, images that are in memory anyway are answered at once: CIFAR's test set has 29 MiB."""

Size = tuple[int, int]

Looking = Callable[[int], Look]
"""What the head of a source's image says."""


@dataclass(frozen=True)
class Preparation:
    """What is done to a picture.

    Args:
        resize: height and width, or the shorter side alone; None leaves the picture as it is.
        crop: the part that the network will see, with ``grid``; None for all of it.
        grid: the shifts under which the crop will be seen.
    """

    resize: Size | int | None = None
    crop: Size | None = None
    grid: ShiftGrid | None = None

    def resized_size(self, size: Size) -> Size:
        """Height and width after resizing, as torchvision's ``Resize`` computes them."""
        if not isinstance(self.resize, int):
            return size if self.resize is None else self.resize
        height, width = size
        longer = int(self.resize * max(size) / min(size))
        return (self.resize, longer) if height <= width else (longer, self.resize)

    def seen(self, size: Size) -> tuple[int, int, int, int]:
        """Top, left, bottom and right of what the crop, in the middle of a picture of that size, sees under
        all shifts; all of the picture without a crop, or if it has the crop's size."""
        if self.crop is None or self.grid is None or size == self.crop:
            return 0, 0, *size
        check_crop(self.crop, size)
        check_grid_fits(self.grid.dx, self.grid.dy, size, self.crop)
        (top, bottom), (left, right) = (
            _seen(n, side, shifts)
            for n, side, shifts in zip(size, self.crop, (self.grid.dy, self.grid.dx), strict=True)
        )
        return top, left, bottom, right

    def final_size(self, size: Size) -> Size:
        """Height and width of a picture after everything."""
        top, left, bottom, right = self.seen(self.resized_size(size))
        return bottom - top, right - left

    def __call__(self, picture: Picture, mode: str) -> NDArray[np.uint8]:
        """The pixels ``[C, H, W]``, C = 1 for mode L and 3 for RGB."""
        height, width = self.resized_size((picture.height, picture.width))
        if (picture.height, picture.width) != (height, width):
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        top, left, bottom, right = self.seen((height, width))
        pixels = np.asarray(picture.convert(mode))[top:bottom, left:right]
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


class LabelledImages:
    """Batches for :func:`evaluate_shifts`: images uint8 ``[n, C, H, W]``, all of one size, and labels int64
    ``[n]``. Each pass reads the images again, in order.

    Attributes:
        what: the format.
        n_images: how many images there are.
        classes: the names of the classes, in the order of labels; None if they have none.
        shape: channels, height and width.
    """

    def __init__(
        self,
        source: Source,
        preparation: Preparation,
        *,
        mode: str | None = None,
        rows: NDArray[np.int64] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        if source.whole is not None:  # their sizes are equal: nothing need be cut
            preparation = replace(preparation, crop=None)
        self.what, self._source, self._preparation = source.what, source, preparation
        self._rows = np.arange(source.n) if rows is None else rows
        self.n_images = len(self._rows)
        self.classes, self._new_labels = _renamed(source, names)
        self._mode_is_given = mode is not None
        look = None if source.look is None else functools.cache(source.look)  # opens the file
        self._mode = mode or self._common_mode(look)
        self._check_sizes(look)
        pixels, _ = self._read(0)
        channels, height, width = pixels.shape
        self.shape: tuple[int, int, int] = (channels, height, width)

    @property
    def n_at_once(self) -> int:
        """Images in a batch; the last may have fewer."""
        channels, height, width = self.shape
        return n_at_once(channels * height * width, _MOST_IN_A_BATCH, _BATCH_BYTES)

    def __len__(self) -> int:
        """The number of batches."""
        return -(-self.n_images // self.n_at_once)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each batch, read when it is asked for."""
        for start in range(0, self.n_images, self.n_at_once):
            yield self._batch(range(start, min(start + self.n_at_once, self.n_images)))

    @functools.cached_property
    def whole(self) -> tuple[Tensor, Tensor] | None:
        """All images, ``[N, H, W]`` or ``[N, C, H, W]``, and labels, if they are in memory anyway and few
        enough to be answered at once; else None."""
        if self._source.whole is None:
            return None
        images, labels = self._source.whole
        size = (images.shape[1], images.shape[2])
        if (
            self._mode != ("L" if images.ndim == 3 else "RGB")
            or self._preparation.final_size(size) != size
            or images[:1].nbytes * self.n_images > _WHOLE_BYTES
        ):
            return None
        truth = [self._label(int(i), int(labels[i])) for i in self._rows]
        chosen = images if self.n_images == self._source.n else images[self._rows]
        chosen = chosen if chosen.ndim == 3 else chosen.transpose(0, 3, 1, 2)
        return as_tensor(chosen), torch.tensor(truth, dtype=torch.int64)

    def _batch(self, places: range) -> tuple[Tensor, Tensor]:
        trim_if_grown(_BATCH_BYTES, always=True)
        images = np.empty((len(places), *self.shape), np.uint8)
        labels = []
        for row, k in enumerate(places):
            pixels, label = self._read(k)
            if pixels.shape != self.shape:
                raise self._sizes_differ(k, pixels.shape[1:])
            images[row] = pixels
            labels.append(label)
        return torch.from_numpy(images), torch.tensor(labels, dtype=torch.int64)

    def _read(self, k: int) -> tuple[NDArray[np.uint8], int]:
        """The pixels ``[C, H, W]`` and the label of the k-th image."""
        i = int(self._rows[k])
        picture, label = self._source.item(i)
        if picture.mode == "RGB" and self._mode == "L" and not self._mode_is_given:
            raise ArgumentError(
                "channels", f"RGB for image {i}, grey before it", "one of them chosen"
            )
        return self._preparation(picture, self._mode), self._label(i, label)

    def _label(self, i: int, label: int) -> int:
        """The label among :attr:`classes`; DataError if there is no such class."""
        if self._new_labels is not None and 0 <= label < len(self._new_labels):
            return self._new_labels[label]
        if self.classes is not None and not 0 <= label < len(self.classes):
            raise DataError(
                f"{self.what}: image {i}: got label {label}, expected 0..{len(self.classes) - 1}, "
                f"one of {len(self.classes)} classes"
            )
        return label

    def _common_mode(self, look: Looking | None) -> str:
        """L if all images are grey, as far as can be told without reading them, else RGB."""
        if look is None:
            picture, _ = self._source.item(int(self._rows[0]))
            return str(picture.mode)
        looks = (look(int(i)) for i in self._rows) if self._source.whole is None else [look(0)]
        return "L" if all(one.is_grey for one in looks) else "RGB"

    def _check_sizes(self, look: Looking | None) -> None:
        """ArgumentError if images are known to have several sizes, before the work begins."""
        if (
            look is None
            or self._source.whole is not None
            or isinstance(self._preparation.resize, tuple)
        ):
            return
        if self._preparation.crop is not None:  # all are cut to one size
            return
        first = self._preparation.final_size(look(int(self._rows[0])).size)
        for k, i in enumerate(self._rows):
            size = self._preparation.final_size(look(int(i)).size)
            if size != first:
                raise self._sizes_differ(k, size, first)

    def _sizes_differ(
        self, k: int, size: Sequence[int], first: Sequence[int] | None = None
    ) -> ArgumentError:
        """An error that names two images and their sizes."""
        expected = (
            "(height, width)" if self._preparation.crop is None else "one size behind the crop"
        )
        given = self._preparation.resize
        name, others = self._name(k), self._name(0)
        sizes = f"images of {_by(first or self.shape[1:])} ({others}) and {_by(size)} ({name})"
        return ArgumentError(
            "resize", f"{given or 'none'} with {sizes}", f"{expected} for all images"
        )

    def _name(self, k: int) -> str:
        i = int(self._rows[k])
        return f"image {i}" if self._source.look is None else self._source.look(i).name


def _by(size: Sequence[int]) -> str:
    return f"{size[0]} x {size[1]}"


def _seen(n: int, side: int, shifts: range) -> tuple[int, int]:
    """The first line that a crop of ``side`` in the middle of ``n`` lines sees under the shifts, and the one
    after the last. The crop is in the middle of these lines, too."""
    first = first_seen(n, side)
    margin = max(0, -shifts[0], shifts[-1])
    if margin > min(first, n - side - first):  # it sees all of them, or all but one
        return 0, n
    return first - margin, first + side + margin


def _renamed(
    source: Source, names: Sequence[str] | None
) -> tuple[tuple[str, ...] | None, list[int] | None]:
    """The names of the classes, and the new label of each label of the source; None for the same labels."""
    if names is None or source.classes is None:
        return source.classes if names is None else tuple(names), None
    number = {name: label for label, name in enumerate(names)}
    for name in source.classes:
        if name not in number:
            raise ArgumentError(
                "classes", f"{len(names)} names without {name!r}", "one for each class"
            )
    return tuple(names), [number[name] for name in source.classes]
