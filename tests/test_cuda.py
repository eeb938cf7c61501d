"""The CUDA ops on a real card, against the same references as the CPU ops."""

from __future__ import annotations

import copy

import pytest
import torch
from c3_bounds import check_c3_conv, problem
from test_c3_conv import COUNTS, SIZES, TABLES
from test_translate import SHIFTS
from torch import Tensor, nn

import lenetshift  # noqa: F401  registers the ops
from lenetshift import reference
from lenetshift._native import core
from lenetshift.c3_table import C3_TABLE, table_masks
from lenetshift.data import load_mnist
from lenetshift.models import MODEL_NAMES, build_model
from lenetshift.shifts import ShiftGrid

CUDA = torch.device("cuda", 0)


def why_not() -> str:
    """Why this machine cannot run these tests; empty if it can."""
    if not core.has_cuda:
        return "this build has no CUDA kernels"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    return ""


pytestmark = [pytest.mark.cuda, pytest.mark.skipif(bool(why_not()), reason=why_not())]


def run_c3_conv(
    input: Tensor, weight: Tensor, bias: Tensor, upstream: Tensor, masks: list[int]
) -> list[Tensor]:
    inputs = [t.to(CUDA).requires_grad_() for t in (input, weight, bias)]
    output = torch.ops.lenetshift.c3_conv(*inputs, masks)
    gradients = torch.autograd.grad(output, inputs, upstream.to(CUDA))
    return [t.detach().cpu() for t in (output, *gradients)]


def check_c3(n: int, table_name: str, size: tuple[int, int], dtype: torch.dtype) -> None:
    table, n_inputs = (TABLES | LARGE_TABLES)[table_name]
    masks = table_masks(table)
    check_c3_conv(lambda *t: run_c3_conv(*t, masks), n, table, n_inputs, size, dtype)


