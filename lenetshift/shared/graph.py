"""A network as the list of ATen operations that it runs, for a batch of any size.

Made from two recordings (:mod:`.recorder`), of two and of three images: what is the same in both belongs to
the network, and whole numbers that differ follow the size of the batch.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from .geometry import NotShared

TWO, THREE = 2, 3
"""The sizes of the batches that are recorded."""


@dataclass(frozen=True)
class Value:
    """The result of an operation: its number in the list, and which of several results."""

    node: int
    item: int | None = None


IMAGES = Value(-1)
"""What the network is given."""


@dataclass(frozen=True)
class PerImage:
    """A whole number that follows the size of the batch."""

    offset: int
    slope: int

    def at(self, batch: int) -> int:
        """For a batch of that size."""
        return self.offset + self.slope * batch


@dataclass(frozen=True, eq=False)
class Node:
    """An operation.

    Attributes:
        op: of ATen or another library, without side effects.
        args, kwargs: its arguments: :class:`Value`, :class:`PerImage`, tensors that are the network's own,
            numbers and lists of these.
        shape: of its result for two images; empty where that is not one tensor.
        length: products or terms behind each of its numbers, where it sums; else 0.
        moving: whether its result depends on the pixels.
        name: what a reader of the model would call it.
    """

    op: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shape: tuple[int, ...]
    length: int
    moving: bool
    name: str

    @functools.cached_property
    def kind(self) -> str:
        """Its name without namespace (but for libraries other than ATen) and overload."""
        name: str = self.op._schema.name  # type: ignore[attr-defined]
        return name.removeprefix("aten::")

    @functools.cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of its arguments."""
        return tuple(a.name for a in self.op._schema.arguments)  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class Graph:
    """A network.

    Attributes:
        nodes: its operations in the order in which they run; those that no other needs, and those whose
            results are always the same, are left out.
        output: what it returns.
        wide: whether it computes in float64, whatever it was recorded in.
        last_use: for each operation the values that nothing needs after it.
    """

    nodes: tuple[Node, ...]
    output: Value
    wide: bool = False
    last_use: dict[int, tuple[int, ...]] = field(init=False)

    def __post_init__(self) -> None:
        """Find the last uses."""
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
            results[n] = node.op(*args, **kwargs)
            for used in self.last_use.get(n, ()):
                del results[used]
        output: Tensor = picked(results, self.output)
        return output

    def arguments(
        self, node: Node, results: dict[int, Any], batch: int
    ) -> tuple[Any, dict[str, Any]]:
        """An operation's arguments for a batch of that size."""
        return _arguments(node, results, batch, _in_float64 if self.wide else lambda leaf: leaf)

    def in_float64(self) -> Graph:
        """The same in float64, wherever it computes with floating numbers. Its own tensors are converted when
        they are used, one operation at a time: nothing is kept twice."""
        return replace(self, wide=True)

    def rounding(self, dtype: torch.dtype) -> float:
        """The relative error that rounding may bring into the output.

        Each sum of n terms is rounded once to the dtype and, term by term, in the format in which it is
        summed, whose errors grow as the root of n; one layer's error is added to the next one's. Four times
        that, for sums that cancel. Whole numbers are exact.
        """
        if not dtype.is_floating_point:
            return 0.0
        once = torch.finfo(dtype).eps
        inner = min(once, torch.finfo(torch.float32).eps)  # half precision is summed in float32
        lengths = [node.length for node in self.nodes if node.length] or [1]
        return 4 * sum(once + inner * math.sqrt(length) for length in lengths)


def mapped(tree: Any, function: Callable[[Any], Any]) -> Any:
    """A function of each leaf of an operation's arguments."""
    if isinstance(tree, (list, tuple)):
        return type(tree)([mapped(branch, function) for branch in tree])
    if isinstance(tree, dict):
        return {key: mapped(branch, function) for key, branch in tree.items()}
    return function(tree)


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves of an operation's arguments."""
    if isinstance(tree, (list, tuple)):
        for branch in tree:
            yield from leaves(branch)
    elif isinstance(tree, dict):
        yield from leaves(list(tree.values()))
    else:
        yield tree


def values_in(node: Node) -> Iterator[Value]:
    """The results that an operation needs."""
    for leaf in leaves((node.args, node.kwargs)):
        if isinstance(leaf, Value):
            yield leaf


