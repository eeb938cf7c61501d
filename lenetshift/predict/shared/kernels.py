"""Rules for kernels that slide over a window: convolution, pooling, padding.

The arguments are those of the ATen operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .call import Call
from .geometry import NotShared
from .maps import (
    Join,
    Map,
    Unshared,
    conv2d,
    padded,
    pool2d,
    summable,
)
from .places import TakenApart

PADS = "pads its input, so its features depend on where the frame lies"
INDICES = Unshared("uses the indices of the largest values, which differ from window to window")
Lines = tuple[int, int]  # before and after


def convolution(
    call: Call,
    maps: Any,
    weight: Any,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *settings: bool,
) -> Map:
    """``convolution``."""
    if not isinstance(maps, Map) or not isinstance(weight, Tensor):
        raise NotShared("computes its kernel from the image")
    if transposed or weight.dim() != 4:
        raise NotShared("cannot be shared between windows")
    rows, columns = ((n, n) for n in _pair(padding))
    return conv2d(
        _padded(maps, rows, columns), weight, bias, _pair(stride), _pair(dilation), groups
    )


def c3_convolution(call: Call, maps: Any, weight: Tensor, bias: Tensor, masks: Any) -> Map:
    """``torch.ops.lenetshift.c3_conv``: a convolution whose missing connections are zeros."""
    if not isinstance(maps, Map):
        raise NotShared("computes its kernel from the image")
    n_inputs = maps.tensor.shape[1]
    pairs = [(o, i) for o, mask in enumerate(masks) for i in range(n_inputs) if mask >> i & 1]
    dense = weight.new_zeros(len(masks), n_inputs, 5, 5)
    outputs, inputs = torch.tensor(pairs, device=weight.device).unbind(1)
    dense[outputs, inputs] = weight
    return conv2d(maps, dense, bias, (1, 1), (1, 1), groups=1)


def _padded(maps: Map, rows: Lines, columns: Lines, value: float = 0) -> Map:
    return padded(maps, rows, columns, value) if any((*rows, *columns)) else maps


def constant_padding(call: Call, maps: Any, pad: Any, value: Any = 0) -> Any:
    """``constant_pad_nd``."""
    if not isinstance(maps, Map):
        raise TakenApart
    beside, columns, rows = pad[4:], (*pad, 0, 0, 0)[:2], (*pad, 0, 0, 0)[2:4]
    if any(beside):
        if any((*rows, *columns)) or len(pad) > 2 * (maps.tensor.dim() - 1):
            raise NotShared(PADS)
        return maps.with_tensor(call(maps.tensor, pad, value))  # features only
    if min(pad, default=0) < 0:
        raise NotShared(PADS)
    return _padded(maps, rows, columns, value)


def other_padding(call: Call, *args: Any, **kwargs: Any) -> Any:
    """Padding with values of the image itself."""
    raise NotShared(PADS)


def max_pool2d(
    call: Call,
    maps: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[Map, Unshared]:
    """``max_pool2d_with_indices``."""
    kernel, stride, dilation = _pair(kernel_size), _pair(stride or kernel_size), _pair(dilation)
    maps = _checked_pooling(maps, kernel, stride, dilation, _pair(padding), ceil_mode)
    return pool2d(maps, torch.maximum, kernel, stride, dilation), INDICES


def avg_pool2d(
    call: Call,
    maps: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Map:
    """``avg_pool2d``."""
    kernel, stride = _pair(kernel_size), _pair(stride or kernel_size)
    maps = _checked_pooling(maps, kernel, stride, (1, 1), _pair(padding), ceil_mode)
    return _average(maps, kernel, stride, divisor_override or kernel[0] * kernel[1])


def adaptive_max_pool2d(call: Call, maps: Any, output_size: Any) -> tuple[Map, Unshared]:
    """``adaptive_max_pool2d``."""
    kernel = _even_kernel(maps, output_size)
    return pool2d(maps, torch.maximum, kernel, kernel), INDICES


def adaptive_avg_pool2d(call: Call, maps: Any, output_size: Any) -> Map:
    """``_adaptive_avg_pool2d``."""
    kernel = _even_kernel(maps, output_size)
    return _average(maps, kernel, kernel, kernel[0] * kernel[1])


def pool_features(call: Call, maps: Any, kernel_size: Any, *args: Any, **kwargs: Any) -> Any:
    """``avg_pool3d`` over features only, as in ``local_response_norm``."""
    stride = call.argument("stride", (maps, kernel_size, *args), kwargs) or kernel_size
    padding = call.argument("padding", (maps, kernel_size, *args), kwargs) or 0
    at_places = (*_pair(kernel_size), *_pair(stride), *(n + 1 for n in _pair(padding)))
    if not isinstance(maps, Map) or len(kernel_size) != 3 or set(at_places) != {1}:
        raise NotShared("pools over three dimensions")
    return maps.with_tensor(call(maps.tensor, kernel_size, *args, **kwargs))


def _average(maps: Map, kernel: tuple[int, int], stride: tuple[int, int], divisor: int) -> Map:
    sums: Join = torch.add
    pooled = pool2d(maps.with_tensor(summable(maps.tensor)), sums, kernel, stride)
    return pooled.with_tensor((pooled.tensor / divisor).to(maps.tensor.dtype))


def _checked_pooling(
    maps: Any,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[int, int],
    ceil_mode: bool,
) -> Map:
    if not isinstance(maps, Map):
        raise TakenApart
    if any(padding):
        raise NotShared(PADS)
    for axis, k, s, d in zip((maps.y, maps.x), kernel, stride, dilation, strict=True):
        if ceil_mode and (axis.size - (k - 1) * d - 1) % s:
            raise NotShared("lets its last windows extend beyond the frame (ceil_mode)")
    return maps


def _even_kernel(maps: Any, output_size: Any) -> tuple[int, int]:
    """The kernel of an adaptive pooling whose windows all have the same size."""
    if not isinstance(maps, Map):
        raise TakenApart
    wanted = output_size if isinstance(output_size, Sequence) else (output_size, output_size)
    kernel = []
    for axis, size in zip((maps.y, maps.x), wanted, strict=True):
        if axis.size % size:
            raise NotShared(f"pools {axis.size} places into {size}, which is uneven")
        kernel.append(axis.size // size)
    return kernel[0], kernel[1]


def _pair(value: Any) -> tuple[int, int]:
    """The numbers for rows and columns, the last two; PyTorch also accepts one for both."""
    if isinstance(value, Sequence):
        return (value[-2:][0], value[-1])
    return value, value
