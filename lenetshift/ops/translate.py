"""``translate``: a batch of images moved by a list of shifts, and its gradient."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor

from lenetshift.checks.arrays import FLOATS, HALF_FLOATS
from lenetshift.checks.core import core
from lenetshift.checks.describe import dtype_name
from lenetshift.checks.errors import ArgumentError
from lenetshift.checks.tensors import Layout, check_layout, layout
from lenetshift.ops._common import define, run_kernel
from lenetshift.ops._transforms import register_linear, register_vmap


@functools.lru_cache(maxsize=256)
def checked_shape(images: Layout, shifts: Layout, *, one_each: bool) -> Any:
    """The core's ``TranslateShape``. ArgumentError unless images are ``[N, ..., height, width]`` and shifts
    int64 ``[S, 2]`` on the same device, with S = N if ``one_each``."""
    dtype, sizes, device = images
    if len(sizes) < 3:
        raise ArgumentError("images", f"shape {list(sizes)}", "[N, ..., height, width]")
    check_layout("shifts", shifts, (torch.int64,), (sizes[0] if one_each else None, 2), device)
    return _shape(sizes, shifts[1][0], dtype)


def _shape(images: torch.Size, n_shifts: int, dtype: torch.dtype) -> Any:
    return core.TranslateShape(
        n_images=images[0],
        n_shifts=n_shifts,
        n_channels=math.prod(images[1:-2]),
        height=images[-2],
        width=images[-1],
        value_bytes=dtype.itemsize,
    )


@functools.lru_cache(maxsize=256)
def _checked_backward(grad_output: Layout, shifts: Layout) -> Any:
    dtype, sizes, device = grad_output
    if dtype not in (*FLOATS, *HALF_FLOATS):
        raise ArgumentError(
            "images", dtype_name(dtype), "real floating-point numbers for gradients"
        )
    check_layout("shifts", shifts, (torch.int64,), (None, 2), device)
    n_shifts = shifts[1][0]
    if len(sizes) < 4 or sizes[1] != n_shifts:
        raise ArgumentError(
            "grad_output", f"shape {list(sizes)}", f"[N, {n_shifts}, ..., height, width]"
        )
    return _shape(sizes[:1] + sizes[2:], n_shifts, dtype)


def _translate(images: Tensor, shifts: Tensor) -> Tensor:
    """Each image of a batch moved by each shift of a list.

    ``output[n, s, ..., y, x] = images[n, ..., y - dy[s], x - dx[s]]``. Uncovered pixels are 0; pixels that
    leave the frame are lost.

    Derivatives of every order, forward mode, ``torch.func`` and ``torch.compile`` work, on CPU and CUDA,
    for float16, bfloat16, float32 and float64. The op is ``torch.ops.lenetshift.translate``, its twin in
    plain PyTorch :func:`lenetshift.reference.translate`.

    Args:
        images: ``[N, ..., H, W]`` of any dtype.
        shifts: int64 ``[S, 2]``, rows (dx, dy) in pixels, dx > 0 right, dy > 0 down.

    Returns:
        ``[N, S, ..., H, W]``, of the images' dtype, also under autocast.

    Raises:
        ValueError: a shape, dtype or device does not fit.

    >>> import torch
    >>> from lenetshift import ops
    >>> row = torch.tensor([[[1, 2, 3]]])  # one image of one row
    >>> ops.translate(row, torch.tensor([[1, 0], [-2, 0]]))
    tensor([[[[0, 1, 2]],
    <BLANKLINE>
             [[3, 0, 0]]]])
    """
    shape = checked_shape(layout("images", images), layout("shifts", shifts), one_each=False)
    images, shifts = images.contiguous(), shifts.contiguous()
    output = _translate_fake(images, shifts)
    run_kernel("translate", images.device, shape, images, shifts, output)
    return output


def _translate_fake(images: Tensor, shifts: Tensor) -> Tensor:
    return images.new_empty(images.shape[0], shifts.shape[0], *images.shape[1:])


def _translate_backward(grad_output: Tensor, shifts: Tensor) -> Tensor:
    """The gradient of ``translate`` by its images; autograd calls it.

    Args:
        grad_output: ``[N, S, ..., H, W]``, float16, bfloat16, float32 or float64.
        shifts: as for ``translate``.

    Returns:
        ``[N, ..., H, W]``: each gradient moved back, and the sum over shifts.

    Raises:
        ValueError: a shape, dtype or device does not fit.
    """
    shape = _checked_backward(layout("grad_output", grad_output), layout("shifts", shifts))
    if grad_output.dtype in HALF_FLOATS:  # summed in float32, rounded once
        return _translate_backward(grad_output.float(), shifts).to(grad_output.dtype)
    grad_output, shifts = grad_output.contiguous(), shifts.contiguous()
    grad_images = _translate_backward_fake(grad_output, shifts)
    run_kernel("translate_backward", grad_output.device, shape, grad_output, shifts, grad_images)
    return grad_images


def _translate_backward_fake(grad_output: Tensor, shifts: Tensor) -> Tensor:
    return grad_output.new_empty(grad_output.shape[0], *grad_output.shape[2:])


translate = define("translate(Tensor images, Tensor shifts) -> Tensor", _translate, _translate_fake)
define(
    "translate_backward(Tensor grad_output, Tensor shifts) -> Tensor",
    _translate_backward,
    _translate_backward_fake,
)
register_linear("translate", torch.ops.lenetshift.translate_backward)
register_linear("translate_backward", torch.ops.lenetshift.translate)
register_vmap("translate", at_once=True)
register_vmap("translate_backward", at_once=True)
