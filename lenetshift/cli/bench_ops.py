"""The single ops that ``bench`` measures beside PyTorch's convolution, also those that are slower than it.

They are cases of ``benchmarks/`` in the repository: layer C3, and convolutions through the tables of ordinary
layers, for which PyTorch has kernels of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Work = Callable[[], "Tensor"]


C3_IMAGES = (64, 1000)

INDIRECT = {
    "indirect_conv2d, 1 to 6 maps": ((64, 1, 28, 28), (6, 1, 5, 5)),
    "indirect_conv2d, depthwise": ((16, 96, 28, 28), (96, 1, 3, 3)),
}
"""The shapes of input and weights of ``indirect/first_5x5`` and ``indirect/depthwise`` of the benchmarks,
where PyTorch's are faster. Padding keeps the size."""


def cases(device: torch.device) -> dict[str, tuple[Work, list[Work]]]:
    """Name, of 29 characters at most -> our op, and PyTorch's convolution in both memory formats."""
    found = {f"c3_conv, {n} images": _c3_conv(n, device) for n in C3_IMAGES}
    return found | {name: _indirect(device, *shapes) for name, shapes in INDIRECT.items()}


def _c3_conv(n: int, device: torch.device) -> tuple[Work, list[Work]]:
    """Layer C3; PyTorch's has zeros where the table has no connection."""
    import torch

    from ..c3_table import C3_TABLE, table_masks, to_dense

    x, weight, bias = _random(device, (n, 6, 14, 14), (60, 5, 5), (16,))
    table = table_masks(C3_TABLE)
    return (
        lambda: torch.ops.lenetshift.c3_conv(x, weight, bias, table),
        _convolutions(x, to_dense(weight, C3_TABLE, 6), bias, 0, 1),
    )


def _indirect(
    device: torch.device, input_shape: tuple[int, ...], weight_shape: tuple[int, ...]
) -> tuple[Work, list[Work]]:
    """A convolution whose tables are those of an ordinary layer."""
    import torch

    x, weight, bias = _random(device, input_shape, weight_shape, weight_shape[:1])
    size, kernel = x.shape[-1], weight.shape[-1]
    padding, groups = kernel // 2, x.shape[1] // weight.shape[1]
    lines = torch.arange(size)[:, None] - padding + torch.arange(kernel)
    table = torch.where((lines >= 0) & (lines < size), lines, -1).to(device)
    last = x.to(memory_format=torch.channels_last)
    packed = weight.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1)
    return (
        lambda: torch.ops.lenetshift.indirect_conv2d(last, packed, bias, table, table, groups),
        _convolutions(x, weight, bias, padding, groups),
    )


def _random(device: torch.device, *shapes: tuple[int, ...]) -> list[Tensor]:
    import torch

    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator).to(device) for shape in shapes]


def _convolutions(x: Tensor, weight: Tensor, bias: Tensor, padding: int, groups: int) -> list[Work]:
    """``F.conv2d`` in both memory formats."""
    import torch
    import torch.nn.functional as F

    def work(layout: torch.memory_format) -> Work:
        input, kernels = x.to(memory_format=layout), weight.to(memory_format=layout)
        return lambda: F.conv2d(input, kernels, bias, 1, padding, 1, groups)

    return [work(layout) for layout in (torch.contiguous_format, torch.channels_last)]
