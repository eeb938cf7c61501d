"""From recordings of a network to its graph.

A network is recorded with two images, with two others, and with three. What is the same in all three belongs
to the network; a whole number may depend on the number of images. An argument that depends on the pixels
shows that the network has taken numbers out of tensors unseen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from .by_image import check_by_image
from .geometry import NotShared
from .graph import (
    IMAGES,
    THREE,
    TWO,
    Graph,
    Node,
    PerImage,
    Value,
    arguments,
    leaves,
    mapped,
    picked,
    same_numbers,
    values_in,
)
from .image_dims import FIRST, Given
from .tape import FACTORIES


def joined(two: Recording, other_pixels: Recording, three: Recording) -> Graph:
    """The graph that recordings of two images, of two others, and of three have in common.

    Raises:
        NotShared: they have no such graph, or it does not treat the images one by one.
    """
    two, other_pixels, three = (recording.needed() for recording in (two, other_pixels, three))
    for other, why in ((other_pixels, "other pixels"), (three, "three images than for two")):
        if two.operations != other.operations or two.output != other.output:
            raise NotShared(f"it runs different operations for {why}")
    nodes: list[Node] = []
    images = {IMAGES.node: FIRST}  # for results with a part for each image, where that is
    for n, (a, b, c) in enumerate(zip(two.nodes, other_pixels.nodes, three.nodes, strict=True)):
        differs = f"{a.name} gets different arguments for"
        _joined((a.args, a.kwargs), (b.args, b.kwargs), f"{differs} other pixels")
        args, kwargs = _joined(
            (a.args, a.kwargs),
            (c.args, c.kwargs),
            f"{differs} three images than for two",
            by_image=True,
        )
        node = _without_tensor(replace(a, args=args, kwargs=kwargs))
        node = _with_pixels(node, nodes, two.nodes)
        sizes = any(isinstance(leaf, PerImage) for leaf in leaves((args, kwargs)))
        given = {
            value: Given(_shape(nodes, value), images[value.node])
            for value in values_in(node)
            if value.node in images
        }
        if sizes or given:
            images[n] = check_by_image(node, c.shapes, given)
        nodes.append(node)
    if images.get(two.output.node, FIRST) != FIRST:
        raise NotShared("its output is not a tensor with a row for each image")
    return _folded(nodes, two.output)


def _without_tensor(node: Node) -> Node:
    """A constant of one size as the result of an operation that takes no tensor; any other node as it is."""
    follows = any(isinstance(leaf, PerImage) for leaf in leaves((node.args, node.kwargs)))
    if follows or node.kind not in FACTORIES:
        return node
    return replace(node, op=FACTORIES[node.kind], args=node.args[1:])


def _with_pixels(node: Node, nodes: Sequence[Node], recorded: Sequence[Node]) -> Node:
    """The node, whose arguments may depend on the pixels in the recording and no longer do."""
    used = list(values_in(node))
    varying = [v for v in used if v == IMAGES or nodes[v.node].varies]
    taped = [v for v in used if v == IMAGES or recorded[v.node].varies]
    given = node.given
    if varying != taped:
        given = _shape(nodes, varying[0]) if varying else ()
    return replace(node, varies=bool(varying), given=given)


def _shape(nodes: Sequence[Node], value: Value) -> tuple[int, ...]:
    """The shape of a value for two images."""
    if value.node == IMAGES.node:
        return (TWO, 0, 0, 0)  # only the first size matters
    shapes = nodes[value.node].shapes
    return shapes[min(value.item or 0, len(shapes) - 1)]


@dataclass(frozen=True, eq=False)
class Recording:
    """What a network ran for some images.

    Attributes:
        nodes: the operations in the order in which they ran.
        output: the value that the network returned.
    """

    nodes: Sequence[Node]
    output: Value

    @property
    def operations(self) -> list[Any]:
        """The operations without their arguments."""
        return [node.op for node in self.nodes]

    def needed(self) -> Recording:
        """The operations that the output needs, renumbered."""
        needed, stack = set(), [self.output.node]
        while stack:
            n = stack.pop()
            if n != IMAGES.node and n not in needed:
                needed.add(n)
                stack.extend(value.node for value in values_in(self.nodes[n]))
        return Recording(*_renumbered(self.nodes, sorted(needed), self.output, {}))


def _joined(two: Any, other: Any, differs: str, by_image: bool = False) -> Any:
    """The arguments that two recordings have in common; ``by_image``: one of two images, one of three."""
    if (
        isinstance(two, (list, tuple))
        and isinstance(other, (list, tuple))
        and len(two) == len(other)
    ):
        pairs = zip(two, other, strict=True)
        return type(two)([_joined(a, b, differs, by_image) for a, b in pairs])
    if isinstance(two, dict) and isinstance(other, dict) and two.keys() == other.keys():
        return {key: _joined(two[key], other[key], differs, by_image) for key in two}
    if _same(two, other):
        return two
    if by_image and type(two) is int and type(other) is int:
        slope = (other - two) // (THREE - TWO)
        return PerImage(two - slope * TWO, slope)
    raise NotShared(differs)


def _same(two: Any, three: Any) -> bool:
    if isinstance(two, Tensor) and isinstance(three, Tensor):
        return two is three or (
            (two.shape, two.dtype, two.device) == (three.shape, three.dtype, three.device)
            and same_numbers(two, three)
        )
    if isinstance(two, float) and isinstance(three, float) and math.isnan(two):
        return math.isnan(three)
    return type(two) is type(three) and bool(two == three)


def _folded(nodes: Sequence[Node], output: Value) -> Graph:
    """The graph, with results that are always the same in place of the operations that compute them."""
    results: dict[int, Any] = {}
    kept = []
    for n, node in enumerate(nodes):
        parts = leaves((node.args, node.kwargs))
        fixed = not node.varies and not any(
            isinstance(leaf, PerImage) or (isinstance(leaf, Value) and leaf.node not in results)
            for leaf in parts
        )
        if fixed:
            args, kwargs = arguments(node, results)
            results[n] = node.op(*args, **kwargs)
        else:
            kept.append(n)
    if output.node in results:
        raise NotShared("its output does not depend on the images")
    return Graph(*_renumbered(nodes, kept, output, results))


def _renumbered(
    nodes: Sequence[Node], kept: Sequence[int], output: Value, results: dict[int, Any]
) -> tuple[Any, Value]:
    """Some of the nodes, renumbered, with ``results`` in place of others."""
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
