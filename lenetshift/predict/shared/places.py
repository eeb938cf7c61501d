"""Rules for operations that make each value from the values at the same place of a window.

A map's dimensions are images, features (one, the channels; several or none after a ``view``), rows and
columns. An operation along features only leaves every place where it is.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .call import Call
from .geometry import NotShared
from .graph import TWO, leaves, mapped, same_numbers
from .maps import Flat, Map, aligned

MAP_DIMS = 4
"""Dimensions of a new tensor from which on it is taken for a map: images, channels, rows, columns."""

LAYOUTS = ("memory_format", "layout", "pin_memory", "non_blocking")
"""Arguments for the memory of a result, which may be left out."""


def each_place(call: Call, *args: Any, **kwargs: Any) -> Any:
    """An operation at each place by itself, on one or more maps and on constants."""
    kwargs = {name: value for name, value in kwargs.items() if name not in LAYOUTS}
    given = leaves((args, kwargs))
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
    """The same on flattened maps, if everything else is a number: before they are flattened."""
    features = {value.map.features for value in given if isinstance(value, Flat)}
    others = [value for value in given if isinstance(value, Tensor)]
    if any(value.dim() for value in others) or len(features) > 1:
        raise TakenApart

    def map_of(value: Any) -> Any:
        return value.map if isinstance(value, Flat) else value

    try:
        result = each_place(call, *mapped(args, map_of), **mapped(kwargs, map_of))
    except NotShared:  # of other sizes
        raise TakenApart from None
    return mapped(result, _flattened)


def _flattened(value: Any) -> Any:
    return Flat(value) if isinstance(value, Map) else value


class TakenApart(Exception):
    """A rule does not apply: the operation runs on each window by itself."""


def on_map(maps: Map, result: Any) -> Any:
    """The results of an operation on a map's tensor, as maps."""
    return mapped(
        result, lambda value: maps.with_tensor(value) if isinstance(value, Tensor) else value
    )


def everywhere(constant: Tensor, n_dims: int) -> Tensor:
    """A constant to be combined with maps of ``n_dims`` dimensions, with a single image and place.

    Raises:
        NotShared: its values differ between images or places.
    """
    value = constant
    for dim in (-1, -2, -n_dims):
        if value.dim() >= -dim and value.shape[dim] != 1:
            first = value.narrow(dim, 0, 1)
            if not same_numbers(value, first.expand_as(value)):
                where = "from place to place" if dim != -n_dims else "from image to image"
                raise NotShared(f"combines a map with numbers that differ {where}")
            value = first
    return value


def constant_map(maps: Map, constant: Any) -> Map:
    """A constant with a place for each value of a window, as a map of the same canvases.

    Raises:
        NotShared: it is not one, or its values differ between images.
    """
    if not isinstance(constant, Tensor) or constant.dim() != maps.tensor.dim():
        raise NotShared("combines a map with something other than another map")
    if not same_numbers(constant, constant[:1].expand_as(constant)):
        raise NotShared("combines a map with numbers that differ from image to image")
    y, x = (
        axis.of_constants(n, n)
        for axis, n in zip((maps.y, maps.x), constant.shape[-2:], strict=True)
    )
    return Map(constant[:1].expand(len(maps.tensor), *constant.shape[1:]), y, x, maps.tally)


def unchanged(call: Call, value: Any, *args: Any, **kwargs: Any) -> Any:
    """Operations that change the memory layout at most."""
    return value


def features_of(maps: Map) -> range:
    """The dimensions of the features."""
    return range(1, maps.tensor.dim() - 2)


def dims_of(call: Call, args: Any, kwargs: Any, n_dims: int) -> tuple[int, ...]:
    """The dimensions that an operation works along, counted from 0; all if it names none."""
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
        raise NotShared("works across the images of the batch")
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
        raise NotShared("concatenates a map with something other than another map's features")
    brought = iter(aligned(maps))
    first = aligned(maps)[0]
    parts = []
    for value in tensors:
        if isinstance(value, Map):
            parts.append(next(brought).tensor)
        else:
            if not isinstance(value, Tensor) or value.dim() != maps[0].tensor.dim():
                raise NotShared(
                    "concatenates a map with something other than another map's features"
                )
            constant = everywhere(value, value.dim())
            places = (len(first.tensor), *constant.shape[1:-2], *first.tensor.shape[-2:])
            parts.append(constant.expand(places))
    return first.with_tensor(call(parts, dim))


def batch_norm(call: Call, value: Any, *args: Any, **kwargs: Any) -> Any:
    """``batch_norm``, whose constants have one number per channel."""
    if call.argument("training", (value, *args), kwargs, False):
        raise NotShared("normalises over the batch")
    if not isinstance(value, Map) or len(features_of(value)) != 1:
        raise TakenApart
    out, *_ = call(value.tensor, *args, **kwargs)
    return value.with_tensor(out), None, None


def over_window(call: Call, *args: Any, **kwargs: Any) -> Any:
    """Normalisation over more than one place."""
    raise NotShared("normalises over the whole window")


def in_pieces(call: Call, value: Any, *args: Any, **kwargs: Any) -> Any:
    """``split``, ``unbind`` and ``select``."""
    if not isinstance(value, Map):
        raise TakenApart
    dim = call.argument("dim", (value, *args), kwargs, 0) % value.tensor.dim()
    if dim == 0:
        raise NotShared("selects some images of the batch")
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
        raise NotShared("moves the dimension of the images")
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


def copied(call: Call, value: Any, source: Any, *settings: Any) -> Any:
    """``copy``: of the source's values, in the dtype and shape of the target."""
    if isinstance(source, Map):
        target = value.tensor if isinstance(value, Map) else value
        if call.shape[1:] == (*source.features, source.y.size, source.x.size):
            return source.with_tensor(source.tensor.to(target.dtype))
    return each_place(call, value, source)


def constant_like(call: Call, value: Any, size: Any, *args: Any, **kwargs: Any) -> Any:
    """``new_zeros`` and the like, which use only the dtype and device of a tensor: a map that holds the
    constant once, if it is as large as one."""
    maps = value.map if isinstance(value, Flat) else value
    tensor = maps.tensor
    if len(call.shape) < MAP_DIMS or call.shape[0] != TWO:
        return call(tensor, size, *args, **kwargs)
    constant = call(tensor, (len(tensor), *call.shape[1:-2], 1, 1), *args, **kwargs)
    if call.name == "new_empty":
        constant.zero_()
    y, x = (
        axis.of_constants(n, 1) for axis, n in zip((maps.y, maps.x), call.shape[-2:], strict=True)
    )
    return Map(constant, y, x, maps.tally)
