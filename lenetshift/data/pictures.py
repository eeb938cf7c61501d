"""Pictures of every kind as Pillow's, grey or RGB with 8 bits for each channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from ..checks.arrays import as_array
from ..checks.describe import describe_array

Picture = Image.Image
"""A picture of mode L, grey, or RGB: 8 bits for each channel."""

GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes of pictures with one channel, besides transparency."""

_DEEP_MODES = tuple(mode for mode in GREY_MODES if mode.startswith("I"))

EXPECTED = (
    "a Pillow image, an array uint8 [H, W] or [H, W, C], or a tensor [H, W] or [C, H, W], uint8 or floating "
    "in 0..1, with C = 1, 3 or 4"
)


def as_picture(value: object) -> Picture:
    """A Pillow image, an array or a tensor as a picture of mode L or RGB.

    A picture is turned as its EXIF orientation says. Transparency is dropped, a palette becomes RGB, and so
    does CMYK; of 16 bits v remain ``round(v / 257)``; of floating values x, ``round(255 * x)``.

    Raises:
        ValueError: anything else, in one line without the argument's name.
    """
    if isinstance(value, Image.Image):
        turned = ImageOps.exif_transpose(value)
        return _in_8_bits(value if turned is None else turned)
    array = as_array(value)
    if array is None or array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"got {describe_array(value)}, expected {EXPECTED}")
    if array.ndim == 3 and _channels_first(array.shape, isinstance(value, Tensor)):
        array = np.moveaxis(array, 0, 2)
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4):
        raise ValueError(f"got {describe_array(value)}, expected {EXPECTED}")
    pixels = _bytes_of(array)
    if pixels.ndim == 3:
        pixels = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels[:, :, :3]
    return Image.fromarray(np.ascontiguousarray(pixels))


def _in_8_bits(image: Image.Image) -> Picture:
    if image.mode in ("L", "RGB"):
        return image
    if image.mode in _DEEP_MODES:
        values = np.asarray(image).astype(np.int64)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            raise ValueError(f"got pixels in {low}..{high}, expected 0..65535")
        return Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("got floating pixels (mode F), expected whole numbers of 8 or 16 bits")
    if image.mode in ("P", "PA", "RGBa", "La"):
        with_alpha = {"La": "LA"}.get(image.mode, "RGBA")
        image = image.convert(with_alpha)
    return image.convert("L" if image.mode in GREY_MODES else "RGB")


def _channels_first(shape: tuple[int, ...], usually: bool) -> bool:
    """Whether ``[C, H, W]``, if either could be meant the usual order decides."""
    first, last = shape[0] in (1, 3, 4), shape[2] in (1, 3, 4)
    return usually if first == last else first


def _bytes_of(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise ValueError(f"got {describe_array(array)}, expected {EXPECTED}")
    low, high = float(array.min()), float(array.max())  # NaN if there is one
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"got floating pixels from {low:g} to {high:g}, expected 0..1: the data set must not "
            "normalize, that is done after an image is moved"
        )
    return np.rint(array.astype(np.float64) * 255).astype(np.uint8)
