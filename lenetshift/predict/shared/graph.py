"""A network as the list of ATen operations that it runs, for a batch of any size."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ...data.memory import trim_if_grown

TWO, THREE = 2, 3
"""The sizes of the batches that are recorded."""

NO_FAULT = 2.0**-30
"""Largest relative difference in float64: far above the rounding error, about 2**-45 after ten layers, and
far below the effect of a feature of another window."""


@dataclass(frozen=True)
class Value:
    """The result of an operation: the operation's number, and which of several results."""

    node: int
    item: int | None = None


IMAGES = Value(-1)
"""What the network is given."""


@dataclass(frozen=True)
class PerImage:
    """A whole number that depends linearly on the batch size."""

    offset: int
    slope: int

    def at(self, batch: int) -> int:
        """Its value for a batch of that size."""
        return self.offset + self.slope * batch


@dataclass(frozen=True, eq=False)
class Node:
    """An operation.

    Attributes:
        op: of ATen or another library, without side effects.
        args, kwargs: its arguments: :class:`Value`, :class:`PerImage`, tensors of the network itself, numbers
            and lists of these.
        shapes: the shapes of its results for the recorded batch, two images in a graph.
        given: the shape of its first argument that depends on the pixels; empty if none does.
        length: products or terms in each number of the result, if it sums; otherwise 0.
        varies: whether its result depends on the pixels.
        name: what reasons call it.
        clamp: the bounds that its result is clamped to; None if it is not.
        scale: in a graph in float64 a convolution's factor for each output, by which its weight is multiplied
            when it is used; None if there is none.
        faster: a function to be run in place of ``op``, whose first argument is ``kept``; None if there is
            none.
        kept: what functions keep between passes, such as a weight in another layout.
    """

    op: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    given: tuple[int, ...]
    length: int
    varies: bool
    name: str
    clamp: tuple[float, float] | None = None
    scale: Tensor | None = None
    faster: Callable[..., Any] | None = None
    kept: dict[str, Any] = field(default_factory=dict, init=False)

    @functools.cached_property
    def kind(self) -> str:
        """The operation's :func:`kind_of`."""
        return kind_of(self.op)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its only result; empty if there are several."""
        return self.shapes[0] if len(self.shapes) == 1 else ()

    @functools.cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters."""
        return tuple(a.name for a in self.op._schema.arguments)  # type: ignore[attr-defined]


