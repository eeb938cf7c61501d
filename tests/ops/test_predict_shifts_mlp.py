"""The fused perceptrons against translate-then-module in float64, for every ISA."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor, nn

import lenetshift  # noqa: F401  registers the ops
from lenetshift.data.load import load_mnist
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


class Perceptron(nn.Module):
    """One hidden layer of any size, on pixels or on 4 x 4 means."""

    def __init__(self, model: str, n_hidden: int, activation: str) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(4) if model == "pooled_mlp" else nn.Identity()
        self.hidden = nn.Linear(49 if model == "pooled_mlp" else 784, n_hidden)
        self.activation = torch.tanh if activation == "tanh" else torch.relu
        self.output = nn.Linear(n_hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.activation(self.hidden(self.pool(x).flatten(1))))


def make_model(model: str, n_hidden: int, activation: str) -> Perceptron:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(n_hidden)
        return Perceptron(model, n_hidden, activation)


@functools.cache
def digits() -> Tensor:
    return load_mnist()[1].images


def make_images(kind: str, n: int) -> Tensor:
    """Digits, or noise that has ink in every pixel."""
    if kind == "digits":
        return digits()[:n].contiguous()
    generator = torch.Generator().manual_seed(n)
    return torch.randint(1, 256, (n, 28, 28), dtype=torch.uint8, generator=generator)


def predict(
    model: str,
    perceptron: nn.Module,
    images: Tensor,
    grid: ShiftGrid,
    activation: str,
    return_logits: bool,
) -> tuple[Tensor, Tensor]:
    op = getattr(torch.ops.lenetshift, f"predict_shifts_{model}")
    parameters = [p.detach() for p in perceptron.parameters()]
    dx, dy = [grid.dx.start, grid.dx.stop], [grid.dy.start, grid.dy.stop]
    result: tuple[Tensor, Tensor] = op(images, dx, dy, parameters, activation, return_logits)
    return result


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
    perceptron = make_model(model, n_hidden, activation)
    predictions, logits = predict(model, perceptron, images, grid, activation, True)
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
    top = expected.topk(2, dim=-1).values
    clear = top[..., 0] - top[..., 1] > 2 * bound.amax(-1)
    assert clear.double().mean() > 0.98
    assert torch.equal(predictions[clear], expected.argmax(-1)[clear].to(torch.uint8))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("n_images", [0, 1, 15, 16, 17, 33])
def test_numbers_of_images(isa: str, model: str, n_images: int) -> None:
    check(model, 40, "tanh", make_images("digits", n_images))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("n_hidden", [1, 17, 64, 512])
@pytest.mark.parametrize("kind", ["digits", "noise"])
def test_numbers_of_units(isa: str, model: str, activation: str, n_hidden: int, kind: str) -> None:
    check(model, n_hidden, activation, make_images(kind, 5))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
@pytest.mark.parametrize("kind", ["digits", "noise"])
def test_grids(isa: str, model: str, grid: ShiftGrid, kind: str) -> None:
    check(model, 20, "tanh", make_images(kind, 4), grid)


@pytest.mark.parametrize("model", MODELS)
def test_every_shift(isa: str, model: str) -> None:
    check(model, 9, "relu", make_images("noise", 2), ShiftGrid(range(-27, 28), range(-27, 28)))


@pytest.mark.parametrize("model", MODELS)
def test_mixed_images(isa: str, model: str) -> None:
    """Blank, one-pixel, digit and full images side by side, so that neighbours differ in ink."""
    images = torch.zeros(40, 28, 28, dtype=torch.uint8)
    for i in range(1, 40, 4):
        images[i, 7 * i % 28, 11 * i % 28] = 255
    images[2::4] = make_images("digits", 10)
    images[3::4] = make_images("noise", 10)
    check(model, 33, "tanh", images)


@pytest.mark.parametrize("model", MODELS)
def test_threads_and_logits_change_nothing(isa: str, model: str) -> None:
    """Predictions and logits are the same to the last bit for every number of threads."""
    images = make_images("digits", 600)
    perceptron = make_model(model, 40, "tanh")
    n_threads = torch.get_num_threads()
    results = []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            results.append(predict(model, perceptron, images, DEFAULT, "tanh", True))
    finally:
        torch.set_num_threads(n_threads)
    for predictions, logits in results[1:]:
        assert torch.equal(predictions, results[0][0])
        assert torch.equal(logits, results[0][1])
    predictions, logits = predict(model, perceptron, images, DEFAULT, "tanh", False)
    assert torch.equal(predictions, results[0][0])
    assert logits.numel() == 0


@pytest.mark.parametrize("model", MODELS)
def test_first_of_equal_logits_wins(isa: str, model: str) -> None:
    perceptron = make_model(model, 8, "tanh")
    with torch.no_grad():
        perceptron.output.weight.zero_()
        perceptron.output.bias.copy_(torch.tensor([0, 1, 1, 0, 1, 0, 0, 0, 1, 0]))
    predictions, _ = predict(model, perceptron, make_images("digits", 3), DEFAULT, "tanh", False)
    assert (predictions == 1).all()
