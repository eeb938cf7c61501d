"""Rules for kernels that slide over a window: convolutions, poolings, padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .call import Call
from .geometry import Axis, NotShared
from .maps import Join, Map, conv2d, padded, pool2d

PADS = "pads its input, so its features depend on where the frame lies"
Lines = tuple[int, int]  # before and after


def convolution(
    call: Call,
    maps: Any,
    weight: Any,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Map:
    """``F.conv2d``."""
    if not isinstance(maps, Map) or not isinstance(weight, Tensor):
        raise NotShared("takes its kernel from the image")
    dilation = _pair(dilation)
    rows, columns = _padding(padding, weight.shape[2:], dilation)
    return conv2d(_padded(maps, rows, columns), weight, bias, _pair(stride), dilation, groups)


def c3_convolution(call: Call, maps: Any, weight: Tensor, bias: Tensor, masks: Any) -> Map:
    """``torch.ops.lenetshift.c3_conv``: a convolution whose missing connections are zeros."""
    if not isinstance(maps, Map):
        raise NotShared("takes its kernel from the image")
    n_inputs = maps.tensor.shape[1]
    connected = [[bool(mask >> i & 1) for i in range(n_inputs)] for mask in masks]
    dense = weight.new_zeros(len(masks), n_inputs, 5, 5)
    dense[torch.tensor(connected, device=weight.device)] = weight
    return conv2d(maps, dense, bias, (1, 1), (1, 1), groups=1)


def _padding(padding: Any, kernel: Sequence[int], dilation: tuple[int, int]) -> tuple[Lines, Lines]:
    """Rows and columns that a convolution pads, before and after."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)
    rows, columns = _pair(padding)
    return (rows, rows), (columns, columns)


def _padded(maps: Map, rows: Lines, columns: Lines, value: float = 0) -> Map:
    return padded(maps, rows, columns, value) if any((*rows, *columns)) else maps


def padding(call: Call, maps: Any, pad: Any, mode: str = "constant", value: Any = None) -> Map:
    """``F.pad``."""
    if mode != "constant" or len(pad) > 4 or min(pad) < 0:
        raise NotShared(PADS)
    columns, rows = (*pad, 0, 0)[:2], (*pad, 0, 0)[2:4]
    return _padded(maps, rows, columns, value or 0)


def max_pool2d(
    call: Call,
    maps: Map,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Map:
    """``F.max_pool2d``."""
    if return_indices:
        raise NotShared("returns places, which differ from window to window")
    kernel, stride, dilation = _pair(kernel_size), _pair(stride or kernel_size), _pair(dilation)
    _check_pooling(maps, kernel, stride, dilation, _pair(padding), ceil_mode)
    return pool2d(maps, torch.maximum, kernel, stride, dilation)


def avg_pool2d(
    call: Call,
    maps: Map,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Map:
    """``F.avg_pool2d``."""
    kernel, stride = _pair(kernel_size), _pair(stride or kernel_size)
    _check_pooling(maps, kernel, stride, (1, 1), _pair(padding), ceil_mode)
    return _average(maps, kernel, stride, divisor_override or kernel[0] * kernel[1])


def adaptive_max_pool2d(
    call: Call, maps: Map, output_size: Any, return_indices: bool = False
) -> Map:
    """``F.adaptive_max_pool2d``."""
    if return_indices:
        raise NotShared("returns places, which differ from window to window")
    kernel = _even_kernel(maps, output_size)
    return pool2d(maps, torch.maximum, kernel, kernel)


def adaptive_avg_pool2d(call: Call, maps: Map, output_size: Any) -> Map:
    """``F.adaptive_avg_pool2d``."""
    kernel = _even_kernel(maps, output_size)
    return _average(maps, kernel, kernel, kernel[0] * kernel[1])


def _average(maps: Map, kernel: tuple[int, int], stride: tuple[int, int], divisor: int) -> Map:
    sums: Join = torch.add
    pooled = pool2d(maps, sums, kernel, stride)
    return pooled.with_tensor(pooled.tensor / divisor)


def _check_pooling(
    maps: Map,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[int, int],
    ceil_mode: bool,
) -> None:
    if any(padding):
        raise NotShared(PADS)
    for axis, k, s, d in zip((maps.y, maps.x), kernel, stride, dilation, strict=True):
        if ceil_mode and (axis.size - (k - 1) * d - 1) % s:
            raise NotShared("lets its last windows stick out of the frame (ceil_mode)")


def _even_kernel(maps: Map, output_size: Any) -> tuple[int, int]:
    """The kernel of an adaptive pooling whose windows are all alike."""
    wanted = output_size if isinstance(output_size, Sequence) else (output_size, output_size)
    kernel = []
    for axis, size in zip((maps.y, maps.x), wanted, strict=True):
        if size is not None and axis.size % size:
            raise NotShared(f"pools {axis.size} places into {size}, so unevenly")
        kernel.append(_kernel(axis, size))
    return kernel[0], kernel[1]


def _kernel(axis: Axis, size: int | None) -> int:
    return 1 if size is None else axis.size // size


def _pair(value: Any) -> tuple[int, int]:
    """Rows and columns, where PyTorch lets one number stand for both."""
    if isinstance(value, Sequence):
        return (value[0], value[-1])
    return value, value
