"""Rules for functions that make each value from the values at the same place of a window."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from .call import Call
from .geometry import NotShared
from .maps import Map, aligned

CHANNELS = (1, -3)  # the ways to name the dimension of the channels


def each_place(call: Call, *args: Any, **kwargs: Any) -> Any:
    """Any function of each place by itself, of one map or more and of constants."""
    leaves = tree_leaves((args, kwargs))
    for value in leaves:
        if isinstance(value, Tensor):
            _check_constant(value)
    maps = [value for value in leaves if isinstance(value, Map)]
    brought = dict(zip(map(id, maps), aligned(maps), strict=True))

    def tensor_of(value: Any) -> Any:
        return brought[id(value)].tensor if isinstance(value, Map) else value

    result = call(*tree_map(tensor_of, args), **tree_map(tensor_of, kwargs))
    return tree_map(brought[id(maps[0])].with_tensor, result)


def _check_constant(value: Tensor) -> None:
    images, _, *places = (1,) * (4 - value.dim()) + tuple(value.shape)
    if images != 1:
        raise NotShared("joins a map with numbers that each window has for itself")
    if any(size != 1 for size in places):
        raise NotShared("joins a map with numbers that differ from place to place")


def along_channels(call: Call, maps: Any, dim: Any = 1, *args: Any, **kwargs: Any) -> Any:
    """A function along the dimension ``dim``, by default 1."""
    if dim not in CHANNELS:
        raise NotShared("works along the rows or columns of a window")
    return each_place(call, maps, *args, dim=dim, **kwargs)


def softmax_module(call: Call, maps: Map, dim: Any) -> Any:
    """``nn.Softmax`` and ``nn.LogSoftmax``, which know their dimension."""
    return along_channels(lambda x, dim: call(x), maps, dim)  # type: ignore[arg-type]


def in_pieces(call: Call, maps: Map, sizes: Any, dim: int = 0) -> Any:
    """``chunk`` and ``split``."""
    if dim not in CHANNELS:
        raise NotShared("takes its batch or its windows apart")
    return each_place(call, maps, sizes, dim=dim)


def concatenated(call: Call, tensors: Any, dim: int = 0) -> Any:
    """``cat``."""
    if dim not in CHANNELS or not all(isinstance(value, Map) for value in tensors):
        raise NotShared("joins a map with something else than the channels of another")
    return each_place(call, tensors, dim=dim)


def by_channel(call: Call, maps: Any, *args: Any, **kwargs: Any) -> Any:
    """A function whose constants have a number for each channel."""
    if not isinstance(maps, Map):
        raise NotShared("takes a map where a constant belongs")
    return maps.with_tensor(call(maps.tensor, *args, **kwargs))


def batch_norm(call: Call, maps: Any, *args: Any, **kwargs: Any) -> Any:
    """``F.batch_norm``: input, mean, variance, weight, bias, training, ..."""
    if kwargs.get("training", args[4] if len(args) > 4 else False):
        raise NotShared("normalises by its batch")
    return by_channel(call, maps, *args, **kwargs)


def over_window(call: Call, *args: Any, **kwargs: Any) -> Any:
    """Normalisation over more than a place."""
    raise NotShared("normalises over the whole window")


def dropout(
    call: Call, value: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Any:
    """``F.dropout`` and its kind: the identity outside training."""
    if training:
        raise NotShared("draws random numbers")
    return value


def unchanged(call: Call, value: Any, *args: Any, **kwargs: Any) -> Any:
    """What is the identity, memory layout aside."""
    return value
