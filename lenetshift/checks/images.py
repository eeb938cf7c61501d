"""Checks of images, and of the crop and the fill with which they are moved."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .arrays import FLOATS, HALF_FLOATS, as_array, as_dense, dense
from .describe import describe, describe_array, dtype_name, shown
from .errors import ArgumentError
from .numbers import finite_numbers, whole_number

IMAGE_DTYPES = (torch.uint8, *HALF_FLOATS, *FLOATS)
"""The dtypes that images may have."""

Fill = str | float | Sequence[float]
"""What uncovered pixels hold: one number, one per channel, or ``"circular"``."""


def check_digit_images(images: Tensor) -> None:
    """Raise ArgumentError unless ``images`` is uint8 ``[N, 28, 28]``."""
    tensor = dense(images)
    if tensor is None or tensor.dtype != torch.uint8 or tensor.shape[1:] != (28, 28):
        raise ArgumentError("images", describe(images), "uint8 [N, 28, 28]")


def check_images(images: object) -> Tensor:
    """Images of any size as an ordinary tensor; ArgumentError unless they are uint8 or floating and
    finite, of shape ``[N, H, W]`` or ``[N, C, H, W]``, in a tensor or an array."""
    tensor = as_dense(images)
    if (
        tensor is None
        or tensor.dtype not in IMAGE_DTYPES
        or tensor.dim() not in (3, 4)
        or 0 in tensor.shape[1:]
    ):
        dtypes = "uint8 or floating"
        if _has_other_floats(images):
            dtypes = "uint8, float16, bfloat16, float32 or float64"
        raise ArgumentError(
            "images",
            describe_array(images),
            f"{dtypes} [N, H, W] or [N, C, H, W], a dense tensor or an array",
        )
    tensor = tensor.detach() if tensor.requires_grad else tensor
    if tensor.is_floating_point() and len(tensor):
        low, high = torch.aminmax(tensor)  # NaN if there is one
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ArgumentError("images", f"values from {low:g} to {high:g}", "finite ones")
    return tensor


def _has_other_floats(images: object) -> bool:
    """Whether images are floating, but of a dtype that is not computed in: float8, NumPy's longdouble."""
    tensor = dense(images)
    if tensor is not None:
        return tensor.is_floating_point() and tensor.dtype not in IMAGE_DTYPES
    return isinstance(images, np.ndarray) and images.dtype.kind == "f" and images.itemsize > 8


def check_crop(
    crop: tuple[int, int] | None, size: tuple[int, int] | None = None
) -> tuple[int, int] | None:
    """The crop as two ints, or None if there is none; ArgumentError unless it is (height, width) and, if
    the size of the images is given, within them."""
    if crop is None:
        return None
    array = as_array(crop)
    sides = crop if array is None else array.tolist()
    found = [whole_number(side) for side in sides] if isinstance(sides, Sequence) else []
    height, width = found if len(found) == 2 else (None, None)
    highest, widest = size or (math.inf, math.inf)
    if height is None or width is None or not (1 <= height <= highest and 1 <= width <= widest):
        within = f" within images of {highest} x {widest}" if size else ", two ints of 1 or more"
        raise ArgumentError("crop", shown(crop), f"(height, width){within}")
    return height, width


def check_fill(fill: object, images: Tensor) -> Tensor | str:
    """The fill as one number per channel, float64 ``[C]``, or ``"circular"``; ArgumentError unless it is
    ``"circular"``, a finite number or one per channel, each a pixel value of such images.

    Args:
        fill: as for :func:`lenetshift.predict_shifts`.
        images: as :func:`check_images` returns them.
    """
    n_channels = 1 if images.dim() == 3 else images.shape[1]
    count = "one per channel" if n_channels == 1 else f"{n_channels}, one per channel"
    values = check_fill_alone(fill, count)
    if isinstance(values, str):
        return values
    if len(values) not in (1, n_channels):
        raise _fill_error(fill, count)
    blank = torch.tensor(values, dtype=torch.float64, device="cpu")
    name = dtype_name(images.dtype)
    if images.is_floating_point():
        fits = blank.to(images.dtype).isfinite()
        bound = f"of at most {torch.finfo(images.dtype).max:g}"
    else:
        fits, bound = (blank >= 0) & (blank <= 255), "in 0..255"
    if not fits.all():
        raise ArgumentError("fill", shown(fill), f"a number {bound}, since the images are {name}")
    return blank.expand(n_channels)


def check_fill_alone(fill: object, count: str = "one per channel") -> list[float] | str:
    """The fill as a list of numbers, one or one per channel, or ``"circular"``; ArgumentError if it is
    neither. For callers that do not have the images."""
    if isinstance(fill, str) and fill == "circular":
        return fill
    values = finite_numbers(fill)
    if values is None:
        raise _fill_error(fill, count)
    return values


def _fill_error(fill: object, count: str) -> ArgumentError:
    return ArgumentError("fill", shown(fill), f"a finite number, or {count}, or 'circular'")
