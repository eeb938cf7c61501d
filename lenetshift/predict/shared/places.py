"""Rules for operations that make each value from the values at the same place of a window.

A map's dimensions are images, features (one: the channels; several or none after a ``view``), rows and
columns. What works along the features alone leaves every place where it is.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .call import Call
from .geometry import NotShared
from .graph import TWO, leaves, mapped, same_numbers
from .maps import Flat, Map, aligned

LAYOUTS = ("memory_format", "layout", "pin_memory", "non_blocking")
"""Arguments that say how a result lies in memory."""


def each_place(call: Call, *args: Any, **kwargs: Any) -> Any:
    """Any operation at each place by itself, on one map or more and on constants."""
    kwargs = {name: value for name, value in kwargs.items() if name not in LAYOUTS}
    given = list(leaves((args, kwargs)))
    if not any(isinstance(value, Map) for value in given):
        return _on_flat(call, args, kwargs, given)
    maps = [value for value in given if isinstance(value, Map)]
    brought = dict(zip(map(id, maps), aligned(maps), strict=True))
    n_dims = max(m.tensor.dim() for m in maps)

    def tensor_of(value: Any) -> Any:
        if isinstance(value, Map):
            return brought[id(value)].tensor
        return everywhere(value, n_dims) if isinstance(value, Tensor) else value

    result = call(*mapped(args, tensor_of), **mapped(kwargs, tensor_of))
    return on_map(brought[id(maps[0])], result)


def _on_flat(call: Call, args: Any, kwargs: Any, given: list[Any]) -> Any:
    """On flattened maps: as before they were flattened, where everything else is a number."""
    features = {value.map.features for value in given if isinstance(value, Flat)}
    others = [value for value in given if isinstance(value, Tensor)]
    if any(value.dim() for value in others) or len(features) > 1:
        raise TakenApart

    def map_of(value: Any) -> Any:
        return value.map if isinstance(value, Flat) else value

    try:
        result = each_place(call, *mapped(args, map_of), **mapped(kwargs, map_of))
    except NotShared:  # of other strides
        raise TakenApart from None
    return mapped(result, _flattened)


def _flattened(value: Any) -> Any:
    return Flat(value) if isinstance(value, Map) else value


class TakenApart(Exception):
    """A rule does not apply: the operation is to run on each window by itself."""


def on_map(maps: Map, result: Any) -> Any:
    """What an operation gave on a map's tensor, as maps."""
    return mapped(
        result, lambda value: maps.with_tensor(value) if isinstance(value, Tensor) else value
    )


def everywhere(constant: Tensor, n_dims: int) -> Tensor:
    """A constant beside maps of so many dimensions, its value the same for all images and places.

    Raises:
        NotShared: it is not.
    """
    value = constant
    for dim in (-1, -2, -n_dims):
        if value.dim() >= -dim and value.shape[dim] != 1:
            first = value.narrow(dim, 0, 1)
            if not same_numbers(value, first.expand_as(value)):
                where = "from place to place" if dim != -n_dims else "from image to image"
                raise NotShared(f"joins a map with numbers that differ {where}")
            value = first
    return value


def unchanged(call: Call, value: Any, *args: Any, **kwargs: Any) -> Any:
    """What is the identity, memory layout aside."""
    return value


def features_of(maps: Map) -> range:
    """The dimensions of the features."""
    return range(1, maps.tensor.dim() - 2)


def dims_of(call: Call, args: Any, kwargs: Any, n_dims: int) -> tuple[int, ...]:
    """The dimensions that an operation works along, counted from 0; all where it names none."""
    for name in ("dim", "dims", "axis"):
        if name in call.parameters:
            dims = call.argument(name, args, kwargs)
            if dims is None or dims == []:
                break
            return tuple(d % n_dims for d in (dims if isinstance(dims, (list, tuple)) else [dims]))
    return tuple(range(n_dims))


def along(call: Call, value: Any, *args: Any, **kwargs: Any) -> Any:
    """An operation along some dimensions, such as ``softmax`` or ``flip``."""
    if not isinstance(value, Map):
        raise TakenApart
    dims = dims_of(call, (value, *args), kwargs, value.tensor.dim())
    if 0 in dims:
        raise NotShared("works across the images of its batch")
    if not all(d in features_of(value) for d in dims):
        raise TakenApart
    return on_map(value, call(value.tensor, *args, **kwargs))


