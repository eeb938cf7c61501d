"""A function of a batch as a CUDA graph, which launches all its kernels at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WARM_UPS = 3
"""Calls before the capture, as PyTorch's documentation recommends: libraries choose algorithms in them."""


def captured(
    run: Callable[[Tensor], Tensor], example: Tensor, cuda: Any = torch.cuda
) -> Callable[[Tensor], Tensor]:
    """The function ``run`` as a CUDA graph, or itself if it cannot be captured.

    Batches of another shape or dtype, and those on another stream, go through ``run``. It was tested with a
    stand-in for ``torch.cuda``; it has not been run on a card.

    Args:
        run: of a batch on a GPU; works in the same way for every batch.
        example: a batch.
        cuda: ``torch.cuda``, or a stand-in.
    """
    try:
        with cuda.device(example.device):
            return _Replayed(run, example, cuda)
    except Exception:  # such as an operation that waits for the GPU, which no graph can hold
        return run


class _Replayed:
    """A captured function."""

    def __init__(self, run: Callable[[Tensor], Tensor], example: Tensor, cuda: Any) -> None:
        self.run, self.cuda, self.given = run, cuda, example.clone()
        self.stream, self.lock = cuda.current_stream(), threading.Lock()
        aside = cuda.Stream()
        aside.wait_stream(self.stream)
        with cuda.stream(aside):
            for _ in range(WARM_UPS):
                run(self.given)
        self.stream.wait_stream(aside)
        self.graph = cuda.CUDAGraph()
        with cuda.graph(self.graph):
            self.result = run(self.given)

    def __call__(self, batch: Tensor) -> Tensor:
        kind = (batch.shape, batch.dtype, batch.device)
        fits = kind == (self.given.shape, self.given.dtype, self.given.device)
        if not fits or self.cuda.current_stream(batch.device) != self.stream:
            return self.run(batch)
        with self.lock:  # the graph has one input and one output for all threads
            self.given.copy_(batch)
            self.graph.replay()
            return self.result.clone()
