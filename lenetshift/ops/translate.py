"""``translate``: a batch of images moved by a list of shifts, and its gradient."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lenetshift.checks import FLOATS, check, check_tensor, dtype_name
from lenetshift.ops._common import define, library, run_kernel


def _check_shifts(shifts: Tensor, device: torch.device) -> None:
    check_tensor("shifts", shifts, (torch.int64,), (None, 2), device)


def _translate_shape(images: Tensor, n_shifts: int, value_bytes: int) -> tuple[int, ...]:
    n_planes = math.prod(images.shape[1:-2])
    return (images.shape[0], n_shifts, n_planes, *images.shape[-2:], value_bytes)


def _translate(images: Tensor, shifts: Tensor) -> Tensor:
    check(
        images.dim() >= 3,
        lambda: f"images: got shape {list(images.shape)}, expected [N, ..., height, width]",
    )
    _check_shifts(shifts, images.device)
    images, shifts = images.contiguous(), shifts.contiguous()
    output = _translate_fake(images, shifts)
    run_kernel(
        "translate",
        images.device,
        None,
        *_translate_shape(images, shifts.shape[0], images.element_size()),
        images.data_ptr(),
        shifts.data_ptr(),
        output.data_ptr(),
    )
    return output


def _translate_fake(images: Tensor, shifts: Tensor) -> Tensor:
    return images.new_empty((images.shape[0], shifts.shape[0], *images.shape[1:]))


def _translate_backward(grad_output: Tensor, shifts: Tensor) -> Tensor:
    check(
        grad_output.dtype in FLOATS,
        lambda: f"images: gradients need float32 or float64, got {dtype_name(grad_output.dtype)}",
    )
    _check_shifts(shifts, grad_output.device)
    check(
        grad_output.dim() >= 4 and grad_output.shape[1] == shifts.shape[0],
        lambda: (
            f"grad_output: got shape {list(grad_output.shape)}, expected "
            f"[N, {shifts.shape[0]}, ..., height, width]"
        ),
    )
    grad_output, shifts = grad_output.contiguous(), shifts.contiguous()
    grad_images = _translate_backward_fake(grad_output, shifts)
    run_kernel(
        "translate_backward",
        grad_output.device,
        None,
        *_translate_shape(grad_images, shifts.shape[0], grad_images.element_size()),
        grad_output.data_ptr(),
        shifts.data_ptr(),
        grad_images.data_ptr(),
    )
    return grad_images


def _translate_backward_fake(grad_output: Tensor, shifts: Tensor) -> Tensor:
    return grad_output.new_empty((grad_output.shape[0], *grad_output.shape[2:]))


def _translate_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1])


def _translate_autograd(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
    (shifts,) = ctx.saved_tensors
    return torch.ops.lenetshift.translate_backward(grad_output, shifts), None


def _translate_backward_autograd(ctx: Any, grad_images: Tensor) -> tuple[Tensor, None]:
    (shifts,) = ctx.saved_tensors
    return torch.ops.lenetshift.translate(grad_images, shifts), None


define("translate(Tensor images, Tensor shifts) -> Tensor", _translate, _translate_fake)
define(
    "translate_backward(Tensor grad_output, Tensor shifts) -> Tensor",
    _translate_backward,
    _translate_backward_fake,
)
torch.library.register_autograd(
    "lenetshift::translate", _translate_autograd, setup_context=_translate_setup, lib=library
)
torch.library.register_autograd(  # linear: its gradient is translate itself
    "lenetshift::translate_backward",
    _translate_backward_autograd,
    setup_context=_translate_setup,
    lib=library,
)
