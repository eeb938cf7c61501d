"""One pass of a network over canvases: its graph runs on maps, operation by operation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...checks.text import in_a_line
from ...data.memory import trim_if_grown
from . import whole
from .call import Call
from .geometry import Axis, NotShared, TooLarge
from .graph import (
    IMAGES,
    TWO,
    Graph,
    Node,
    leaves,
    mapped,
    picked,
    values_in,
)
from .maps import Flat, Map, Tally, Unshared, windows
from .places import TakenApart
from .rules import RULES
from .tape import REDUCES

LARGE_BYTES = 256 << 10
"""Bytes of canvases whose maps may leave so much freed memory behind that a pass does not wait for its end
to give it back."""


@dataclass(frozen=True, eq=False)
class Pass:
    """The result of a pass over canvases.

    Attributes:
        logits: ``[N, n_y, n_x, K]``, in the order of the windows on the canvas.
        products: multiply-adds, on the canvases and, after sharing ends, on windows.
        plain_products: those of the same windows one by one.
        end: where sharing ends before the network's end, and why; empty if it does not.
        peak_bytes: the most memory that values took at once, if it was bounded; otherwise 0.
    """

    logits: Tensor
    products: int
    plain_products: int
    end: str
    peak_bytes: int


def run_pass(
    graph: Graph, canvases: Tensor, y: Axis, x: Axis, most_bytes: float = math.inf
) -> Pass:
    """Run a network on all windows of ``canvases [N, C, height, width]``.

    Args:
        graph: the network.
        canvases: images with something around them.
        y, x: where the windows lie.
        most_bytes: the most memory that values may take at once; checked before it is taken.

    Raises:
        NotShared: an operation fails; the message names it.
        TooLarge: values take more memory than allowed.
    """
    tally = Tally(most_bytes)
    images = Map(canvases, y, x, tally)
    results: dict[int, Any] = {IMAGES.node: images}
    held = _Held()
    measured = most_bytes < math.inf
    once = measured or graph.wide  # passes that try the network
    for n, node in enumerate(graph.nodes):
        results[n] = _result(graph, node, results, images, held)
        if measured:
            held.add(results[n])
        if once or canvases.nbytes >= LARGE_BYTES:
            trim_if_grown(always=once)
        for used in graph.last_use.get(n, ()):
            if measured and used != IMAGES.node:
                held.remove(results[used])
            del results[used]
    output = results[graph.output.node]
    logits = whole.taken_apart(output if graph.output.item is None else output[graph.output.item])
    if not isinstance(logits, Tensor) or len(logits) != images.rows:
        raise NotShared("it does not give a row of numbers for each image")
    return Pass(
        logits.reshape(len(canvases), y.windows, x.windows, -1),
        tally.products,
        tally.plain_products,
        tally.end,
        held.peak,
    )


def _result(graph: Graph, node: Node, results: dict[int, Any], images: Map, held: _Held) -> Any:
    """An operation's result: by its rule if an argument is a map, otherwise by running it."""
    args, kwargs = graph.arguments(node, results, images.rows)
    given = leaves((args, kwargs))
    try:
        if images.tally.most_bytes < math.inf:
            images.tally.check_bytes(held.bytes + _foreseen(node, given, images))
        for value in given:
            if isinstance(value, Unshared):
                raise NotShared(value.reason)
        kept = {} if graph.wide else node.kept  # in float64 there is one pass
        call = Call(graph.operation(node), node.kind, node.parameters, node.shape, node.clamp, kept)
        if not any(isinstance(value, (Map, Flat)) for value in given):
            return _counted(node, call(*args, **kwargs), images.tally)
        try:
            result = _by_rule(call, args, kwargs, given, _has_rows(graph, node, results))
        except TooLarge:
            raise
        except NotShared as reason:
            images.tally.end = images.tally.end or f"{node.name}, which {reason}"
            return _counted(node, whole.of_windows(call, *args, **kwargs), images.tally)
        return mapped(result, _settled)
    except NotShared as reason:
        raise type(reason)(f"{node.name} {reason}") from reason
    except Exception as error:
        raise NotShared(f"{node.name} cannot be shared ({in_a_line(error)})") from error


def _counted(node: Node, result: Any, tally: Tally) -> Any:
    """The result of an operation on windows one by one, after its products are counted."""
    multiplies = node.length and f"aten::{node.kind}" not in REDUCES
    if node.varies and multiplies and isinstance(result, Tensor):
        products = result.numel() * node.length
        tally.products += products
        tally.plain_products += products
    return result


def _by_rule(call: Call, args: Any, kwargs: Any, given: list[Any], has_rows: bool) -> Any:
    maps = any(isinstance(value, Map) for value in given)
    if has_rows and maps:
        raise NotShared("combines a map with numbers that differ from window to window")
    rule = RULES.get(call.name)
    if rule is None and maps:
        raise NotShared("cannot be shared between windows")
    if rule is None or has_rows:
        return whole.of_windows(call, *args, **kwargs)
    try:
        return rule(call, *args, **kwargs)
    except TakenApart:
        return whole.of_windows(call, *args, **kwargs)


def _has_rows(graph: Graph, node: Node, results: dict[int, Any]) -> bool:
    """Whether an argument depends on the pixels and is no longer a map."""
    return any(
        isinstance(value, Tensor) and (used.node == IMAGES.node or graph.nodes[used.node].varies)
        for used in values_in(node)
        for value in leaves(picked(results, used))
    )


def _foreseen(node: Node, given: list[Any], images: Map) -> int:
    """About how many bytes an operation's result will take: its features at the cells of the largest map
    among the arguments, or its rows."""
    maps = [value for value in given if isinstance(value, Map)]
    if not maps:
        return math.prod(node.shape) // TWO * images.rows * images.tensor.element_size()
    largest = max((m.tensor for m in maps), key=Tensor.numel)
    features = math.prod(node.shape[1:-2] or largest.shape[1:-2])
    cells = len(largest) * largest.shape[-2] * largest.shape[-1]
    return features * cells * largest.element_size()


def _settled(value: Any) -> Any:
    """A map whose windows have one place each as rows; any other value as it is."""
    single = isinstance(value, Map) and value.y.size == value.x.size == 1
    return windows(value) if single else value


class _Held:
    """The memory of results that are kept; a tensor and its views count once.

    Attributes:
        bytes: now.
        peak: the most at once.
    """

    def __init__(self) -> None:
        self.bytes = self.peak = 0
        self._uses: dict[int, int] = {}  # storage -> results that lie in it

    def add(self, result: Any) -> None:
        for storage in _storages(result):
            if not self._uses.get(storage._cdata):
                self.bytes += storage.nbytes()
            self._uses[storage._cdata] = self._uses.get(storage._cdata, 0) + 1
        self.peak = max(self.peak, self.bytes)

    def remove(self, result: Any) -> None:
        for storage in _storages(result):
            self._uses[storage._cdata] -= 1
            if not self._uses[storage._cdata]:
                self.bytes -= storage.nbytes()


def _storages(result: Any) -> list[Any]:
    maps = (value.map if isinstance(value, Flat) else value for value in leaves(result))
    tensors = (value.tensor if isinstance(value, Map) else value for value in maps)
    return [t.untyped_storage() for t in tensors if isinstance(t, Tensor)]
