"""Passes in several threads, each of which computes with one.

If a pass used several threads, PyTorch's OpenMP threads and the core's own would take turns: OpenMP's threads
wait awake for a while for more work, on the cores on which the core's threads then want to run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def in_threads(
    work: Callable[[Piece], Result], pieces: Sequence[Piece], n_threads: int
) -> list[Result]:
    """``work`` on all pieces, by up to ``n_threads`` threads at once, without gradients."""
    n_threads = min(n_threads, len(pieces))
    if n_threads <= 1:
        return [work(piece) for piece in pieces]

    def alone(piece: Piece) -> Result:
        with torch.inference_mode(False), torch.no_grad():
            return work(piece)

    with one_thread(), ThreadPoolExecutor(n_threads) as threads:
        futures = [threads.submit(alone, piece) for piece in pieces]
        try:
            return [future.result() for future in futures]
        except BaseException:  # Ctrl-C, or an error in one: the others need not begin
            threads.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch's operations use one thread in this thread, and in those that begin meanwhile."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
