"""The GPU's measured limits, to which CUDA times are compared."""

from __future__ import annotations

import torch
from timing import cuda_clock, interleave


def device_limits() -> dict[str, float]:
    """float32 GFLOP/s of a large matrix product, and GB/s of a large copy (read and written)."""
    torch.backends.cuda.matmul.allow_tf32 = False
    n = 8192
    a, b, c = (torch.randn(n, n, device="cuda") for _ in range(3))
    source = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    runs = {"matmul": lambda: torch.mm(a, b, out=c), "copy": lambda: target.copy_(source)}
    timings = interleave(runs, 10, cuda_clock)
    return {
        "matmul_gflops": 2 * n**3 / min(timings["matmul"].samples) / 1e9,
        "copy_gb_s": 2 * source.nbytes / min(timings["copy"].samples) / 1e9,
    }