def named_arguments(op: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """All arguments of a call of an operation by name, with the defaults that were left out: PyTorch also
    leaves out arguments that are equal to their defaults."""
    parameters = op._schema.arguments
    defaults = {a.name: a.default_value for a in parameters if a.has_default_value()}
    given: dict[str, Any] = dict(zip((a.name for a in parameters), args, strict=False))
    return {**defaults, **given, **kwargs}


def kind_of(op: Any) -> str:
    """An operation's name without overload, and for ATen without namespace."""
    name: str = op._schema.name.removeprefix("aten::")
    return "view_dtype" if (name, op._overloadname) == ("view", "dtype") else name


@dataclass(frozen=True, eq=False)
class Graph:
    """A network.

    Attributes:
        nodes: its operations in the order in which they run, without those that nothing needs and those
            whose results are always the same.
        output: the value that it returns.
        wide: whether it computes in float64, whatever its own dtype.
        last_use: for each operation the values that nothing needs after it.
    """

    nodes: tuple[Node, ...]
    output: Value
    wide: bool = False
    last_use: dict[int, tuple[int, ...]] = field(init=False)

    def __post_init__(self) -> None:
        """Fill in ``last_use``."""
        last = {v.node: n for n, node in enumerate(self.nodes) for v in values_in(node)}
        uses: dict[int, tuple[int, ...]] = {}
        for used, n in last.items():
            if used != self.output.node:
                uses[n] = (*uses.get(n, ()), used)
        object.__setattr__(self, "last_use", uses)  # the object is frozen

    def run(self, images: Tensor) -> Tensor:
        """The network's output for a batch, operation by operation and without sharing."""
        results: dict[int, Any] = {IMAGES.node: images}
        for n, node in enumerate(self.nodes):
            args, kwargs = self.arguments(node, results, len(images))
            results[n] = self.operation(node)(*args, **kwargs)
            if node.clamp is not None:
                results[n] = results[n].clamp_(*node.clamp)
            for used in self.last_use.get(n, ()):
                del results[used]
            if self.wide:  # after large temporary copies of weights
                trim_if_grown(always=True)
        output: Tensor = picked(results, self.output)
        return output

    def arguments(
        self, node: Node, results: dict[int, Any], batch: int
    ) -> tuple[Any, dict[str, Any]]:
        """An operation's arguments for a batch of that size."""
        if node.scale is not None:
            weight = node.args[1] * node.scale[:, None, None, None]
            node = replace(node, args=(node.args[0], weight, *node.args[2:]))
        return arguments(node, results, batch, _in_float64 if self.wide else None)

    def operation(self, node: Node) -> Callable[..., Any]:
        """The function that runs an operation, without its ``clamp``."""
        function = node.op
        if node.faster is not None:
            function = functools.partial(node.faster, node.kept)
        if not self.wide:
            return function
        return lambda *args, **kwargs: mapped(function(*args, **kwargs), _in_float64)

    def in_float64(self) -> Graph:
        """The network in float64, wherever it computes with floating-point numbers. Its own tensors are
        converted when they are used, one operation at a time, so that no second copy is kept."""
        return replace(self, wide=True)

    def rounding(self, dtype: torch.dtype) -> float:
        """The relative error of the output that rounding explains.

        Each sum of n terms is rounded once to the dtype and, term by term, to the format in which it is
        summed, whose errors grow as the square root of n; the errors of the layers add up. Four times that
        sum allows for cancellation. Whole numbers are exact, and in float64 every fault is far above
        rounding.
        """
        if not dtype.is_floating_point:
            return 0.0
        if dtype == torch.float64:
            return NO_FAULT
        once = torch.finfo(dtype).eps
        inner = min(once, torch.finfo(torch.float32).eps)  # half precision is summed in float32
        lengths = [node.length for node in self.nodes if node.length] or [1]
        return 4 * sum(once + inner * math.sqrt(length) for length in lengths)


def mapped(tree: Any, function: Callable[[Any], Any]) -> Any:
    """An operation's arguments with a function applied to each leaf."""
    if isinstance(tree, (list, tuple)):
        return type(tree)([mapped(branch, function) for branch in tree])
    if isinstance(tree, dict):
        return {key: mapped(branch, function) for key, branch in tree.items()}
    return function(tree)


def leaves(tree: Any) -> list[Any]:
    """The leaves of an operation's arguments."""
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (list, tuple)):
        return [tree]
    found = []
    for branch in tree:
        if isinstance(branch, (list, tuple, dict)):
            found += leaves(branch)
        else:
            found.append(branch)
    return found


def values_in(node: Node) -> Iterator[Value]:
    """The results that an operation needs."""
    for leaf in leaves((node.args, node.kwargs)):
        if isinstance(leaf, Value):
            yield leaf


def arguments(
    node: Node, results: dict[int, Any], batch: int = 0, own: Callable[[Any], Any] | None = None
) -> tuple[Any, dict[str, Any]]:
    """An operation's arguments for a batch of that size, with ``own`` applied to the constants."""

    def filled(leaf: Any) -> Any:
        if isinstance(leaf, Value):
            return picked(results, leaf)
        if isinstance(leaf, PerImage):
            return leaf.at(batch)
        return leaf if own is None else own(leaf)

    return mapped(node.args, filled), mapped(node.kwargs, filled) if node.kwargs else {}


def _in_float64(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return leaf.double() if leaf.is_floating_point() else leaf
    return torch.float64 if isinstance(leaf, torch.dtype) and leaf.is_floating_point else leaf


def picked(results: dict[int, Any], value: Value) -> Any:
    """A value among the results of operations."""
    result = results[value.node]
    return result if value.item is None else result[value.item]


def same_numbers(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors hold the same numbers, NaN and -0 included."""
    same = torch.isclose(first, second, rtol=0, atol=0, equal_nan=True)
    if first.is_floating_point():
        same &= first.signbit() == second.signbit()
    return bool(same.all())
