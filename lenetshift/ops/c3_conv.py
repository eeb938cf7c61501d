"""``c3_conv``: sparse 5 x 5 convolution by connection table, and its gradients."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lenetshift.c3_table import MAX_INPUTS
from lenetshift.checks.arrays import FLOATS, HALF_FLOATS
from lenetshift.checks.core import core
from lenetshift.checks.errors import ArgumentError
from lenetshift.checks.tensors import Layout, check_layout, layout
from lenetshift.ops import _c3_derivatives
from lenetshift.ops._common import define, run_kernel, small_calls

Shape = tuple[int, int, int, int]


def _check_c3_conv(input: Layout, weight: Layout, table: tuple[int, ...]) -> tuple[Any, Shape]:
    """The core's ``C3``, and the output's shape. ArgumentError unless the arguments fit each other."""
    check_layout("input", input, (*FLOATS, *HALF_FLOATS), (None, None, None, None))
    dtype, (n_images, n_inputs, height, width), device = input
    if n_inputs > MAX_INPUTS:
        raise ArgumentError("input", f"{n_inputs} maps", f"at most {MAX_INPUTS}")
    if not table or not all(0 < mask < 2**n_inputs for mask in table):
        raise ArgumentError(
            "table",
            str(list(table)),
            f"for each output map a bit mask of one or more of the {n_inputs} input maps",
        )
    if height < 5 or width < 5:
        raise ArgumentError("input", f"maps of {height} x {width}", "5 x 5 or larger")
    n_connections = sum(mask.bit_count() for mask in table)
    check_layout("weight", weight, (dtype,), (n_connections, 5, 5), device)
    c3 = core.C3(
        n_images=n_images,
        n_inputs=n_inputs,
        height=height,
        width=width,
        table=table,
        value_bytes=dtype.itemsize,
    )
    return c3, (n_images, len(table), height - 4, width - 4)


# The checks of a small call, made anew, would take as long as its kernel.
@functools.lru_cache(maxsize=256)
def _checked(
    input: Layout, weight: Layout, bias: Layout, table: tuple[int, ...]
) -> tuple[Any, Shape]:
    c3, shape = _check_c3_conv(input, weight, table)
    check_layout("bias", bias, (input[0],), (len(table),), input[2])
    return c3, shape


@functools.lru_cache(maxsize=256)
def _checked_backward(
    grad_output: Layout, input: Layout, weight: Layout, table: tuple[int, ...]
) -> Any:
    c3, shape = _check_c3_conv(input, weight, table)
    check_layout("grad_output", grad_output, (input[0],), shape, input[2])
    return c3


def _c3_conv(input: Tensor, weight: Tensor, bias: Tensor, table: Sequence[int]) -> Tensor:
    """Sparse 5 x 5 convolution by connection table: layer C3 of LeNet-5.

    ``output[n, o, y, x] = bias[o] + sum over the connections (c, o), u, v of
    weight[k, u, v] * input[n, c, y + u, x + v]``, where k counts the connections from the first output
    map to the last, and within each from the first input map to the last.

    Derivatives of every order, forward mode, ``torch.func`` and ``torch.compile`` work, on CPU and CUDA.
    The op is ``torch.ops.lenetshift.c3_conv``, its twin in plain PyTorch
    :func:`lenetshift.reference.c3_conv`.

    A NaN or an infinity in one input map reaches only the output maps that are connected to it: each output
    is the sum above and nothing else. (A dense convolution with zeros in place of the missing connections
    would spread it to every output map, since 0 * inf is NaN.) The same holds for the gradients on the CPU.
    On CUDA the gradients may have more NaNs than the sum gives: that of the input within four pixels of the
    maps' edges if a weight is not finite, and that of the weight if an input within four pixels of the edges
    is not finite. There the kernels multiply by zeros beyond the edges.

    Rounding errors are relative to the largest terms of five neighbouring columns.

    Args:
        input: ``[N, C_in, H, W]``, float32 or float64: any number of images, each of at most 62 maps
            (``C_in <= 62``), which are 5 x 5 pixels or larger. float16 and bfloat16 are computed in float32
            and rounded once; under autocast everything is computed in float32.
        weight: ``[n_connections, 5, 5]``, of the same dtype.
        bias: ``[C_out]``, of the same dtype.
        table: the connection table, an int for each output map: its bit c is 1 if the output map sees
            input map c. :func:`lenetshift.c3_table.table_masks` makes it of lists of maps.

    Returns:
        ``[N, C_out, H - 4, W - 4]``, of the same dtype.

    Raises:
        ValueError: a shape, dtype or device does not fit, or the table is not valid.

    Source: LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document Recognition
    (1998), section II.B and Table I.

    >>> import torch
    >>> from lenetshift import ops
    >>> input, weight, bias = torch.ones(1, 2, 6, 6), torch.ones(3, 5, 5), torch.zeros(2)
    >>> ops.c3_conv(input, weight, bias, [0b01, 0b11])[0, :, 0, 0].round()  # see 1 and 2 maps
    tensor([25., 50.])
    """
    in_one_step: Tensor | None = small_calls.c3_conv(input, weight, bias, table)
    if in_one_step is not None:
        return in_one_step
    c3, shape = _checked(
        layout("input", input), layout("weight", weight), layout("bias", bias), tuple(table)
    )
    if input.dtype in HALF_FLOATS:
        return _c3_conv(input.float(), weight.float(), bias.float(), table).to(input.dtype)
    input, weight, bias = input.contiguous(), weight.contiguous(), bias.contiguous()
    output = input.new_empty(*shape)
    run_kernel("c3_conv", input.device, c3, input, weight, bias, output)
    return output


def _c3_conv_fake(input: Tensor, weight: Tensor, bias: Tensor, table: Sequence[int]) -> Tensor:
    n, _, height, width = input.shape
    return input.new_empty(n, len(table), height - 4, width - 4)


def _c3_conv_backward(
    grad_output: Tensor, input: Tensor, weight: Tensor, table: Sequence[int], wanted: Sequence[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of ``c3_conv``; autograd calls it.

    Args:
        grad_output: ``[N, C_out, H - 4, W - 4]``, of the input's dtype.
        input: as for ``c3_conv``.
        weight: as for ``c3_conv``.
        table: as for ``c3_conv``.
        wanted: three bools: whether the gradients of input, weight and bias are computed.

    Returns:
        The gradients of input, weight and bias, ``[0]`` for those that are not wanted.

    Raises:
        ValueError: a shape, dtype or device does not fit, or the table is not valid.
    """
    in_one_step: tuple[Tensor, Tensor, Tensor] | None = small_calls.c3_conv_backward(
        grad_output, input, weight, table, wanted
    )
    if in_one_step is not None:
        return in_one_step
    c3 = _checked_backward(
        layout("grad_output", grad_output),
        layout("input", input),
        layout("weight", weight),
        tuple(table),
    )
    if input.dtype in HALF_FLOATS:
        in_float = (grad_output.float(), input.float(), weight.float())
        grads = _c3_conv_backward(*in_float, table, wanted)
        return grads[0].to(input.dtype), grads[1].to(input.dtype), grads[2].to(input.dtype)
    grad_output, input, weight = grad_output.contiguous(), input.contiguous(), weight.contiguous()
    grads = _c3_conv_backward_fake(grad_output, input, weight, table, wanted)
    addresses = [grad if want else 0 for grad, want in zip(grads, wanted, strict=True)]
    run_kernel("c3_conv_backward", input.device, c3, grad_output, input, weight, *addresses)
    return grads


def _c3_conv_backward_fake(
    grad_output: Tensor, input: Tensor, weight: Tensor, table: Sequence[int], wanted: Sequence[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    contiguous = torch.contiguous_format
    return (
        torch.empty_like(input, memory_format=contiguous) if wanted[0] else input.new_empty(0),
        torch.empty_like(weight, memory_format=contiguous) if wanted[1] else input.new_empty(0),
        input.new_empty(len(table) if wanted[2] else 0),
    )


c3_conv = define(
    "c3_conv(Tensor input, Tensor weight, Tensor bias, int[] table) -> Tensor",
    _c3_conv,
    _c3_conv_fake,
)
define(
    "c3_conv_backward(Tensor grad_output, Tensor input, Tensor weight, int[] table, "
    "bool[3] wanted) -> (Tensor, Tensor, Tensor)",
    _c3_conv_backward,
    _c3_conv_backward_fake,
)
_c3_derivatives.register()