# More rows than one launch takes, and inputs that are staged in several turns.
LARGE_TABLES = {
    "long": (tuple((i % 7,) for i in range(131)), 7),
    "wide": (((0, 5, 61), tuple(range(62))), 62),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("table_name", [*TABLES, *LARGE_TABLES])
def test_c3_conv_tables(table_name: str, dtype: torch.dtype) -> None:
    check_c3(19, table_name, (14, 14), dtype)


@pytest.mark.parametrize("size", [*SIZES, (70, 45)])
def test_c3_conv_sizes(size: tuple[int, int]) -> None:
    check_c3(3, "ragged", size, torch.float32)


@pytest.mark.parametrize("n", [*COUNTS, 5, 6, 7, 1000])
def test_c3_conv_batch_sizes(n: int) -> None:
    check_c3(n, "1998", (14, 14), torch.float32)


def test_c3_conv_gradcheck() -> None:
    table, n_inputs = TABLES["ragged"]
    tensors = problem(2, table, n_inputs, (6, 7), torch.float64)[:3]
    inputs = [t.to(CUDA).requires_grad_() for t in tensors]
    assert torch.autograd.gradcheck(
        lambda *t: torch.ops.lenetshift.c3_conv(*t, table_masks(table)), inputs
    )


def test_c3_conv_is_the_same_every_time() -> None:
    tensors = problem(500, C3_TABLE, 6, (14, 14), torch.float32)
    first = run_c3_conv(*tensors, table_masks(C3_TABLE))
    for _ in range(3):
        again = run_c3_conv(*tensors, table_masks(C3_TABLE))
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.bool, torch.half, torch.float, torch.double, torch.complex128]
)
@pytest.mark.parametrize(
    "shape", [(0, 7, 6), (5, 7, 6), (3, 2, 7, 8), (2, 3, 2, 1, 1), (40, 28, 28)]
)
def test_translate(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    images = torch.randint(1, 200, shape).to(dtype)
    moved = torch.ops.lenetshift.translate(images.to(CUDA), SHIFTS.to(CUDA))
    assert torch.equal(moved.cpu(), reference.translate(images, SHIFTS))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_translate_gradient(dtype: torch.dtype) -> None:
    images = torch.randn(3, 2, 7, 6, dtype=dtype, requires_grad=True)
    on_cuda = images.detach().to(CUDA).requires_grad_()
    moved = torch.ops.lenetshift.translate(images, SHIFTS)
    upstream = torch.randn_like(moved)
    (expected,) = torch.autograd.grad(moved, images, upstream)
    (got,) = torch.autograd.grad(
        torch.ops.lenetshift.translate(on_cuda, SHIFTS.to(CUDA)), on_cuda, upstream.to(CUDA)
    )
    assert torch.equal(got.cpu(), expected)  # to the last bit: the CPU's order of adding


GRIDS = [
    ShiftGrid(),
    ShiftGrid(range(1), range(1)),
    ShiftGrid(range(3, 4), range(-4, 10)),
    ShiftGrid(range(-6, 12), range(3, 4)),
    ShiftGrid(range(20, 28), range(-2, 1)),
    ShiftGrid(range(-2, 3), range(21, 28)),
]
# What float32 may do: this many times the difference between PyTorch's own float32 and float64.
ROUNDINGS = 16


def random_model(name: str, activation: str) -> nn.Module:
    """Random weights, larger than at the start of training so that no layer is nearly linear."""
    model = build_model(name, activation, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1.5
    return model


def ask(
    name: str, model: nn.Module, images: Tensor, grid: ShiftGrid, activation: str
) -> tuple[Tensor, Tensor]:
    op = getattr(torch.ops.lenetshift, f"predict_shifts_{name}")
    ranges = [grid.dx.start, grid.dx.stop], [grid.dy.start, grid.dy.stop]
    parameters = [p.detach().to(CUDA) for p in model.parameters()]
    predictions, logits = op(images.to(CUDA), *ranges, parameters, activation, True)
    return predictions.cpu(), logits.cpu()


def check_predictions(name: str, images: Tensor, grid: ShiftGrid, activation: str) -> None:
    model = random_model(name, activation)
    predictions, logits = ask(name, model, images, grid, activation)
    exact = reference.shifted_logits(copy.deepcopy(model).double(), images, grid)
    single = reference.shifted_logits(model, images, grid, torch.float32)
    assert logits.shape == exact.shape
    assert torch.equal(predictions, logits.argmax(-1).to(torch.uint8))
    if images.numel() == 0:
        return
    bound = ROUNDINGS * (single - exact).abs().max()
    error = (logits - exact).abs().max()
    assert error <= bound, f"worst logit error {error:.3g}, allowed {bound:.3g}"
    best = exact.topk(2).values
    clear = best[..., 0] - best[..., 1] > 2 * bound
    assert clear.double().mean() > 0.98
    assert torch.equal(predictions[clear], exact.argmax(-1)[clear].to(torch.uint8))


def dense_images(n: int) -> Tensor:
    """Ink everywhere: every shift pushes some out of the frame."""
    generator = torch.Generator().manual_seed(n)
    return torch.randint(1, 256, (n, 28, 28), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("name", MODEL_NAMES)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_predict_shifts_grids(name: str, activation: str, grid: ShiftGrid) -> None:
    images = torch.cat([dense_images(5), load_mnist()[1].images[:20]])
    check_predictions(name, images, grid, activation)


@pytest.mark.parametrize("name", MODEL_NAMES)
@pytest.mark.parametrize("n", [0, 1, 2, 15, 31, 32, 33, 129])
def test_predict_shifts_batch_sizes(name: str, n: int) -> None:
    check_predictions(name, dense_images(n), ShiftGrid(range(-1, 3), range(2)), "tanh")


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_predict_shifts_every_shift(name: str) -> None:
    check_predictions(name, dense_images(1), ShiftGrid(range(-27, 28), range(-27, 28)), "tanh")


@pytest.mark.parametrize("name", MODEL_NAMES)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("batch_size", [1, 7, 32, 1000])
def test_train_epoch(name: str, activation: str, batch_size: int) -> None:
    n = 8 if batch_size == 1 else 100
    train = load_mnist()[0]
    images, labels = train.images[:n], train.labels[:n]
    permutation = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    model = build_model(name, activation, seed=2)
    start = [p.detach().double().clone() for p in model.parameters()]
    parameters = [p.detach().clone().to(CUDA) for p in model.parameters()]
    exact = copy.deepcopy(model).double()
    expected = reference.sgd_epoch(exact, images, labels, permutation, 0.1, batch_size)
    op = getattr(torch.ops.lenetshift, f"train_epoch_{name}")
    arrays = [t.to(CUDA) for t in (images, labels, permutation)]
    losses = op(*arrays, parameters, 0.1, batch_size, activation).cpu()
    torch.testing.assert_close(losses.double(), expected, rtol=1e-4, atol=1e-5)
    for got, want, before in zip(parameters, exact.parameters(), start, strict=True):
        # Beside the way that the weights went.
        way = (want.detach() - before).norm()
        assert (got.cpu().double() - want.detach()).norm() < 1e-3 * way + 1e-6


def test_current_stream() -> None:
    """An op follows the work of its own stream, and takes part in a CUDA graph."""
    images = load_mnist()[1].images[:2000].to(CUDA)
    shifts = SHIFTS.to(CUDA)
    stream = torch.cuda.Stream(CUDA)
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        changed = images ^ 255
        moved = torch.ops.lenetshift.translate(changed, shifts)
    stream.synchronize()
    assert torch.equal(moved.cpu(), reference.translate(images.cpu() ^ 255, SHIFTS))
    still, graph = images.clone(), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        moved = torch.ops.lenetshift.translate(still, shifts)
    still.copy_(changed)
    graph.replay()
    assert torch.equal(moved.cpu(), reference.translate(changed.cpu(), SHIFTS))


def test_devices_must_agree() -> None:
    with pytest.raises(ValueError, match=r"^weight: got a tensor on cpu, expected one on cuda:0$"):
        torch.ops.lenetshift.c3_conv(
            torch.zeros(1, 6, 14, 14, device=CUDA),
            torch.zeros(60, 5, 5),
            torch.zeros(16),
            table_masks(C3_TABLE),
        )
