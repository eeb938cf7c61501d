"""What every format gives: a number of labelled images, each of which is read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...checks.errors import DataError
from ..pictures import Picture


class Look(NamedTuple):
    """What the head of a file says about its picture.

    Attributes:
        size: height and width, in pixels.
        is_grey: whether it has one channel.
        name: what messages call the picture.
    """

    size: tuple[int, int]
    is_grey: bool
    name: str


@dataclass(frozen=True, eq=False)
class Source:
    """Labelled images of one format.

    Args:
        what: the format, as the printout names it.
        n: the number of images.
        item: the picture and the label of image i, 0..n - 1; may raise DataError.
        classes: the names of the classes, in the order of labels; None if they have none.
        look: what the head of image i says; None if only :attr:`item` knows it.
        whole: the images, uint8 ``[N, H, W]`` or ``[N, H, W, 3]``, and the labels, int64 ``[N]``, if
            they are in memory anyway.
    """

    what: str
    n: int
    item: Callable[[int], tuple[Picture, int]]
    classes: tuple[str, ...] | None = None
    look: Callable[[int], Look] | None = None
    whole: tuple[NDArray[np.uint8], NDArray[np.int64]] | None = None


def of_arrays(
    what: str,
    name: str,
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    classes: tuple[str, ...] | None = None,
) -> Source:
    """The source of images uint8 ``[N, H, W]`` or ``[N, H, W, 3]`` and integer labels ``[N]``.

    Raises:
        DataError: ``name``, which the message begins with, has another number of labels than of images, or
            no images.
    """
    if len(labels) != len(images):
        raise DataError(f"{name}: got {len(labels)} labels, expected {len(images)}, one per image")
    if not images.size:
        raise DataError(f"{name}: got no images, expected at least one")
    truth = labels.astype(np.int64)
    height, width = images.shape[1:3]

    def item(i: int) -> tuple[Picture, int]:
        return Image.fromarray(images[i]), int(truth[i])

    def look(i: int) -> Look:
        return Look((height, width), images.ndim == 3, f"image {i}")

    return Source(what, len(images), item, classes, look, (images, truth))
