"""The ops and the models under autocast, and in float16 and bfloat16."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lenetshift import reference
from lenetshift.c3_table import C3_TABLE, table_masks
from lenetshift.data.dataset import Dataset
from lenetshift.models.build import MODEL_NAMES, build_model
from lenetshift.models.train import train
from lenetshift.predict.predict_shifts import predict_shifts
from lenetshift.shifts import ShiftGrid

MASKS = table_masks(C3_TABLE)
GRID = ShiftGrid(range(-1, 2), range(2))
halves = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])


def c3_inputs(dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, 6, 9, 8), (60, 5, 5), (16,))
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


def make_images(n: int) -> Tensor:
    generator = torch.Generator().manual_seed(n)
    return torch.randint(0, 256, (n, 28, 28), dtype=torch.uint8, generator=generator)


@halves
def test_c3_conv_rounds_what_float32_gives(dtype: torch.dtype) -> None:
    inputs = c3_inputs(dtype)
    output = torch.ops.lenetshift.c3_conv(*inputs, MASKS)
    upstream = torch.randn(output.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    grads = torch.autograd.grad(output, inputs, upstream)
    in_float = [value.detach().float().requires_grad_() for value in inputs]
    expected = torch.ops.lenetshift.c3_conv(*in_float, MASKS)
    expected_grads = torch.autograd.grad(expected, in_float, upstream.float())
    for got, want in zip((output, *grads), (expected, *expected_grads), strict=True):
        assert got.dtype == dtype
        assert torch.equal(got, want.to(dtype))
    mixed = (inputs[0], *in_float[1:])
    with pytest.raises(ValueError, match=r"^weight: got float32, expected b?float16$"):
        torch.ops.lenetshift.c3_conv(*mixed, MASKS)
    torch.library.opcheck(torch.ops.lenetshift.c3_conv.default, (*inputs, MASKS))


@halves
def test_translates_gradient_is_summed_in_float32(dtype: torch.dtype) -> None:
    images = torch.rand(2, 6, 5).to(dtype).requires_grad_()
    shifts = torch.zeros(300, 2, dtype=torch.int64)  # 300 * 1.25: half-precision sums saturate
    moved = torch.ops.lenetshift.translate(images, shifts)
    assert torch.equal(moved, reference.translate(images, shifts))
    (grad,) = torch.autograd.grad(moved, images, torch.full_like(moved, 1.25))
    assert grad.dtype == dtype
    assert torch.equal(grad, torch.full((2, 6, 5), 375.0).to(dtype))


@halves
def test_c3_conv_under_autocast_is_in_float32(dtype: torch.dtype) -> None:
    inputs = c3_inputs(torch.float32)
    expected = torch.ops.lenetshift.c3_conv(*inputs, MASKS)
    expected_grads = torch.autograd.grad(expected.sum(), inputs)
    with torch.autocast("cpu", dtype):
        output = torch.ops.lenetshift.c3_conv(*inputs, MASKS)
        assert torch.equal(output, expected)
        rounded = torch.ops.lenetshift.c3_conv(inputs[0].to(dtype), *inputs[1:], MASKS)
        assert rounded.dtype == torch.float32
        exact = c3_inputs(torch.float64)
        assert torch.ops.lenetshift.c3_conv(*exact, MASKS).dtype == torch.float64
        within = torch.autograd.grad(output.sum(), inputs, retain_graph=True)
    for grads in (within, torch.autograd.grad(output.sum(), inputs)):
        assert all(map(torch.equal, grads, expected_grads))


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_models_under_autocast(name: str) -> None:
    model, images = build_model(name, seed=1), make_images(3)
    x = images[:, None] / 255
    expected, predictions = model(x), predict_shifts(model, images, GRID)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x)
        assert logits.dtype == torch.bfloat16
        torch.testing.assert_close(logits.float(), expected, rtol=0.05, atol=0.05)
        logits.float().sum().backward()
        assert torch.equal(predict_shifts(model, images, GRID), predictions)  # fused: float32
        answers = predict_shifts(torch.nn.Sequential(model), images, GRID)
    assert answers.shape == predictions.shape
    assert all(parameter.grad is not None for parameter in model.parameters())


@halves
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_models_of_half_precision(name: str, dtype: torch.dtype) -> None:
    model, images = build_model(name, seed=1).to(dtype), make_images(3)
    exact = build_model(name, seed=1)
    _, expected = predict_shifts(exact, images, GRID, return_logits=True)
    predictions, logits = predict_shifts(model, images, GRID, return_logits=True)
    assert logits.dtype == dtype
    assert torch.equal(predictions, logits.argmax(-1).to(torch.uint8))
    torch.testing.assert_close(logits.float(), expected, rtol=0.05, atol=0.05)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    settings = {"epochs": 1, "learning_rate": 0.1, "batch_size": 2, "seed": 0}
    dataset = Dataset(images, torch.arange(3))
    train(model, dataset, method="autograd", **settings)
    for parameter, start in zip(model.parameters(), before, strict=True):
        assert parameter.dtype == dtype
        assert not torch.equal(parameter, start)
    with pytest.raises(ValueError, match=r"^method: got 'fused' for \w+, expected 'autograd' for"):
        train(model, dataset, **settings)