def softmax(call: Call, value: Any, dim: int, half_to_float: bool) -> Any:
    """``softmax`` and ``log_softmax``."""
    if isinstance(value, Map) and dim % value.tensor.dim() not in features_of(value):
        raise NotShared("works along the rows or columns of a window")
    return along(call, value, dim, half_to_float)


def joined_features(call: Call, tensors: Any, dim: int = 0) -> Any:
    """``cat`` and ``stack``."""
    maps = [value for value in tensors if isinstance(value, Map)]
    if not maps:
        raise TakenApart
    n_dims = maps[0].tensor.dim() + ("stack" in call.name)
    if not 0 < dim % n_dims < n_dims - 2:
        raise NotShared("joins a map with something else than the features of another")
    brought = iter(aligned(maps))
    first = aligned(maps)[0]
    parts = []
    for value in tensors:
        if isinstance(value, Map):
            parts.append(next(brought).tensor)
        else:
            if not isinstance(value, Tensor) or value.dim() != maps[0].tensor.dim():
                raise NotShared("joins a map with something else than the features of another")
            constant = everywhere(value, value.dim())
            places = (len(first.tensor), *constant.shape[1:-2], *first.tensor.shape[-2:])
            parts.append(constant.expand(places))
    return first.with_tensor(call(parts, dim))


def batch_norm(call: Call, value: Any, *args: Any, **kwargs: Any) -> Any:
    """``batch_norm``, whose constants have a number for each channel."""
    if call.argument("training", (value, *args), kwargs, False):
        raise NotShared("normalises by its batch")
    if not isinstance(value, Map) or len(features_of(value)) != 1:
        raise TakenApart
    out, *_ = call(value.tensor, *args, **kwargs)
    return value.with_tensor(out), None, None


def over_window(call: Call, *args: Any, **kwargs: Any) -> Any:
    """Normalisation over more than a place."""
    raise NotShared("normalises over the whole window")


def in_pieces(call: Call, value: Any, *args: Any, **kwargs: Any) -> Any:
    """``split``, ``unbind`` and ``select``."""
    if not isinstance(value, Map):
        raise TakenApart
    dim = call.argument("dim", (value, *args), kwargs, 0) % value.tensor.dim()
    if dim == 0:
        raise NotShared("takes some images of its batch")
    if dim not in features_of(value):
        raise TakenApart
    return on_map(value, call(value.tensor, *args, **kwargs))


def moved_dims(call: Call, value: Any, *dims: Any) -> Any:
    """``permute`` and ``transpose``."""
    if not isinstance(value, Map):
        raise TakenApart
    n_dims = value.tensor.dim()
    order = list(range(n_dims))
    if len(dims) == 1:
        order = [d % n_dims for d in dims[0]]
    else:
        a, b = (d % n_dims for d in dims)
        order[a], order[b] = order[b], order[a]
    if order[0] != 0:
        raise NotShared("mixes the images of its batch with something else")
    if order[-2:] != [n_dims - 2, n_dims - 1]:
        raise TakenApart
    return value.with_tensor(value.tensor.permute(order))


def repeated(call: Call, value: Any, repeats: Any) -> Any:
    """``repeat``."""
    if not isinstance(value, Map) or len(repeats) != value.tensor.dim():
        raise TakenApart
    if (repeats[0], *repeats[-2:]) != (1, 1, 1):
        raise TakenApart
    return value.with_tensor(call(value.tensor, repeats))


def expanded(call: Call, value: Any, size: Any, implicit: bool = False) -> Any:
    """``expand``."""
    if not isinstance(value, Map) or len(size) != value.tensor.dim():
        raise TakenApart
    if call.shape[-2:] != (value.y.size, value.x.size) or call.shape[0] != TWO:
        raise TakenApart
    tensor = value.tensor
    return value.with_tensor(tensor.expand(len(tensor), *call.shape[1:-2], *tensor.shape[-2:]))


def constant_like(call: Call, value: Any, *args: Any, **kwargs: Any) -> Any:
    """``new_zeros`` and its kind: they take nothing of a tensor but dtype and device."""
    tensor = value.map.tensor if isinstance(value, Flat) else value.tensor
    return call(tensor, *args, **kwargs)
