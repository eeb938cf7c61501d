"""A function as a CUDA graph, with a stand-in for ``torch.cuda``: these tests need no card."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from lenetshift.predict.shared.cuda_graph import WARM_UPS, captured


class Stream:
    def wait_stream(self, other: Stream) -> None:
        pass


class Cuda:
    """As ``torch.cuda``: what runs within ``graph`` is run again by a replay, into the same memory."""

    def __init__(self, run: Callable[[Tensor], Tensor]) -> None:
        self.run, self.capturing, self.stream_now = run, False, Stream()
        self.replays, self.calls = 0, 0
        self.Stream = Stream
        cuda = self

        class CUDAGraph:
            def replay(self) -> None:
                cuda.replays += 1
                cuda.output.copy_(cuda.run(cuda.given))

        self.CUDAGraph = CUDAGraph

    def device(self, device: torch.device) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def current_stream(self, device: torch.device | None = None) -> Stream:
        return self.stream_now

    @contextlib.contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def graph(self, graph: Any) -> Iterator[None]:
        self.capturing = True
        yield
        self.capturing = False

    def __call__(self, batch: Tensor) -> Tensor:
        """The function that is captured."""
        self.calls += 1
        output = self.run(batch)
        if self.capturing:
            self.given, self.output = batch, output
        return output


def test_batches_are_replayed_into_results_of_their_own() -> None:
    cuda = Cuda(lambda x: x.flatten(1) * 2)
    run = captured(cuda, torch.zeros(3, 1, 2, 2), cuda)
    assert (cuda.calls, cuda.replays) == (WARM_UPS + 1, 0)
    batches = torch.rand(4, 3, 1, 2, 2)
    results = [run(batch) for batch in batches]
    assert (cuda.calls, cuda.replays) == (WARM_UPS + 1, 4)
    for batch, result in zip(batches, results, strict=True):
        torch.testing.assert_close(result, batch.flatten(1) * 2, rtol=0, atol=0)


def test_the_example_is_not_written_to() -> None:
    cuda, example = Cuda(lambda x: x.flatten(1)), torch.zeros(3, 1, 2, 2)
    captured(cuda, example, cuda)(torch.ones(3, 1, 2, 2))
    assert not example.any()


@pytest.mark.parametrize(
    "batch", [torch.ones(2, 1, 2, 2), torch.ones(3, 1, 2, 2, dtype=torch.float64)]
)
def test_other_batches_go_through_the_function(batch: Tensor) -> None:
    cuda = Cuda(lambda x: x.flatten(1) * 2)
    run = captured(cuda, torch.zeros(3, 1, 2, 2), cuda)
    torch.testing.assert_close(run(batch), batch.flatten(1) * 2, rtol=0, atol=0)
    assert cuda.replays == 0


def test_other_streams_go_through_the_function() -> None:
    cuda = Cuda(lambda x: x.flatten(1) * 2)
    run = captured(cuda, torch.zeros(3, 1, 2, 2), cuda)
    cuda.stream_now = Stream()
    assert run(torch.ones(3, 1, 2, 2)).tolist() == [[2.0] * 4] * 3
    assert cuda.replays == 0


def test_what_cannot_be_captured_runs_as_it_is() -> None:
    class Synchronizing(Cuda):
        def __call__(self, batch: Tensor) -> Tensor:
            if self.capturing:
                raise RuntimeError("operation not permitted when stream is capturing")
            return super().__call__(batch)

    cuda = Synchronizing(lambda x: x.flatten(1) * 2)
    run = captured(cuda, torch.zeros(3, 1, 2, 2), cuda)
    assert run is cuda
