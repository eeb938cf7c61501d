"""Rules for functions of a whole window: what leaves the map and goes on for each pattern alone.

From there on a tensor has a row for each window of each image, ``[N * n_y * n_x, ...]``, and every
function is run as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_map

from .call import Call
from .geometry import NotShared
from .maps import Join, Map, conv2d, cropped, pool2d, windows
from .places import CHANNELS, each_place


@dataclass(frozen=True, eq=False)
class Flat:
    """A flattened map, its windows not yet taken apart: a dense layer on it is a convolution."""

    map: Map


def taken_apart(value: Any) -> Any:
    """A map's or flattened map's windows, a row each; anything else as it is."""
    if isinstance(value, Map):
        return windows(value)
    if isinstance(value, Flat):
        return windows(value.map).flatten(1)
    return value


def of_windows(call: Call, *args: Any, **kwargs: Any) -> Any:
    """Any function of each window by itself."""
    return call(*tree_map(taken_apart, args), **tree_map(taken_apart, kwargs))


def flattened(call: Call, value: Any, *args: Any, **kwargs: Any) -> Any:
    """``flatten``, ``view`` and ``reshape``."""
    if isinstance(value, Map):
        window = (value.tensor.shape[1], value.y.size, value.x.size)
        if call.shape == (2, *window):
            return value
        if call.shape == (2, math.prod(window)):
            return Flat(value)
    return of_windows(call, value, *args, **kwargs)


def linear(call: Call, value: Any, weight: Tensor, bias: Tensor | None = None) -> Any:
    """``F.linear``: on a flattened map, a convolution as large as its windows."""
    if isinstance(value, Map):
        raise NotShared("is a dense layer along the rows of a window")
    if not isinstance(value, Flat) or weight.is_cuda:  # cuDNN may round otherwise than cuBLAS
        return of_windows(call, value, weight, bias)
    maps = value.map
    kernel = weight.view(-1, maps.tensor.shape[1], maps.y.size, maps.x.size)
    return windows(conv2d(maps, kernel, bias, (1, 1), (1, 1), groups=1)).flatten(1)


def over_places(join: Join, average: bool = False) -> Callable[..., Any]:
    """The rule of ``sum``, ``mean``, ``amax`` or ``amin``."""

    def rule(call: Call, value: Any, dim: Any = None, keepdim: bool = False, **more: Any) -> Any:
        if not isinstance(value, Map) or more:
            return of_windows(call, value, dim, keepdim, **more)
        dims = dim if isinstance(dim, (tuple, list)) else (dim,)
        if keepdim and dims[0] in CHANNELS and len(dims) == 1:
            return each_place(call, value, dim=dim, keepdim=True)
        if len(dims) != 2 or {d % 4 for d in dims} != {2, 3}:
            return of_windows(call, value, dim, keepdim)
        size = (value.y.size, value.x.size)
        result = windows(pool2d(value, join, size, size))
        if average:
            result = result / math.prod(size)
        return result if keepdim else result.flatten(1)

    return rule


def extreme(call: Call, value: Any, *args: Any, **kwargs: Any) -> Any:
    """``max`` and ``min``: of two maps place by place, of one along its dimensions."""
    if any(isinstance(other, (Map, Tensor)) for other in (*args, *kwargs.values())):
        return each_place(call, value, *args, **kwargs)
    return of_windows(call, value, *args, **kwargs)


def indexed(call: Call, value: Any, index: Any) -> Any:
    """``x[...]``: slices of channels, rows and columns; of other places, window by window."""
    if not isinstance(value, Map):
        return of_windows(call, value, index)
    index = index if isinstance(index, tuple) else (index,)
    if any(isinstance(at, (Tensor, Map, Flat)) for at in index):
        raise NotShared("takes places that depend on the image")
    if any(isinstance(at, EllipsisType) for at in index):
        left = index.index(...)
        index = index[:left] + (slice(None),) * (5 - len(index)) + index[left + 1 :]
    index += (slice(None),) * (4 - len(index))
    if index[0] != slice(None):
        raise NotShared("takes some images of its batch")
    if len(index) != 4 or not all(isinstance(at, slice) for at in index):
        return of_windows(call, value, index)
    value = value.with_tensor(value.tensor[:, index[1]])
    if index[2] == index[3] == slice(None):
        return value
    return cropped(value, range(value.y.size)[index[2]], range(value.x.size)[index[3]])
