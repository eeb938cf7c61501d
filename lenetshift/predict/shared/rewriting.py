"""A graph with fewer operations that gives the same answers.

- A batch normalization after a convolution becomes part of the convolution's weight and bias.
- A ReLU, or another clamp, after a convolution becomes its ``clamp``.
- A convolution's weight is laid out as it is read. Where windows are convolved one by one, the faster of two
  functions is used (:mod:`.ordinary`).

All of it concerns a result that only the next operation uses. The graph is rewritten in the dtype in which it
runs: in float64 it is compared with the graph before (:mod:`.comparison`).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .graph import IMAGES, Graph, Node, Value, mapped, named_arguments, values_in
from .ordinary import CONVOLUTIONS, convolution, has_kernel_for
from .weights import by_channel_last, by_place

Clamp = tuple[float, float]

BATCH_NORMS = ("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm")
ROUNDED_ONCE = (torch.float32, torch.float64)
"""Dtypes in which constants are folded: in half precision the folded weight would be rounded again."""


def rewritten(graph: Graph) -> Graph:
    """The graph with convolutions that have taken in what follows them."""
    used = [graph.output, *(value for node in graph.nodes for value in values_in(node))]
    uses = Counter(value.node for value in used)
    several = {value.node for value in used if value.item}  # not only the first of their results
    nodes: list[Node | None] = list(graph.nodes)
    taken: dict[int, int] = {}  # an operation that a convolution has taken in -> the convolution
    for n, node in enumerate(graph.nodes):
        if is_convolution(node):
            nodes[n] = _laid_out(node, graph.wide)
        sources = [value.node for value in values_in(node)]
        if len(sources) != 1 or uses[sources[0]] != 1 or IMAGES.node in sources or n in several:
            continue
        at = taken.get(sources[0], sources[0])
        before = nodes[at]
        if before is not None and is_convolution(before):
            after = _taking_in(before, node, graph.wide)
            if after is not None:
                nodes[at], nodes[n], taken[n] = after, None, at
    return _without_gaps(graph, nodes, taken)


def folded(graph: Graph) -> str:
    """What rewriting a graph folds into convolutions, such as ``"3 BatchNorms folded"``; may be empty."""
    before, after = (
        sum(node.kind in BATCH_NORMS for node in one.nodes) for one in (graph, rewritten(graph))
    )
    n = before - after
    return f"{n} BatchNorm{'s' * (n > 1)} folded" if n else ""


def is_convolution(node: Node) -> bool:
    """Whether an operation is a convolution over rows and columns, by a fixed kernel and not transposed."""
    if node.kind not in CONVOLUTIONS:
        return False
    weight, transposed = node.args[1], node.args[6]
    return isinstance(weight, Tensor) and weight.dim() == 4 and not transposed


def first_padding(graph: Graph) -> int:
    """The padding of a network's first convolution."""
    for node in graph.nodes:
        if is_convolution(node):
            return int(max(node.args[4]))
    return 0


def _taking_in(convolution: Node, node: Node, wide: bool) -> Node | None:
    """The convolution with the operation after it; None if that does not fit."""
    if not convolution.args[1].is_floating_point():
        return None
    if node.kind in BATCH_NORMS and convolution.clamp is None:
        return _normalized(convolution, node, wide)
    clamp = _clamp_of(node)
    if clamp is None:
        return None
    low, high = (
        min(max(bound, clamp[0]), clamp[1])  # also if the bounds are crossed
        for bound in convolution.clamp or (-math.inf, math.inf)
    )
    return replace(convolution, clamp=(low, high))


def _normalized(convolution: Node, norm: Node, wide: bool) -> Node | None:
    call = named_arguments(norm.op, norm.args, norm.kwargs)
    weight, bias = convolution.args[1:3]
    constants = [call["weight"], call["bias"], call["running_mean"], call["running_var"]]
    if call.get("training") or any(not isinstance(c, (Tensor, type(None))) for c in constants):
        return None
    if weight.dtype not in ROUNDED_ONCE or not isinstance(bias, (Tensor, type(None))):
        return None
    dtype = torch.float64 if wide else weight.dtype
    factor, offset, mean, variance = (None if c is None else c.to(dtype) for c in constants)
    if mean is None or variance is None:
        return None
    eps = call["eps"] if "eps" in call else call["epsilon"]  # of cuDNN and MIOpen
    scale = (variance + eps).rsqrt() * (1 if factor is None else factor)
    start = -mean if bias is None else bias.to(dtype) - mean
    shift = start * scale + (0 if offset is None else offset)
    if wide:  # multiplied when it is used, so that no second copy of all weights is kept
        scale = scale if convolution.scale is None else convolution.scale * scale
    else:
        weight, scale = _as_read(weight * scale[:, None, None, None], convolution.args[8]), None
    if not all(t.isfinite().all() for t in (weight, shift, scale) if t is not None):
        return None
    args = (convolution.args[0], weight, shift, *convolution.args[3:])
    return replace(convolution, args=args, scale=scale)


def _clamp_of(node: Node) -> Clamp | None:
    """The bounds that an operation clamps its only tensor to; None if it does something else."""
    kinds: dict[str, tuple[Any, Any]] = {"relu": (0.0, None), "relu6": (0.0, 6.0)}
    if node.kind in ("hardtanh", "clamp", "clamp_min", "clamp_max"):
        call = named_arguments(node.op, node.args, node.kwargs)
        kinds[node.kind] = (
            call.get("min", call.get("min_val")),
            call.get("max", call.get("max_val")),
        )
    if node.kind not in kinds:
        return None
    low, high = kinds[node.kind]
    bounds = -math.inf if low is None else low, math.inf if high is None else high
    if any(not isinstance(bound, (int, float)) or math.isnan(bound) for bound in bounds):
        return None
    return float(bounds[0]), float(bounds[1])


def _laid_out(node: Node, wide: bool) -> Node:
    """The convolution with the layout and the function that are faster."""
    if wide:
        return node
    weight = _as_read(node.args[1], node.args[8])
    return replace(node, args=(node.args[0], weight, *node.args[2:]), faster=convolution)


def _as_read(weight: Tensor, groups: int) -> Tensor:
    """A weight ``[O, C / groups, kh, kw]`` in the layout in which most passes read it."""
    return by_place(weight) if has_kernel_for(weight, groups) else by_channel_last(weight)


def _without_gaps(graph: Graph, nodes: list[Node | None], taken: dict[int, int]) -> Graph:
    kept = [n for n, node in enumerate(nodes) if node is not None]
    numbers = {old: new for new, old in enumerate(kept)} | {IMAGES.node: IMAGES.node}

    def renumbered(leaf: Any) -> Any:
        if not isinstance(leaf, Value):
            return leaf
        item = None if leaf.node in taken else leaf.item  # of a batch normalization's three results
        return Value(numbers[taken.get(leaf.node, leaf.node)], item)

    def moved(node: Node) -> Node:
        return replace(
            node, args=mapped(node.args, renumbered), kwargs=mapped(node.kwargs, renumbered)
        )

    found = [moved(node) for node in nodes if node is not None]
    return replace(graph, nodes=tuple(found), output=renumbered(graph.output))