def _arguments(
    node: Node, results: dict[int, Any], batch: int, own: Callable[[Any], Any]
) -> tuple[Any, dict[str, Any]]:
    def filled(leaf: Any) -> Any:
        if isinstance(leaf, Value):
            return picked(results, leaf)
        return leaf.at(batch) if isinstance(leaf, PerImage) else own(leaf)

    return mapped(node.args, filled), mapped(node.kwargs, filled) if node.kwargs else {}


def _in_float64(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return leaf.double() if leaf.is_floating_point() else leaf
    return torch.float64 if isinstance(leaf, torch.dtype) and leaf.is_floating_point else leaf


def joined(two: Sequence[Node], output: Value, three: Sequence[Node], other: Value) -> Graph:
    """The graph behind two recordings, of two and of three images.

    Raises:
        NotShared: they are not the same network.
    """
    two, output = _needed(two, output)
    three, other = _needed(three, other)
    if [n.op for n in two] != [n.op for n in three] or output != other:
        raise NotShared("it runs other operations for three images than for two")
    nodes = []
    for a, b in zip(two, three, strict=True):
        args, kwargs = _joined((a.args, a.kwargs), (b.args, b.kwargs), a.name)
        nodes.append(replace(a, args=args, kwargs=kwargs))
    return _folded(nodes, output)


def _joined(two: Any, three: Any, name: str) -> Any:
    if (
        isinstance(two, (list, tuple))
        and isinstance(three, (list, tuple))
        and len(two) == len(three)
    ):
        return type(two)([_joined(a, b, name) for a, b in zip(two, three, strict=True)])
    if isinstance(two, dict) and isinstance(three, dict) and two.keys() == three.keys():
        return {key: _joined(two[key], three[key], name) for key in two}
    if _same(two, three):
        return two
    if type(two) is int and type(three) is int:
        slope = (three - two) // (THREE - TWO)
        return PerImage(two - slope * TWO, slope)
    raise NotShared(f"{name} is given something else for three images than for two")


def _same(two: Any, three: Any) -> bool:
    if isinstance(two, Tensor) and isinstance(three, Tensor):
        return two is three or (
            (two.shape, two.dtype, two.device) == (three.shape, three.dtype, three.device)
            and bool(torch.isclose(two, three, rtol=0, atol=0, equal_nan=True).all())
        )
    if isinstance(two, float) and isinstance(three, float) and math.isnan(two):
        return math.isnan(three)
    return type(two) is type(three) and bool(two == three)


def _needed(nodes: Sequence[Node], output: Value) -> tuple[list[Node], Value]:
    """The operations that the output needs, numbered anew."""
    needed, stack = set(), [output.node]
    while stack:
        n = stack.pop()
        if n != IMAGES.node and n not in needed:
            needed.add(n)
            stack.extend(value.node for value in values_in(nodes[n]))
    return _renumbered(nodes, sorted(needed), output, {})


def _folded(nodes: Sequence[Node], output: Value) -> Graph:
    """The graph without the operations whose results are always the same: these stand in their places."""
    results: dict[int, Any] = {}
    kept = []
    for n, node in enumerate(nodes):
        parts = list(leaves((node.args, node.kwargs)))
        fixed = not node.moving and not any(
            isinstance(leaf, PerImage) or (isinstance(leaf, Value) and leaf.node not in results)
            for leaf in parts
        )
        if fixed:
            args, kwargs = _arguments(node, results, 0, lambda leaf: leaf)
            results[n] = node.op(*args, **kwargs)
        else:
            kept.append(n)
    if output.node in results:
        raise NotShared("its output does not depend on the images")
    return Graph(*_renumbered(nodes, kept, output, results))


def _renumbered(
    nodes: Sequence[Node], kept: Sequence[int], output: Value, results: dict[int, Any]
) -> tuple[Any, Value]:
    """Some of the nodes, with results of others in their places."""
    number = {IMAGES.node: IMAGES.node, **{old: new for new, old in enumerate(kept)}}

    def changed(leaf: Any) -> Any:
        if not isinstance(leaf, Value):
            return leaf
        if leaf.node in results:
            return picked(results, leaf)
        return replace(leaf, node=number[leaf.node])

    chosen = [
        replace(
            nodes[n], args=mapped(nodes[n].args, changed), kwargs=mapped(nodes[n].kwargs, changed)
        )
        for n in kept
    ]
    return tuple(chosen), changed(output)


def picked(results: dict[int, Any], value: Value) -> Any:
    """A value among the results of operations."""
    result = results[value.node]
    return result if value.item is None else result[value.item]
