"""Rules for kernels that slide over a window: convolution, pooling, padding.

The arguments are those of the ATen operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .call import Call
from .geometry import BEYOND, Axis, NotShared
from .maps import Map, Read, Unshared, chosen, conv2d, counts, padded, pool2d, summable
from .places import TakenApart

INDICES = Unshared("uses the indices of the largest values, which differ from window to window")


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
    return conv2d(
        maps,
        weight,
        bias,
        _pair(stride),
        _pair(padding),
        _pair(dilation),
        groups,
        call.clamp,
        call.kept,
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
    return conv2d(maps, dense, bias)


def constant_padding(call: Call, maps: Any, pad: Any, value: Any = 0) -> Any:
    """``constant_pad_nd``; negative padding crops."""
    if not isinstance(maps, Map):
        raise TakenApart
    beside, columns, rows = pad[4:], (*pad, 0, 0, 0)[:2], (*pad, 0, 0, 0)[2:4]
    if len(pad) > 2 * (maps.tensor.dim() - 1):
        raise NotShared("pads the batch")
    if any(beside):
        maps = maps.with_tensor(call(maps.tensor, (0, 0, 0, 0, *beside), value))
    cut = [
        range(max(0, -before), axis.size - max(0, -after))
        for axis, (before, after) in ((maps.y, rows), (maps.x, columns))
    ]
    if min(*rows, *columns) < 0:
        maps = chosen(maps, *cut)
    rows, columns = ((max(0, before), max(0, after)) for before, after in (rows, columns))
    return padded(maps, rows, columns, value) if any((*rows, *columns)) else maps


def moved_values(call: Call, maps: Any, *args: Any) -> Any:
    """Reflect and replicate padding, nearest upsampling: every value is one of the window's own.

    The operation itself says which: of the rows' and columns' numbers.
    """
    if not isinstance(maps, Map):
        raise TakenApart
    rows, columns = (
        torch.arange(size, dtype=torch.float64, device="cpu") for size in (maps.y.size, maps.x.size)
    )
    size = (1, 1, len(rows), len(columns))
    at_rows, at_columns = (
        call(numbers.expand(size), *args)[0, 0] for numbers in (rows[:, None], columns)
    )
    return chosen(maps, at_rows[:, 0].int().tolist(), at_columns[0].int().tolist())


def _read(
    maps: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[Read, Read]:
    """What a pooling reads along y and x."""
    if not isinstance(maps, Map):
        raise TakenApart
    of_y, of_x = zip(*map(_pair, (kernel, stride or kernel, dilation, padding)), strict=True)
    return maps.y.slid(*of_y, ceil_mode=ceil_mode), maps.x.slid(*of_x, ceil_mode=ceil_mode)


def _read_adaptively(maps: Any, output_size: Any) -> tuple[Read, Read]:
    """What an adaptive pooling reads along y and x."""
    if not isinstance(maps, Map):
        raise TakenApart

    def read(axis: Axis, n: int) -> Read:
        first, end = np.arange(n) * axis.size // n, -(np.arange(1, n + 1) * axis.size // -n)
        places = first[:, None] + np.arange((end - first).max())
        return axis.read(np.where(places < end[:, None], places, BEYOND))

    n_y, n_x = _pair(output_size)
    return read(maps.y, n_y), read(maps.x, n_x)


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
    read = _read(maps, kernel_size, stride, padding, dilation, ceil_mode)
    return pool2d(maps, torch.maximum, *read), INDICES


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
    read = _read(maps, kernel_size, stride, padding, 1, ceil_mode)
    device = maps.tensor.device
    divisor = divisor_override or counts(*read, device, padding=count_include_pad)
    return _averaged(maps, read, divisor)


def adaptive_max_pool2d(call: Call, maps: Any, output_size: Any) -> tuple[Map, Unshared]:
    """``adaptive_max_pool2d``."""
    return pool2d(maps, torch.maximum, *_read_adaptively(maps, output_size)), INDICES


def adaptive_avg_pool2d(call: Call, maps: Any, output_size: Any) -> Map:
    """``_adaptive_avg_pool2d``."""
    read = _read_adaptively(maps, output_size)
    return _averaged(maps, read, counts(*read, maps.tensor.device, padding=False))


def _averaged(maps: Map, read: tuple[Read, Read], divisor: Tensor | int) -> Map:
    tensor = maps.tensor
    summed = pool2d(maps.with_tensor(summable(tensor)), torch.add, *read)
    return summed.with_tensor((summed.tensor / divisor).to(tensor.dtype))


def pool_features(call: Call, maps: Any, kernel_size: Any, *args: Any, **kwargs: Any) -> Any:
    """``avg_pool3d`` over features only, as in ``local_response_norm``."""
    stride = call.argument("stride", (maps, kernel_size, *args), kwargs) or kernel_size
    padding = call.argument("padding", (maps, kernel_size, *args), kwargs) or 0
    at_places = (*_pair(kernel_size), *_pair(stride), *(n + 1 for n in _pair(padding)))
    if not isinstance(maps, Map) or len(kernel_size) != 3 or set(at_places) != {1}:
        raise NotShared("pools over three dimensions")
    return maps.with_tensor(call(maps.tensor, kernel_size, *args, **kwargs))


def _pair(value: Any) -> tuple[int, int]:
    """The numbers for rows and columns, the last two; PyTorch also accepts one for both."""
    if isinstance(value, Sequence):
        return (value[-2:][0], value[-1])
    return value, value
