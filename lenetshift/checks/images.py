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

_CHANNELS_LAST, _LEAST_SIDE = (1, 3, 4), 8
"""The numbers of channels by which images with channels last are known, and the least height and width."""

_OVERSHOOT = 0.1
"""How far outside 0..1 pixels may lie that are not normalised: bicubic resizing goes a little beyond."""

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
    if tensor.dim() == 4 and has_channels_last(tensor.shape):
        turned = "permute" if isinstance(images, Tensor) else "transpose"
        raise ArgumentError(
            "images",
            f"{describe_array(images)}, channels last",
            f"[N, C, H, W]: images.{turned}(0, 3, 1, 2) gives it",
        )
    tensor = tensor.detach() if tensor.requires_grad else tensor
    if tensor.is_floating_point() and len(tensor):
        low, high = torch.aminmax(tensor)  # NaN if there is one
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ArgumentError("images", f"values from {low:g} to {high:g}", "finite ones")
    return tensor


def has_channels_last(shape: Sequence[int]) -> bool:
    """Whether this is the shape ``[N, H, W, C]``."""
    return shape[3] in _CHANNELS_LAST and min(shape[1:3]) >= _LEAST_SIDE


def odd_range(images: Tensor, fill: object, crop: object) -> str:
    """What is odd about the range of floating-point images, in a sentence; empty if nothing is.

    Args:
        images: as :func:`check_images` returns them.
        fill, crop: as for :func:`lenetshift.predict_shifts`.
    """
    if not images.is_floating_point() or not len(images):
        return ""
    low, high = (float(value) for value in torch.aminmax(images))
    if low >= -_OVERSHOOT:
        if high <= 1 + _OVERSHOOT:
            return ""
        return (
            f"images: got floating-point values in {low:.4g}..{high:.4g}, which the model gets as they are, "
            "expected 0..1: only uint8 images are divided by 255; 0 is black"
        )
    blank = check_fill_alone(fill)
    if crop is not None or isinstance(blank, str) or any(blank):
        return ""
    return (
        f"images: got values in {low:.4g}..{high:.4g}, which look normalised: fill=0 is then not black but "
        f"{_shade(images)}"
    )


def _shade(images: Tensor) -> str:
    """What 0 is in normalised images if the lowest value of each channel is black and the highest white, and
    the fill that is black."""
    channels = images.reshape(len(images), -1, *images.shape[-2:]).float()
    low, high = channels.amin((0, 2, 3)), channels.amax((0, 2, 3))
    levels = (255 * -low / (high - low).clamp(min=1e-9)).clamp(0, 255).round().int().tolist()
    fills = [f"{value:.4g}" for value in low.tolist()]
    if len(fills) == 1:
        shade, fill = f"grey {levels[0]} of 255", fills[0]
    elif len(fills) <= max(_CHANNELS_LAST):
        shade, fill = f"the colour {tuple(levels)} of 255", f"({', '.join(fills)})"
    else:
        shade, fill = "something between", "the lowest value of each channel"
    return f"{shade}; normalise by transform=, or give fill={fill}"


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
