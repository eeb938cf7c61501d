"""The rewritten network as a function of a batch of patterns: in a memory layout of PyTorch, or in another
runtime."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from .canvas import channels_last, contiguous
from .cuda_graph import captured
from .graph import Graph
from .rewriting import is_convolution
from .runtimes import RUNTIMES, BatchFunction

LAYOUTS: dict[str, BatchFunction] = {"channels last": channels_last, "contiguous": contiguous}
"""PyTorch's memory layouts, the usual one first. On one core of an AMD EPYC, twelve networks (LeNet-5,
VGG-11, ResNet-18, one with depthwise convolutions, one with group normalization, ...) took 1.06 to
2.7 times as long when contiguous as when channels last. ``method="rewritten", tune=True`` times both."""


def as_function(graph: Graph, how: str, example: Tensor) -> BatchFunction:
    """A network as a function of batches as large as ``example``.

    Args:
        graph: the network, rewritten.
        how: a layout in :data:`LAYOUTS`, or a runtime in :data:`~.runtimes.RUNTIMES`.
        example: floating-point ``[B, C, h, w]``.

    Raises:
        NotShared: the runtime cannot run it; the message says why.
    """
    if how in RUNTIMES:
        return RUNTIMES[how].function(_in_layout(graph, contiguous), example)
    laid_out = LAYOUTS[how]
    network = graph if laid_out is channels_last else _in_layout(graph, contiguous)

    def run(batch: Tensor) -> Tensor:
        return network.run(laid_out(batch))

    return captured(run, example) if example.is_cuda else run


def _in_layout(graph: Graph, laid_out: BatchFunction) -> Graph:
    """The graph with the convolutions' weights in a layout, and PyTorch's functions for them."""
    nodes = (
        replace(node, args=(node.args[0], laid_out(node.args[1]), *node.args[2:]), faster=None)
        if is_convolution(node)
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))
