"""Derivatives of ``c3_conv`` of every order, computed by ``c3_conv`` and ``c3_conv_backward``.

The output is bilinear in input and weight, and linear in the bias. Its change with them is

    change(input', weight', bias') = c3_conv(input', weight, 0) + c3_conv(input, weight', 0) + bias'

The gradients are bilinear too. Multiplied by the changes and summed, they give ``grad_output`` times
the output's change:

    grad_input * input' + grad_weight * weight' + grad_bias * bias'
        = grad_output * change(input', weight', bias')
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lenetshift.ops._common import small_calls
from lenetshift.ops._transforms import (
    Grads,
    register_derivatives,
    register_float32_autocast,
    register_vmap,
)

Flags = Sequence[bool]


def _change(
    at_input: Tensor,
    at_weight: Tensor,
    table: Sequence[int],
    input: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
) -> Tensor | None:
    c3_conv = torch.ops.lenetshift.c3_conv
    no_bias = at_weight.new_zeros(len(table))
    terms = []
    if input is not None:
        terms.append(c3_conv(input, at_weight, no_bias, table))
    if weight is not None:
        terms.append(c3_conv(at_input, weight, no_bias, table))
    if bias is not None:
        n, _, height, width = at_input.shape
        terms.append(bias[:, None, None].expand(n, len(table), height - 4, width - 4))
    return functools.reduce(torch.add, terms) if terms else None


def _save(ctx: Any, input: Tensor, weight: Tensor, _bias: Tensor, table: Sequence[int]) -> None:
    ctx.save_for_backward(input, weight)
    ctx.table = table


@functools.cache
def _backward_op() -> Any:
    """The op, whose look-up takes longer than this."""
    return torch.ops.lenetshift.c3_conv_backward.default


def _grads(ctx: Any, grad_output: Tensor) -> Grads:
    input, weight = ctx.saved_tensors
    wanted = ctx.needs_input_grad[:3]
    grads = _backward_op()(grad_output, input, weight, ctx.table, wanted)
    if all(wanted):
        return *grads, None
    return *(grad if want else None for grad, want in zip(grads, wanted, strict=True)), None


def _jvp(
    ctx: Any, input: Tensor | None, weight: Tensor | None, bias: Tensor | None, _table: None
) -> Tensor | None:
    at_input, at_weight = ctx.saved_tensors
    return _change(at_input, at_weight, ctx.table, input, weight, bias)


def _save_of_grads(
    ctx: Any,
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    table: Sequence[int],
    wanted: Flags,
) -> None:
    ctx.save_for_backward(grad_output, input, weight)
    ctx.table, ctx.wanted = table, wanted


def _grads_of_grads(ctx: Any, *grads: Tensor | None) -> Grads:
    """The gradients, given those of the gradients of input, weight and bias."""
    grad_output, input, weight = ctx.saved_tensors
    for_input, for_weight, for_bias = (
        grad if want else None for grad, want in zip(grads, ctx.wanted, strict=True)
    )
    backward = torch.ops.lenetshift.c3_conv_backward
    of_input = of_weight = None
    if for_weight is not None and ctx.needs_input_grad[1]:
        of_input, _, _ = backward(grad_output, input, for_weight, ctx.table, [True, False, False])
    if for_input is not None and ctx.needs_input_grad[2]:
        _, of_weight, _ = backward(grad_output, for_input, weight, ctx.table, [False, True, False])
    of_grad_output = _change(input, weight, ctx.table, for_input, for_weight, for_bias)
    return of_grad_output, of_input, of_weight, None, None


def _jvp_of_grads(
    ctx: Any,
    grad_output: Tensor | None,
    input: Tensor | None,
    weight: Tensor | None,
    _table: None,
    _wanted: None,
) -> Grads:
    at_grad_output, at_input, at_weight = ctx.saved_tensors
    wants_input, wants_weight, wants_bias = ctx.wanted
    terms: list[tuple[Tensor, Tensor, Tensor, Flags]] = []
    if grad_output is not None:
        terms.append((grad_output, at_input, at_weight, ctx.wanted))
    if input is not None:
        terms.append((at_grad_output, input, at_weight, [False, wants_weight, False]))
    if weight is not None:
        terms.append((at_grad_output, at_input, weight, [wants_input, False, False]))
    changes = [
        at_input.new_zeros(at_input.shape if wants_input else 0),
        at_weight.new_zeros(at_weight.shape if wants_weight else 0),
        at_weight.new_zeros(len(ctx.table) if wants_bias else 0),
    ]
    for *at, wanted in terms:
        grads = torch.ops.lenetshift.c3_conv_backward(*at, ctx.table, wanted)
        changes = [
            change + grad if want else change
            for change, grad, want in zip(changes, grads, wanted, strict=True)
        ]
    return tuple(changes)


def register() -> None:
    """Register the derivatives of both ops, which must be defined before."""
    register_derivatives(
        "c3_conv", save=_save, backward=_grads, jvp=_jvp, in_one_step=small_calls.c3_conv
    )
    register_derivatives(
        "c3_conv_backward",
        save=_save_of_grads,
        backward=_grads_of_grads,
        jvp=_jvp_of_grads,
        in_one_step=small_calls.c3_conv_backward,
    )
    register_vmap("c3_conv", at_once=True)
    register_vmap("c3_conv_backward", at_once=False)
    register_float32_autocast("c3_conv")
