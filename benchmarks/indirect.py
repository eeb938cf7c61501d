"""``indirect/<network's layer>``: convolution and pooling through tables, against PyTorch's own.

The tables are those of an ordinary layer with padding, so that PyTorch's layers are peers. A map that some
shifts share has no peer: PyTorch would have to copy the windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from common import Context, note_unavailable, result, worst_difference
from timing import interleave
from torch import Tensor

TOLERANCE = 1e-5  # of the largest value; sums of up to 2,304 float32 products


@dataclass(frozen=True)
class Layer:
    """A layer of ``n`` maps of ``size x size``; ``n_outputs`` 0: the largest of each window."""

    n: int
    size: int
    n_inputs: int
    n_outputs: int
    kernel: int
    stride: int = 1
    groups: int = 1
    dtype: torch.dtype = torch.float32

    @property
    def padding(self) -> int:
        """On each side: of a convolution, so that a stride of 1 keeps the size."""
        return self.kernel // 2 if self.n_outputs else 0


LAYERS = {
    "first": Layer(64, 28, 1, 32, 3),
    "first_5x5": Layer(64, 28, 1, 6, 5),
    "32_to_64": Layer(64, 28, 32, 64, 3),
    "64_to_128": Layer(64, 14, 64, 128, 3),
    "64_to_128_float64": Layer(64, 14, 64, 128, 3, dtype=torch.float64),
    "strided": Layer(8, 56, 64, 128, 3, stride=2),
    "256_to_256": Layer(32, 7, 256, 256, 3),
    "depthwise": Layer(16, 28, 96, 96, 3, groups=96),
    "depthwise_float64": Layer(16, 28, 96, 96, 3, groups=96, dtype=torch.float64),
    "max_pool": Layer(16, 28, 64, 0, 2, stride=2),
}


def run(context: Context, name: str) -> dict[str, Any]:
    """Verify and time one layer."""
    case, layer = f"indirect/{name}", LAYERS[name]
    generator = torch.Generator().manual_seed(0)
    n_outputs = layer.n_outputs or layer.n_inputs
    n_terms = layer.n_inputs // layer.groups * layer.kernel**2
    x, weight, bias = (
        torch.randn(*shape, generator=generator, dtype=layer.dtype).to(context.device)
        for shape in (
            (layer.n, layer.n_inputs, layer.size, layer.size),
            (n_outputs, layer.n_inputs // layer.groups, layer.kernel, layer.kernel),
            (n_outputs,),
        )
    )
    weight /= n_terms**0.5
    table = regular_table(layer).to(context.device)
    packed = weight.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1)
    last = x.to(memory_format=torch.channels_last)
    ops = torch.ops.lenetshift

    def ours() -> Tensor:
        if layer.n_outputs:
            return ops.indirect_conv2d(last, packed, bias, table, table, layer.groups)
        return ops.indirect_pool2d(last, table, table, True)

    runs: dict[str, Callable[[], Tensor]] = {}
    for peer, layout in {
        "PyTorch eager": torch.contiguous_format,
        "PyTorch eager, channels_last": torch.channels_last,
    }.items():
        runs[peer] = _peer(layer, x.to(memory_format=layout), weight.to(memory_format=layout), bias)
        try:
            worst_difference(f"{case}, {peer}", ours(), runs[peer](), TOLERANCE)
        except RuntimeError as error:  # not implemented for this device
            note_unavailable(context, peer, error)
            del runs[peer]
    with torch.inference_mode():
        timings = interleave({"ours": ours} | runs, 5 if context.quick else 15, context.clock)
        output = ours()
    return result(
        context,
        case,
        timings.pop("ours"),
        timings,
        multiply_adds=output.numel() * n_terms if layer.n_outputs else None,
        counted="taps, those outside the input too",
        least_bytes=x.nbytes + weight.nbytes + output.nbytes,
    )


def regular_table(layer: Layer) -> Tensor:
    """The table of an ordinary layer, int64 ``[lines of the result, kernel]``."""
    n = (layer.size + 2 * layer.padding - layer.kernel) // layer.stride + 1
    starts = torch.arange(n)[:, None] * layer.stride - layer.padding
    lines = starts + torch.arange(layer.kernel)
    return torch.where((lines >= 0) & (lines < layer.size), lines, -1)


def _peer(layer: Layer, x: Tensor, weight: Tensor, bias: Tensor) -> Callable[[], Tensor]:
    if not layer.n_outputs:
        return lambda: F.max_pool2d(x, layer.kernel, layer.stride)
    return lambda: F.conv2d(x, weight, bias, layer.stride, layer.padding, 1, layer.groups)
