"""``indirect_conv2d`` and ``indirect_pool2d``: convolution and pooling whose windows are found in tables.

A table has a row for each line of the result, which names the lines of the input under the kernel, from first
to last; -1 is outside the input. Stride, dilation and padding are ways to fill a table; so is a map that has
some lines for all shifts and others for one shift each (:mod:`lenetshift.predict.shared`).

On the CPU, float32 and float64 have kernels of their own, except for a convolution whose groups have
several channels; float16 and bfloat16 are computed in float32 and rounded once. Other dtypes and CUDA copy
the windows and use PyTorch's operations. Under autocast everything is computed in float32. The ops have no
derivatives. The twins are :func:`lenetshift.reference.indirect_conv2d` and
:func:`lenetshift.reference.indirect_pool2d`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lenetshift.checks.arrays import FLOATS, HALF_FLOATS, extremes
from lenetshift.checks.captures import is_captured
from lenetshift.checks.core import core
from lenetshift.checks.errors import ArgumentError
from lenetshift.checks.tensors import check_tensor
from lenetshift.ops._common import define, run_kernel
from lenetshift.ops._transforms import (
    register_float32_autocast,
    register_no_derivatives,
    register_vmap,
)

_FLOATS = (*FLOATS, *HALF_FLOATS)
_WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def _check_tables(input: Tensor, rows: Tensor, columns: Tensor) -> None:
    for name, table, size in (("rows", rows, input.shape[2]), ("columns", columns, input.shape[3])):
        check_tensor(name, table, (torch.int64,), (None, None), input.device)
        if table.numel() == 0:
            continue
        if is_captured(table.device):
            raise RuntimeError(
                f"{name}: a table is read on the CPU, which no CUDA graph can capture"
            )
        low, high = extremes(table)
        if low < -1 or high >= size:
            raise ArgumentError(name, f"values in {low}..{high}", f"values in -1..{size - 1}")


def _computes_in_float32(input: Tensor) -> bool:
    return input.device.type == "cpu" and input.dtype in HALF_FLOATS


def _has_kernel(input: Tensor) -> bool:
    return input.device.type == "cpu" and input.dtype in FLOATS


def _output(input: Tensor, n_outputs: int, rows: Tensor, columns: Tensor) -> Tensor:
    """``[N, n_outputs, H_out, W_out]`` in channels_last, not filled."""
    cells = input.new_empty(input.shape[0], rows.shape[0], columns.shape[0], n_outputs)
    return cells.permute(0, 3, 1, 2)


def _run(kernel: str, input: Tensor, rows: Tensor, columns: Tensor, *arguments: object) -> None:
    """Call a kernel of the core with the windows of a float32 or float64 input on the CPU."""
    cells, rows, columns = (
        input.permute(0, 2, 3, 1).contiguous(),
        rows.contiguous(),
        columns.contiguous(),
    )
    windows_of = (
        core.IndirectWindowsF32 if input.dtype == torch.float32 else core.IndirectWindowsF64
    )
    windows = windows_of(
        input=cells.data_ptr(),
        n_images=cells.shape[0],
        height=cells.shape[1],
        width=cells.shape[2],
        n_channels=cells.shape[3],
        rows=rows.data_ptr(),
        out_height=rows.shape[0],
        kernel_height=rows.shape[1],
        columns=columns.data_ptr(),
        out_width=columns.shape[0],
        kernel_width=columns.shape[1],
    )
    run_kernel(kernel, input.device, windows, *arguments)


def _gathered(input: Tensor, rows: Tensor, columns: Tensor, outside: float) -> Tensor:
    """Every window: ``[N, C, H_out * kh, W_out * kw]``."""
    cells = F.pad(input, (0, 1, 0, 1), value=outside)  # the last line is the one outside
    for dim, table in ((2, rows), (3, columns)):
        cells = cells.index_select(dim, table.flatten() % cells.shape[dim])
    return cells


def _conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    rows: Tensor,
    columns: Tensor,
    groups: int = 1,
    low: float | None = None,
    high: float | None = None,
) -> Tensor:
    """Convolution whose windows are found in tables: of any stride, padding and dilation.

    ``output[n, o, i, j] = clamp(bias[o] + sum over c, u, v of
    weight[o, c, u, v] * input[n, c, rows[i, u], columns[j, v]], low, high)``, where the input is 0 if a
    table has -1, also for a weight that is not finite: 0 * inf is NaN.

    It has no derivative; ``torch.func.vmap`` and ``torch.compile`` work. The op is
    ``torch.ops.lenetshift.indirect_conv2d``, its twin in plain PyTorch
    :func:`lenetshift.reference.indirect_conv2d`. :mod:`lenetshift.ops.indirect` says which dtypes and devices
    have kernels of their own.

    Args:
        input: ``[N, C, H, W]``, floating-point; fastest in channels_last.
        weight: ``[O, C / groups, kh, kw]``, of the same dtype; fastest as a view of contiguous
            ``[kh, kw, C / groups, O]``.
        bias: ``[O]``, of the same dtype.
        rows: int64 ``[H_out, kh]``: the input's rows under the kernel, -1..H - 1.
        columns: int64 ``[W_out, kw]``: the input's columns under the kernel, -1..W - 1.
        groups: a divisor of C and of O.
        low: the results are at least this, 0 for ReLU; None: no bound. NaN stays NaN.
        high: the results are at most this.

    Returns:
        ``[N, O, H_out, W_out]``, of the same dtype, in channels_last.

    Raises:
        ValueError: a shape, dtype, device, table, bound or number of groups does not fit.

    Source: Dukhan, The Indirect Convolution Algorithm (2019), which has a pointer for each pixel where this
    has an index for each line.

    >>> import torch
    >>> from lenetshift import ops
    >>> input, weight, bias = torch.tensor([[[[1.0, 2, 4]]]]), torch.ones(1, 1, 1, 2), torch.zeros(1)
    >>> row, columns = torch.tensor([[0]]), torch.tensor([[-1, 0], [0, 1], [2, 2]])
    >>> ops.indirect_conv2d(input, weight, bias, row, columns)
    tensor([[[[1., 3., 8.]]]])
    """
    check_tensor("input", input, _FLOATS, (None, None, None, None))
    _check_tables(input, rows, columns)
    n_inputs, kernel = input.shape[1], (rows.shape[1], columns.shape[1])
    if groups < 1 or n_inputs % groups:
        raise ArgumentError("groups", str(groups), f"a divisor of the {n_inputs} channels")
    check_tensor(
        "weight", weight, (input.dtype,), (None, n_inputs // groups, *kernel), input.device
    )
    n_outputs = len(weight)
    if n_outputs % groups:
        raise ArgumentError("groups", str(groups), f"a divisor of the {n_outputs} outputs")
    check_tensor("bias", bias, (input.dtype,), (n_outputs,), input.device)
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    for name, bound in (("low", low), ("high", high)):
        if math.isnan(bound):
            raise ArgumentError(name, "nan", "a number")
    if _computes_in_float32(input):
        in_float = (input.float(), weight.float(), bias.float())
        return _conv2d(*in_float, rows, columns, groups, low, high).to(input.dtype)
    output = _output(input, n_outputs, rows, columns)
    depthwise = 1 < groups == n_inputs == n_outputs
    if output.numel() == 0:
        return output
    if weight.numel() == 0:
        return output.copy_(bias[:, None, None]).clamp_(low, high)
    if _has_kernel(input) and (groups == 1 or depthwise):
        packed, bias = weight.permute(2, 3, 1, 0).contiguous(), bias.contiguous()
        layer = (packed.data_ptr(), bias.data_ptr(), *(() if depthwise else (n_outputs,)))
        name = "indirect_depthwise" if depthwise else "indirect_conv"
        _run(name, input, rows, columns, *layer, (low, high), output.data_ptr())
        return output
    cells = _gathered(input, rows, columns, 0)
    return output.copy_(F.conv2d(cells, weight, bias, kernel, groups=groups)).clamp_(low, high)


def _conv2d_fake(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    rows: Tensor,
    columns: Tensor,
    groups: int = 1,
    low: float | None = None,
    high: float | None = None,
) -> Tensor:
    return _output(input, weight.shape[0], rows, columns)


def _pool2d(input: Tensor, rows: Tensor, columns: Tensor, largest: bool) -> Tensor:
    """The largest value, or the sum, of windows that are found in tables.

    It has no derivative; ``torch.func.vmap`` and ``torch.compile`` work. The op is
    ``torch.ops.lenetshift.indirect_pool2d``, its twin in plain PyTorch
    :func:`lenetshift.reference.indirect_pool2d`.

    Args:
        input: ``[N, C, H, W]``, floating-point or whole numbers, whose sums wrap around.
        rows: int64 ``[H_out, kh]``, as for :func:`indirect_conv2d`. What is outside is left out.
        columns: int64 ``[W_out, kw]``.
        largest: the largest value under the kernel, otherwise the sum. The largest of values one of which is
            NaN is NaN; the largest of no values is the smallest value of the dtype.

    Returns:
        ``[N, C, H_out, W_out]``, of the same dtype, in channels_last.

    Raises:
        ValueError: a shape, dtype, device or table does not fit.

    >>> import torch
    >>> from lenetshift import ops
    >>> maps, columns = torch.arange(4.0).view(1, 1, 1, 4), torch.tensor([[-1, 0], [0, 1], [3, 3]])
    >>> ops.indirect_pool2d(maps, torch.tensor([[0]]), columns, largest=False)  # -1 is left out
    tensor([[[[0., 1., 6.]]]])
    """
    check_tensor("input", input, (*_FLOATS, *_WHOLE), (None, None, None, None))
    _check_tables(input, rows, columns)
    if _computes_in_float32(input):
        return _pool2d(input.float(), rows, columns, largest).to(input.dtype)
    output = _output(input, input.shape[1], rows, columns)
    if output.numel() == 0:
        return output
    outside: float = 0
    if largest:
        is_float = input.is_floating_point()
        outside = -math.inf if is_float else torch.iinfo(input.dtype).min
    kernel = (rows.shape[1], columns.shape[1])
    if 0 in kernel:
        return output.fill_(outside)
    if _has_kernel(input):
        join = core.Join.largest if largest else core.Join.sum
        _run("indirect_pool", input, rows, columns, join, output.data_ptr())
        return output
    cells = _gathered(input, rows, columns, outside)
    cells = cells.unflatten(3, (-1, kernel[1])).unflatten(2, (-1, kernel[0]))
    return output.copy_(cells.amax((3, 5)) if largest else cells.sum((3, 5), dtype=input.dtype))


def _pool2d_fake(input: Tensor, rows: Tensor, columns: Tensor, largest: bool) -> Tensor:
    return _output(input, input.shape[1], rows, columns)


indirect_conv2d = define(
    "indirect_conv2d(Tensor input, Tensor weight, Tensor bias, Tensor rows, Tensor columns, "
    "int groups=1, float? low=None, float? high=None) -> Tensor",
    _conv2d,
    _conv2d_fake,
    needs_cuda_kernel=False,
)
indirect_pool2d = define(
    "indirect_pool2d(Tensor input, Tensor rows, Tensor columns, bool largest) -> Tensor",
    _pool2d,
    _pool2d_fake,
    needs_cuda_kernel=False,
)
for _name, _instead in (
    ("indirect_conv2d", "torch.nn.functional.conv2d"),
    ("indirect_pool2d", "torch.nn.functional.max_pool2d or avg_pool2d"),
):
    register_no_derivatives(_name, instead=_instead)
    register_vmap(_name, at_once=True)
    register_float32_autocast(_name)
