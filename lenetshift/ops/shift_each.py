"""``shift_each``: each image of a batch moved by its own shift."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lenetshift.checks.tensors import layout
from lenetshift.ops._common import define, in_first_import, library, run_kernel
from lenetshift.ops._transforms import register_linear
from lenetshift.ops.translate import checked_shape


def _shift_each(images: Tensor, shifts: Tensor) -> Tensor:
    """Each image of a batch moved by its own shift.

    ``output[n, ..., y, x] = images[n, ..., y - dy[n], x - dx[n]]``. Uncovered pixels are 0; pixels that
    leave the frame are lost.

    Derivatives of every order, forward mode, ``torch.func`` and ``torch.compile`` work, on CPU and CUDA,
    for every floating or complex dtype. The op is ``torch.ops.lenetshift.shift_each``, its twin in plain
    PyTorch :func:`lenetshift.reference.shift_each`.

    Args:
        images: ``[N, ..., H, W]`` of any dtype.
        shifts: int64 ``[N, 2]``, rows (dx, dy) in pixels, dx > 0 right, dy > 0 down.

    Returns:
        ``[N, ..., H, W]``, of the images' dtype, also under autocast: image i moved by shift i.

    Raises:
        ValueError: a shape, dtype or device does not fit.

    >>> import torch
    >>> from lenetshift import ops
    >>> rows = torch.tensor([[[1, 2, 3]], [[4, 5, 6]]])  # two images of one row
    >>> ops.shift_each(rows, torch.tensor([[1, 0], [-2, 0]]))
    tensor([[[0, 1, 2]],
    <BLANKLINE>
            [[6, 0, 0]]])
    """
    shape = checked_shape(layout("images", images), layout("shifts", shifts), one_each=True)
    images, shifts = images.contiguous(), shifts.contiguous()
    output = _shift_each_fake(images, shifts)
    run_kernel("shift_each", images.device, shape, images, shifts, output)
    return output


def _shift_each_fake(images: Tensor, shifts: Tensor) -> Tensor:
    return torch.empty_like(images, memory_format=torch.contiguous_format)


def _batched(
    info: Any, in_dims: tuple[int | None, int | None], images: Tensor, shifts: Tensor
) -> tuple[Tensor, int]:
    op = torch.ops.lenetshift.shift_each.default
    of_images, of_shifts = in_dims
    if of_shifts is None:  # the batch becomes channels of the images
        assert of_images is not None
        return op(images.movedim(of_images, 1), shifts), 1
    if of_images is None:
        images = images.expand(info.batch_size, *images.shape)
    else:
        images = images.movedim(of_images, 0)
    moved: Tensor = op(images.flatten(0, 1), shifts.movedim(of_shifts, 0).flatten(0, 1))
    return moved.unflatten(0, images.shape[:2]), 0


shift_each = define(
    "shift_each(Tensor images, Tensor shifts) -> Tensor", _shift_each, _shift_each_fake
)
# The op only moves pixels: its gradient moves them back, without any sum.
register_linear("shift_each", lambda grad, shifts: torch.ops.lenetshift.shift_each(grad, -shifts))
in_first_import(torch.library.register_vmap)("lenetshift::shift_each", _batched, lib=library)
