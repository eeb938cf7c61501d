"""The CUDA ops on a card: the matrix of cases of the emulation, larger cases, and those that need a card.

``pytest -m cuda`` runs them.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch
from cuda_matrix import (
    ALL_TABLES,
    MODELS,
    SHIFTS,
    Kernels,
    Matrix,
    check_c3,
    check_predictions,
    check_training,
    problem,
    run_c3_conv,
)
from torch import Tensor, nn

from lenetshift import reference
from lenetshift.c3_table import C3_TABLE, table_masks
from lenetshift.data.load import load_mnist
from lenetshift.shifts import ShiftGrid

CUDA = torch.device("cuda", 0)


pytestmark = pytest.mark.cuda  # conftest.py leaves these out where they cannot run


class CardKernels:
    """The ops on tensors on the card."""

    def __init__(self) -> None:
        self.place: Callable[[Tensor], Tensor] = lambda tensor: tensor.detach().to(CUDA)

    def c3_conv(self, input: Tensor, weight: Tensor, bias: Tensor, masks: list[int]) -> Tensor:
        inputs = map(self.place, (input, weight, bias))
        return torch.ops.lenetshift.c3_conv(*inputs, masks).cpu()

    def c3_conv_backward(
        self, upstream: Tensor, input: Tensor, weight: Tensor, masks: list[int], wanted: list[bool]
    ) -> list[Tensor]:
        inputs = map(self.place, (upstream, input, weight))
        gradients = torch.ops.lenetshift.c3_conv_backward(*inputs, masks, wanted)
        return [gradient.cpu() for gradient in gradients]

    def translate(self, images: Tensor, shifts: Tensor) -> Tensor:
        return torch.ops.lenetshift.translate(self.place(images), self.place(shifts)).cpu()

    def shift_each(self, images: Tensor, shifts: Tensor) -> Tensor:
        return torch.ops.lenetshift.shift_each(self.place(images), self.place(shifts)).cpu()

    def translate_backward(self, upstream: Tensor, shifts: Tensor) -> Tensor:
        inputs = map(self.place, (upstream, shifts))
        return torch.ops.lenetshift.translate_backward(*inputs).cpu()

    def predict(
        self,
        name: str,
        model: nn.Module,
        images: Tensor,
        grid: ShiftGrid,
        return_logits: bool = True,
    ) -> tuple[Tensor, Tensor]:
        op = getattr(torch.ops.lenetshift, f"predict_shifts_{name}")
        ranges = [grid.dx.start, grid.dx.stop], [grid.dy.start, grid.dy.stop]
        parameters = list(map(self.place, model.parameters()))
        results = op(self.place(images), *ranges, parameters, model.activation, return_logits)
        return results[0].cpu(), results[1].cpu()

    def train(
        self,
        name: str,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        permutation: Tensor,
        learning_rate: float,
        batch_size: int,
    ) -> list[Tensor]:
        op = getattr(torch.ops.lenetshift, f"train_epoch_{name}")
        parameters = [self.place(p).clone() for p in model.parameters()]
        arrays = map(self.place, (images, labels, permutation))
        losses = op(*arrays, parameters, learning_rate, batch_size, model.activation)
        return [losses.cpu(), *(p.cpu() for p in parameters)]


@pytest.fixture
def kernels() -> Kernels:
    return CardKernels()


class TestCard(Matrix):
    """The emulation's cases."""


@pytest.mark.parametrize("n", [160, 1000])
def test_c3_conv_large_batches(kernels: Kernels, n: int) -> None:
    check_c3(kernels, n, "1998", (14, 14), torch.float32)


def test_c3_conv_large_maps(kernels: Kernels) -> None:
    check_c3(kernels, 3, "ragged", (70, 45), torch.float32)


def test_c3_conv_gradcheck() -> None:
    table, n_inputs = ALL_TABLES["ragged"]
    tensors = problem(2, table, n_inputs, (6, 7), torch.float64)[:3]
    inputs = [t.to(CUDA).requires_grad_() for t in tensors]
    assert torch.autograd.gradcheck(
        lambda *t: torch.ops.lenetshift.c3_conv(*t, table_masks(table)), inputs
    )


def test_c3_conv_is_the_same_every_time(kernels: Kernels) -> None:
    tensors = problem(500, C3_TABLE, 6, (14, 14), torch.float32)
    first, *others = (run_c3_conv(kernels, tensors, table_masks(C3_TABLE)) for _ in range(4))
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_strided_inputs() -> None:
    images = torch.randn(6, 8, 10).to(CUDA)[::2, :, ::3]
    moved = torch.ops.lenetshift.translate(images, SHIFTS.to(CUDA))
    assert torch.equal(moved.cpu(), reference.translate(images.cpu(), SHIFTS))
    input, weight, bias, _ = problem(4, C3_TABLE, 6, (14, 28), torch.float32)
    strided = input.to(CUDA)[::2, :, :, ::2]
    arguments = (weight.to(CUDA), bias.to(CUDA), table_masks(C3_TABLE))
    outputs = [torch.ops.lenetshift.c3_conv(t, *arguments) for t in (strided, strided.clone())]
    assert torch.equal(*outputs)


@pytest.mark.parametrize("name", MODELS)
def test_predict_every_shift(kernels: Kernels, name: str) -> None:
    grid = ShiftGrid(range(-27, 28), range(-27, 28))
    check_predictions(kernels, name, "dense", 1, grid, n_hidden=512)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["dense", "digits"])
def test_predict_many_images(kernels: Kernels, name: str, kind: str) -> None:
    check_predictions(kernels, name, kind, 300, n_hidden=512)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("batch_size", [64, 500])
def test_train_many_images(kernels: Kernels, name: str, batch_size: int) -> None:
    check_training(kernels, name, 500, batch_size, n_hidden=512)


def test_current_stream() -> None:
    """An op waits for earlier work on its own stream."""
    images = load_mnist()[1].images[:2000].to(CUDA)
    shifts = SHIFTS.to(CUDA)
    stream = torch.cuda.Stream(CUDA)
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        changed = images ^ 255
        moved = torch.ops.lenetshift.translate(changed, shifts)
    stream.synchronize()
    assert torch.equal(moved.cpu(), reference.translate(images.cpu() ^ 255, SHIFTS))


@pytest.mark.skipif(
    os.environ.get("PYTORCH_NO_CUDA_MEMORY_CACHING") == "1",
    reason="torch captures no graph without its caching allocator",
)
def test_cuda_graph() -> None:
    """An op can be captured in a CUDA graph: a replay reads the current contents of its input."""
    images, shifts = load_mnist()[1].images[:2000].to(CUDA), SHIFTS.to(CUDA)
    still, graph = images.clone(), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        moved = torch.ops.lenetshift.translate(still, shifts)
    still.copy_(images ^ 255)
    graph.replay()
    assert torch.equal(moved.cpu(), reference.translate(images.cpu() ^ 255, SHIFTS))


def test_devices_must_agree() -> None:
    with pytest.raises(ValueError, match=r"^weight: got a tensor on cpu, expected one on cuda:0$"):
        torch.ops.lenetshift.c3_conv(
            torch.zeros(1, 6, 14, 14, device=CUDA),
            torch.zeros(60, 5, 5),
            torch.zeros(16),
            table_masks(C3_TABLE),
        )
