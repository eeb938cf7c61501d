"""The fused perceptrons against translate-then-module in float64, for every ISA."""

from __future__ import annotations

import pytest
import torch
from cases import (
    Perceptron,
    check_clear_predictions,
    make_images,
    make_perceptron,
    on_threads,
    predict,
    same_bits,
)
from torch import Tensor

import lenetshift  # noqa: F401  registers the ops
from lenetshift.reference import shifted_logits
from lenetshift.shifts import ShiftGrid

MODELS = ("mlp", "pooled_mlp")
EPS = torch.finfo(torch.float32).eps
# Of the sums that a rounding error is relative to; the short correlations' own growth included.
ROUNDINGS = 16

DEFAULT = ShiftGrid()
GRIDS = {
    "one": ShiftGrid(range(0, 1), range(0, 1)),
    "one_moved": ShiftGrid(range(3, 4), range(-4, 10)),
    "two": ShiftGrid(range(-2, 0), range(1, 3)),
    "three": ShiftGrid(range(-1, 2), range(-2, 2)),
    "wide": ShiftGrid(range(-6, 7), range(5, 8)),
    "large": ShiftGrid(range(-13, 13), range(-8, 9)),
    "leaving": ShiftGrid(range(20, 28), range(-2, 3)),
    "gone": ShiftGrid(range(-27, -20), range(20, 28)),
    "all_dx": ShiftGrid(range(-27, 28), range(0, 1)),
    "corner": ShiftGrid(range(27, 28), range(27, 28)),
}


def error_bound(perceptron: Perceptron, images: Tensor) -> Tensor:
    """What rounding may do to an image's logits: ROUNDINGS * eps * sum |w| |x|, layer by layer.

    The short correlations mix an image's pixels and a unit's weights, also those that do not meet
    under a shift: so the sum takes all pixels, and the unit's largest weight for each.

    Returns:
        ``[N, 1, 1, 10]``.
    """
    hidden, output = perceptron.hidden, perceptron.output
    pixels = perceptron.pool(images.unsqueeze(1).double() / 255).flatten(1).sum(1, keepdim=True)
    largest = hidden.weight.detach().double().abs().amax(1)
    sums = pixels * largest + hidden.bias.detach().double().abs() + 1  # an activation of 1
    weight = output.weight.detach().double().abs()
    bound = ROUNDINGS * EPS * (sums @ weight.T + output.bias.detach().double().abs())
    return bound[:, None, None, :]


def check(
    model: str, n_hidden: int, activation: str, images: Tensor, grid: ShiftGrid = DEFAULT
) -> None:
    perceptron = make_perceptron(model, n_hidden, activation)
    predictions, logits = predict(model, perceptron, images, grid)
    bound = error_bound(perceptron, images)
    expected = shifted_logits(perceptron.double(), images, grid)

    assert predictions.shape == (len(images), *grid.shape)
    assert predictions.dtype == torch.uint8
    assert logits.shape == expected.shape
    assert logits.dtype == torch.float32
    if len(images) == 0:
        return
    share = ((logits - expected).abs() / bound).max().item()
    assert share <= 1, f"the worst error is {share:.2f} of its bound"
    assert torch.equal(predictions, logits.argmax(-1).to(torch.uint8))
    check_clear_predictions(predictions, expected, 2 * bound.amax(-1))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("n_images", [0, 1, 15, 16, 17, 33])
def test_numbers_of_images(isa: str, model: str, n_images: int) -> None:
    check(model, 40, "tanh", make_images("digits", n_images))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("n_hidden", [1, 17, 64, 512])
@pytest.mark.parametrize("kind", ["digits", "dense"])
def test_numbers_of_units(isa: str, model: str, activation: str, n_hidden: int, kind: str) -> None:
    check(model, n_hidden, activation, make_images(kind, 5))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
@pytest.mark.parametrize("kind", ["digits", "dense"])
def test_grids(isa: str, model: str, grid: ShiftGrid, kind: str) -> None:
    check(model, 20, "tanh", make_images(kind, 4), grid)


@pytest.mark.parametrize("model", MODELS)
def test_every_shift(isa: str, model: str) -> None:
    check(model, 9, "relu", make_images("dense", 2), ShiftGrid(range(-27, 28), range(-27, 28)))


@pytest.mark.parametrize("model", MODELS)
def test_mixed_images(isa: str, model: str) -> None:
    """Blank, one-pixel, digit and full images side by side, so that neighbours differ in ink."""
    images = torch.zeros(40, 28, 28, dtype=torch.uint8)
    for i in range(1, 40, 4):
        images[i, 7 * i % 28, 11 * i % 28] = 255
    images[2::4] = make_images("digits", 10)
    images[3::4] = make_images("dense", 10)
    check(model, 33, "tanh", images)


@pytest.mark.parametrize("model", MODELS)
def test_threads_and_logits_change_nothing(isa: str, model: str) -> None:
    """Predictions and logits are the same to the last bit for every number of threads."""
    images = make_images("digits", 600)
    perceptron = make_perceptron(model, 40, "tanh")
    results = on_threads((1, 2, 3), lambda: predict(model, perceptron, images, DEFAULT))
    assert same_bits(results)
    predictions, logits = predict(model, perceptron, images, DEFAULT, return_logits=False)
    assert torch.equal(predictions, results[0][0])
    assert logits.numel() == 0


@pytest.mark.parametrize("model", MODELS)
def test_first_of_equal_logits_wins(isa: str, model: str) -> None:
    perceptron = make_perceptron(model, 8, "tanh")
    with torch.no_grad():
        perceptron.output.weight.zero_()
        perceptron.output.bias.copy_(torch.tensor([0, 1, 1, 0, 1, 0, 0, 0, 1, 0]))
    predictions, _ = predict(model, perceptron, make_images("digits", 3), DEFAULT)
    assert (predictions == 1).all()
