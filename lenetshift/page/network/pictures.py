"""Images in the page: files of Pillow's, exact if they are small."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_EXACT_SIDE = 128
"""Images of at most this height and width are kept as they are, as PNG files; larger ones as JPEG."""

_MOST_SIDE = 288
"""Larger images are reduced to it: the frame is not drawn larger on an ordinary screen."""

_THUMB_SIDE = 72

_QUALITY = 85  # of JPEG: 288 x 288 pixels take some 25 KB, 200 images 5 MB


def scale_of(height: int, width: int) -> float:
    """By how much images of that size are reduced: 1 for not at all."""
    return min(1.0, _MOST_SIDE / max(height, width))


def is_exact(height: int, width: int) -> bool:
    """Whether every pixel of images of that size is kept as it is."""
    return max(height, width) <= _EXACT_SIDE


def encoded(pixels: NDArray[np.uint8]) -> bytes:
    """An image ``[H, W]`` or ``[H, W, 3]`` as a file, PNG or JPEG."""
    height, width = pixels.shape[:2]
    return _file(pixels, scale_of(height, width), exact=is_exact(height, width))


def thumb(pixels: NDArray[np.uint8]) -> str:
    """A small image as an address that holds it."""
    return address(_file(pixels, min(1.0, _THUMB_SIDE / max(pixels.shape[:2])), exact=False))


def address(file: bytes) -> str:
    """An address that holds a file of :func:`encoded`."""
    return f"data:{kind_of(file)};base64,{base64.b64encode(file).decode()}"


def kind_of(file: bytes) -> str:
    """Its media type."""
    return "image/png" if file.startswith(b"\x89PNG") else "image/jpeg"


def map_picture(colours: NDArray[np.uint8]) -> str:
    """A picture of one pixel for each shift, uint8 ``[n_dy, n_dx, 3]``, as an address."""
    return address(_file(colours, 1.0, exact=True))


def _file(pixels: NDArray[np.uint8], scale: float, *, exact: bool) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if scale < 1:
        size = [max(1, round(scale * side)) for side in image.size]
        image = image.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    if exact or max(image.size) <= 32:
        image.save(file, "PNG", optimize=True)
    else:
        image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
