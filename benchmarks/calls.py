"""What a small call of ``c3_conv`` costs outside its kernel, beside ops that compute nothing.

``python benchmarks/calls.py [--images 1] [--count]``

It prints the least time of many short runs, on one thread: a median would be that of a machine with other
work. ``--count`` also prints the instructions of a call, as valgrind's callgrind counts them (some minutes),
which are nearly the same in every run. Callgrind has no AVX-512, so the kernels are then those for AVX2.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from c3_conv import MASKS, core_call
from torch import Tensor
from torch.utils.benchmark import Timer

CALLS, RUNS = 10, 500  # a run takes less than a millisecond: some are not interrupted
COUNTED = 100

Work = Callable[[], object]
SCHEMA = "(Tensor input, Tensor weight, Tensor bias, int[] table) -> Tensor"


def works(n_images: int) -> dict[str, Work]:
    """Name -> a call. The output of ops that compute nothing has the size of ``c3_conv``'s."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((n_images, 6, 14, 14), (60, 5, 5), (16,), (n_images, 16, 10, 10))
    x, weight, bias, upstream = (torch.randn(shape, generator=generator) for shape in shapes)
    leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]

    def forward_backward(op: Callable[..., Tensor]) -> Work:
        return lambda: torch.autograd.grad(op(*leaves, MASKS), leaves, upstream)

    op = torch.ops.lenetshift.c3_conv
    plain, differentiable, function = do_nothing(x, weight, bias, upstream)
    return {
        "core, forward": core_call(x, weight, bias, None),
        "op, forward": lambda: op(x, weight, bias, MASKS),
        "op that does nothing, forward": lambda: plain(x, weight, bias, MASKS),
        "core, forward and backward": core_call(x, weight, bias, upstream),
        "op, forward and backward": forward_backward(op),
        "op that does nothing, with register_autograd": forward_backward(differentiable),
        "torch.autograd.Function that does nothing": forward_backward(function),
    }


_library = torch.library.Library("lenetshift_benchmark", "FRAGMENT")


def do_nothing(
    x: Tensor, weight: Tensor, bias: Tensor, output: Tensor
) -> tuple[Callable[..., Tensor], ...]:
    """An op that returns a new output, the same with gradients, and a Function."""
    grads = (x, weight, bias, None)

    def compute(*_: Any) -> Tensor:
        return torch.empty_like(output)

    if not hasattr(torch.ops.lenetshift_benchmark, "plain"):  # --count comes here again
        for name in ("plain", "differentiable"):
            _library.define(name + SCHEMA)
            _library.impl(name, compute, "CPU")
        torch.library.register_autograd(
            "lenetshift_benchmark::differentiable",
            lambda ctx, grad: grads,
            setup_context=lambda ctx, inputs, output: None,
            lib=_library,
        )

    class Nothing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *_: Any) -> Tensor:
            return compute()

        @staticmethod
        def backward(ctx: Any, *_: Tensor) -> Any:
            return grads

    ops = torch.ops.lenetshift_benchmark
    return ops.plain, ops.differentiable, Nothing.apply


def least_times(named: dict[str, Work]) -> dict[str, float]:
    """Name -> seconds of a call, the least of many short runs, in turn."""
    least = dict.fromkeys(named, float("inf"))
    for _ in range(RUNS):
        for name, work in named.items():
            work()
            start = time.perf_counter()
            for _ in range(CALLS):
                work()
            least[name] = min(least[name], (time.perf_counter() - start) / CALLS)
    return least


def instructions(name: str, n_images: int) -> int:
    """The instructions of a call, counted in a process of its own."""
    setup = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import calls",
        f"work = calls.works({n_images})[{name!r}]",
        "for _ in range(20): work()",
    )
    # Torch starts whichever python is first there.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    timer = Timer("work()", setup="\n".join(setup), num_threads=1)
    return timer.collect_callgrind(COUNTED, collect_baseline=False).counts() // COUNTED


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    made = argparse.ArgumentParser(prog="python benchmarks/calls.py", description=__doc__)
    made.add_argument("--images", type=int, default=1, metavar="N", help="images of a call")
    made.add_argument("--count", action="store_true", help="count instructions, with valgrind")
    args = made.parse_args(arguments)
    if args.images < 1:
        made.error(f"argument --images: got {args.images}, expected 1 or more")
    torch.set_num_threads(1)
    named = works(args.images)
    least = least_times(named)
    print(f"| call, {args.images} images | time |" + (" instructions |" if args.count else ""))
    print("|---|---:|" + ("---:|" if args.count else ""))
    for name, seconds in least.items():
        line = f"| {name} | {seconds * 1e6:.1f} µs |"
        print(line + (f" {instructions(name, args.images):,} |" if args.count else ""), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
