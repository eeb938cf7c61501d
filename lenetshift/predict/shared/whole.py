"""Rules for operations on a whole window, after which each pattern goes on alone.

From then on a tensor has a row for each window of each image, ``[N * n_y * n_x, ...]``, and every
operation runs as recorded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .call import Call
from .geometry import NotShared
from .graph import TWO, mapped
from .maps import (
    Flat,
    Join,
    Map,
    aligned,
    chosen,
    conv2d,
    pool2d,
    summable,
    windows,
    written,
)
from .places import TakenApart, along, constant_map, dims_of, features_of
from .weights import by_place, kept_in

LARGEST_KERNEL = 1 << 21
"""Weights of a dense layer that becomes a convolution, which keeps them in another layout. A larger layer
(VGG's first one has 103 million) takes the windows apart instead."""


def taken_apart(value: Any) -> Any:
    """The windows of a map or flattened map, a row each; any other value as it is."""
    if isinstance(value, Map):
        return value.taken_apart
    if isinstance(value, Flat):
        return value.map.taken_apart.flatten(1)
    return value


def of_windows(call: Call, *args: Any, **kwargs: Any) -> Any:
    """Any operation on each window by itself."""
    return call(*mapped(args, taken_apart), **mapped(kwargs, taken_apart))


def viewed(call: Call, value: Any, *args: Any, **kwargs: Any) -> Any:
    """``view``, ``unsqueeze`` and other operations that give the same values another shape."""
    maps = value.map if isinstance(value, Flat) else value
    if call.shape[:1] != (TWO,):
        raise NotShared("reshapes the batch so that images merge")
    features, window = maps.features, (maps.y.size, maps.x.size)
    shape = call.shape[1:]
    if shape[-2:] == window and math.prod(shape[:-2]) == math.prod(features):
        if shape[:-2] == features:
            return maps
        tensor = maps.tensor
        return maps.with_tensor(tensor.reshape(len(tensor), *shape[:-2], *tensor.shape[-2:]))
    if shape == (math.prod((*features, *window)),):
        return Flat(maps)
    raise TakenApart


def addmm(call: Call, bias: Any, value: Any, weight: Any, **scales: Any) -> Any:
    """A dense layer with a bias."""
    if scales or not isinstance(bias, Tensor) or bias.dim() != 1:
        raise TakenApart
    return _dense(call, value, weight, bias)


def mm(call: Call, value: Any, weight: Any) -> Any:
    """A dense layer without a bias."""
    return _dense(call, value, weight, None)


def linear(call: Call, value: Any, weight: Any, bias: Tensor | None = None) -> Any:
    """``linear``, if it was recorded as one operation."""
    return _dense(call, value, weight, bias, transposed=True)


def _dense(
    call: Call, value: Any, weight: Any, bias: Tensor | None, *, transposed: bool = False
) -> Any:
    """``value @ weight``, ``weight [n, O]``: on a flattened map, a convolution as large as its windows."""
    if not isinstance(value, Flat) or not isinstance(weight, Tensor):
        raise TakenApart
    if weight.is_cuda:  # cuDNN may round otherwise than cuBLAS
        raise TakenApart
    if weight.numel() > LARGEST_KERNEL:
        raise TakenApart
    maps = value.map
    channels, size = math.prod(maps.features), (maps.y.size, maps.x.size)
    tensor = maps.tensor.reshape(len(maps.tensor), channels, *maps.tensor.shape[-2:])

    def as_kernel(weight: Tensor) -> Tensor:
        rows = weight if transposed else weight.t()
        return by_place(rows.reshape(-1, channels, *size))

    kernel = kept_in(call.kept, weight, as_kernel)
    out = conv2d(maps.with_tensor(tensor), kernel, bias, kept=call.kept)
    return windows(out).flatten(1)


def over_places(join: Join, average: bool = False) -> Callable[..., Any]:
    """The rule of ``sum``, ``mean``, ``amax`` or ``amin``."""

    def rule(call: Call, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, Map):
            raise TakenApart
        dims = dims_of(call, (value, *args), kwargs, value.tensor.dim())
        if set(dims) != set(range(value.tensor.dim())[-2:]) or kwargs.get("dtype"):
            return along(call, value, *args, **kwargs)
        if len(features_of(value)) != 1:
            raise TakenApart
        size = (value.y.size, value.x.size)
        tensor = value.tensor
        adds = join is torch.add
        summed = value.with_tensor(summable(tensor) if adds else tensor)
        result = windows(pool2d(summed, join, value.y.slid(size[0]), value.x.slid(size[1])))
        if average:
            result = result / math.prod(size)
        if adds and tensor.is_floating_point():
            result = result.to(tensor.dtype)
        return result if call.argument("keepdim", (value, *args), kwargs) else result.flatten(1)

    return rule


def sliced(
    call: Call, value: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Any:
    """``slice``: of features, rows or columns."""
    if not isinstance(value, Map):
        raise TakenApart
    n_dims = value.tensor.dim()
    dim %= n_dims
    if dim == 0:
        if call.shape[:1] != (TWO,) or step != 1 or start:
            raise NotShared("selects some images of the batch")
        return value
    taken = slice(start, end, step)
    if dim in features_of(value):
        return value.with_tensor(call(value.tensor, dim, start, end, step))
    rows, columns = range(value.y.size), range(value.x.size)
    if dim == n_dims - 2:
        return chosen(value, rows[taken], columns)
    return chosen(value, rows, columns[taken])


def indexed(call: Call, value: Any, indices: Any) -> Any:
    """``x[numbers]``: of features only."""
    if not isinstance(value, Map):
        raise TakenApart
    at = {k for k, index in enumerate(indices) if index is not None}
    if not at <= set(features_of(value)):
        raise NotShared("indexes the places of a window")
    return value.with_tensor(call(value.tensor, indices))


def scattered(call: Call, value: Any, source: Any, dim: int = 0, *at: Any) -> Any:
    """``slice_scatter`` and ``select_scatter``; ``at``: start, end and step, or the index."""
    if not isinstance(value, Map) and not isinstance(source, Map):
        raise TakenApart
    maps = value if isinstance(value, Map) else constant_map(source, value)
    source = source if isinstance(source, Map) else constant_map(maps, source)
    n_dims = maps.tensor.dim()
    dim %= n_dims
    if dim == 0:
        raise NotShared("writes to some images of the batch")
    if call.name == "select_scatter" and dim not in features_of(maps):
        raise NotShared("writes a row or column without its dimension")
    if dim in features_of(maps):
        maps, source = aligned([maps, source])
        return maps.with_tensor(call(maps.tensor, source.tensor, dim, *at))
    size = call.shape[dim]
    return written(maps, source, dim - n_dims, range(size)[slice(*at)])
