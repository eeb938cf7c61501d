"""Convolutions of whole windows, one pattern after another.

PyTorch's function lays the weight out anew at each call, which takes longer than the sums if there are few
places. With one thread it computes a convolution of 1 x 1, in a batch of less than 16, as a matrix product
for each image. There ``torch.ops.lenetshift.indirect_conv2d``, whose weight is laid out once, takes half the
time or less.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .graph import TWO, Graph, leaves
from .weights import by_channel_last, kept_in

CONVOLUTIONS = ("convolution", "_convolution")

MOST_AT_ONCE = 16
"""Patterns of a batch that is larger because its maps are small."""

CACHED_VALUES = 4 << 20
"""Numbers of a map that stays in a processor's cache."""

MANY_WEIGHTS = 16 << 20
"""Weights of a network that takes the least batch: more are read from memory for each batch, which costs
less the larger it is."""

FEW_PLACES = 400
"""Rows times columns of a result: up to this number the indirect op is faster for larger kernels, too."""


def convolution(
    kept: dict[str, Any],
    image: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *settings: bool,
) -> Tensor:
    """ATen's ``convolution`` of ``[B, C, h, w]``, not transposed, by the faster of two functions."""
    spans = list(zip(image.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True))
    places = [len(_lines(*span)) for span in spans]
    if not is_faster(image, weight, groups, places[0] * places[1]):
        weight = kept_in(kept, weight, by_channel_last)
        return F.conv2d(image, weight, bias, stride, padding, dilation, groups)
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    rows, columns = (_lines(*span) for span in spans)
    result: Tensor = torch.ops.lenetshift.indirect_conv2d(
        image, weight, bias, rows, columns, groups, None, None
    )
    return result


def is_faster(image: Tensor, weight: Tensor, groups: int, places: int) -> bool:
    """Whether ``indirect_conv2d`` is faster than PyTorch's function for lines at constant distances.

    Args:
        image, weight: of the convolution.
        groups: its number of groups.
        places: rows times columns of the result.
    """
    if image.device.type != "cpu" or image.dtype != torch.float32:
        return False
    single = weight.shape[2] * weight.shape[3] == 1
    if groups > 1:
        return single and has_kernel_for(weight, groups)
    return single or places <= FEW_PLACES


def has_kernel_for(weight: Tensor, groups: int) -> bool:
    """Whether ``indirect_conv2d`` has a kernel for such groups: one, or as many as inputs and outputs."""
    return groups == 1 or (weight.shape[1] == 1 and len(weight) == groups)


@functools.lru_cache(maxsize=256)
def _lines(size: int, kernel: int, stride: int, padding: int, dilation: int) -> Tensor:
    """The lines that each line of a result reads, as the op takes them."""
    n = (size + 2 * padding - (kernel - 1) * dilation - 1) // stride + 1
    lines = np.arange(n)[:, None] * stride + np.arange(kernel) * dilation - padding
    return torch.from_numpy(np.where((lines < 0) | (lines >= size), -1, lines))


def batch_size_for(graph: Graph, least: int) -> int:
    """Patterns per batch of a rewritten network on the CPU.

    Args:
        graph: the network.
        least: the batch for networks with large maps. Others take twice, four times, ... as many, as long as
            the largest map of a convolution then stays in a processor's cache: a larger batch reads the
            weights less often. A network whose only convolution cuts out patches has large maps elsewhere;
            the more weights it has, the more patterns it takes.
    """
    maps = [node for node in graph.nodes if node.kind in CONVOLUTIONS and node.varies]
    if len(maps) < 2:
        given = (leaf for node in graph.nodes for leaf in leaves((node.args, node.kwargs)))
        n_weights = sum(leaf.numel() for leaf in given if isinstance(leaf, Tensor))
        size = least
        while n_weights * least > MANY_WEIGHTS * size and 2 * size <= MOST_AT_ONCE:
            size *= 2
        return size
    largest, size = max(math.prod(node.shape) // TWO for node in maps), least
    while 2 * size <= MOST_AT_ONCE and 2 * size * largest <= CACHED_VALUES:
        size *= 2
    return size
