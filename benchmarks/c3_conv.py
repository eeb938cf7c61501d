"""``c3_conv/<forward|forward_backward>/<batch size>``: the sparse convolution on S2 maps.

Input [N, 6, 14, 14], output [N, 16, 10, 10]. The peer is ``F.conv2d`` with a dense weight, zero
where the table has no connection, made in advance; its weight gradient is left dense.
On a GPU ``.../graph`` is the same work, ours and the peers' each captured as a CUDA graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from common import Context, note_unavailable, result, worst_difference
from peers import capture
from timing import interleave
from torch import Tensor

from lenetshift.c3_table import C3_TABLE, from_dense, table_masks, to_dense
from lenetshift.checks.core import core

MASKS = table_masks(C3_TABLE)
TOLERANCE = 1e-5  # of the largest value; sums of up to 100,000 float32 products in the gradients
MULTIPLY_ADDS = 150_000  # per image, forward; each of the two gradients takes as many

Convolution = Callable[[Tensor, Tensor, Tensor], Tensor]
Work = Callable[[], tuple[Tensor, ...]]


def run(context: Context, direction: str, batch_size: int, graph: bool = False) -> dict[str, Any]:
    """Verify and time one direction at one batch size; with ``graph`` each candidate as a CUDA graph."""
    case = f"c3_conv/{direction}/{batch_size}" + ("/graph" if graph else "")
    generator = torch.Generator().manual_seed(0)
    x, weight, bias, upstream = (
        torch.randn(*shape, generator=generator).to(context.device)
        for shape in ((batch_size, 6, 14, 14), (60, 5, 5), (16,), (batch_size, 16, 10, 10))
    )
    dense = to_dense(weight, C3_TABLE, 6)
    backward = direction == "forward_backward"
    prepare = functools.partial(forward_backward, upstream) if backward else forward

    def peer(convolution: Convolution, layout: torch.memory_format, graph: bool = False) -> Work:
        work = prepare(
            convolution, x.to(memory_format=layout), dense.to(memory_format=layout), bias
        )
        work = capture(work) if graph else work
        verify(case, ours(), work())
        return work

    ours = prepare(lambda x, w, b: torch.ops.lenetshift.c3_conv(x, w, b, MASKS), x, weight, bias)
    ours = capture(ours) if graph else ours
    runs: dict[str, Work] = {}
    for name, how in (captured_peers() if graph else peers(context)).items():
        try:
            runs[name] = peer(*how)
        except Exception as error:  # no compiler, an unsupported operator, ...
            note_unavailable(context, name, error)
    if context.device.type == "cpu":
        runs["core"] = core_call(x, weight, bias, upstream if backward else None)
        for mine, bare in zip(ours(), runs["core"](), strict=True):
            worst_difference(f"{case}, bare core call", mine, bare, 0)
    repetitions = 5 if context.quick else 15 if context.device.type == "cpu" else 7
    timings = interleave({"ours": ours} | runs, repetitions, context.clock)
    timing, bare = timings.pop("ours"), timings.pop("core", None)
    return result(
        context,
        case,
        timing,
        timings,
        multiply_adds=batch_size * MULTIPLY_ADDS * (3 if backward else 1),
        counted="connections of the table",
        # Backward reads the upstream gradient and the input again, and writes the input's gradient.
        least_bytes=3 * x.nbytes + 2 * upstream.nbytes if backward else x.nbytes + upstream.nbytes,
        core_s=bare.median if bare else None,
    )


def peers(context: Context) -> dict[str, tuple[Any, ...]]:
    """Name -> how F.conv2d runs: the function, the memory format, and whether it is a CUDA graph."""
    default, last = torch.contiguous_format, torch.channels_last
    torch._dynamo.reset()
    compiled = torch.compile(conv2d, fullgraph=True, dynamic=False)
    found: dict[str, tuple[Any, ...]] = {
        "PyTorch eager": (F.conv2d, default),
        "PyTorch eager, channels_last": (F.conv2d, last),
        "torch.compile": (compiled, default),
        "torch.compile, channels_last": (compiled, last),
    }
    if context.device.type == "cuda":
        found["CUDA graph"] = (F.conv2d, default, True)
        found["CUDA graph, channels_last"] = (F.conv2d, last, True)
    return found


def captured_peers() -> dict[str, tuple[Any, ...]]:
    """The same for CUDA graphs alone: of cuDNN's convolution, and of what torch.compile makes."""
    default, last = torch.contiguous_format, torch.channels_last
    torch._dynamo.reset()
    compiled = torch.compile(conv2d, fullgraph=True, dynamic=False)
    return {
        "CUDA graph": (F.conv2d, default, True),
        "CUDA graph, channels_last": (F.conv2d, last, True),
        "CUDA graph of torch.compile": (compiled, default, True),
        "CUDA graph of torch.compile, channels_last": (compiled, last, True),
    }


def conv2d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """F.conv2d in Python, for torch.compile to trace."""
    return F.conv2d(x, weight, bias)


def forward(convolution: Convolution, x: Tensor, weight: Tensor, bias: Tensor) -> Work:
    """The output."""

    @torch.inference_mode()
    def work() -> tuple[Tensor, ...]:
        return (convolution(x, weight, bias),)

    return work


def forward_backward(
    upstream: Tensor, convolution: Convolution, x: Tensor, weight: Tensor, bias: Tensor
) -> Work:
    """The output, and the gradients of input, weight and bias."""
    leaves = [tensor.detach().requires_grad_() for tensor in (x, weight, bias)]

    def work() -> tuple[Tensor, ...]:
        output = convolution(*leaves)
        return (output.detach(), *torch.autograd.grad(output, leaves, upstream))

    return work


def core_call(x: Tensor, weight: Tensor, bias: Tensor, upstream: Tensor | None) -> Work:
    """The compiled kernels without torch around them; all memory is allocated in advance."""
    c3 = core.C3(*x.shape, table=MASKS, value_bytes=x.element_size())
    n_threads = torch.get_num_threads()
    output = x.new_empty(x.shape[0], 16, 10, 10)
    grads = [torch.empty_like(tensor) for tensor in (x, weight, bias)]

    def work() -> tuple[Tensor, ...]:
        core.c3_conv(c3, *(tensor.data_ptr() for tensor in (x, weight, bias, output)), n_threads)
        if upstream is None:
            return (output,)
        addresses = [tensor.data_ptr() for tensor in (upstream, x, weight, *grads)]
        core.c3_conv_backward(c3, *addresses, n_threads)
        return (output, *grads)

    return work


def verify(case: str, ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> None:
    """Compare output and gradients; the peer's weight gradient where there is a connection."""
    if len(theirs) > 1:
        theirs = (*theirs[:2], from_dense(theirs[2], C3_TABLE), theirs[3])
    for what, mine, other in zip(("output", "input", "weight", "bias"), ours, theirs, strict=False):
        worst_difference(f"{case}, {what}", mine, other, TOLERANCE)
