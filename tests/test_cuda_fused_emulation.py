"""The fused CUDA kernels, run on the CPU (see cuda_emulation/emulation.h), against plain PyTorch in
float64: values without a card. Every test runs under AddressSanitizer and UndefinedBehaviorSanitizer;
one run of each kernel is watched for races by ThreadSanitizer.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from cuda_emulation.emulator import CUDA, HERE, Emulator, compiler
from torch import Tensor, nn

import lenetshift  # noqa: F401  registers the ops
from lenetshift.data import load_mnist
from lenetshift.models import build_model
from lenetshift.reference import sgd_epoch, shifted_logits
from lenetshift.shifts import ShiftGrid

pytestmark = pytest.mark.skipif(compiler() is None, reason="needs a C++ compiler")

LENETS = ("lenet5", "symmetric_lenet5")
MODELS = (*LENETS, "mlp", "pooled_mlp")
DEFAULT = ShiftGrid()
# What float32 may do: this many times the difference between PyTorch's own float32 and float64.
ROUNDINGS = 8


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The references are small; threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SOURCES = [
    CUDA / f"{op}_{model}.cu"
    for op in ("predict", "train")
    for model in ("lenet5", "mlp", "pooled_mlp")
]


def build(folder: Path, kind: str, sources: list[Path] = SOURCES) -> Emulator:
    return Emulator(folder, kind, sources, [HERE / "fused_calls.cpp"])


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    return build(tmp_path_factory.mktemp("address"), "address")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    return build(tmp_path_factory.mktemp("thread"), "thread")


class Perceptron(nn.Module):
    """One hidden layer of any size, on pixels or on 4 x 4 means."""

    def __init__(self, name: str, n_hidden: int, activation: str) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(4) if name == "pooled_mlp" else nn.Identity()
        self.hidden = nn.Linear(49 if name == "pooled_mlp" else 784, n_hidden)
        self.activation = torch.tanh if activation == "tanh" else torch.relu
        self.output = nn.Linear(n_hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.activation(self.hidden(self.pool(x).flatten(1))))


def make_model(name: str, activation: str, n_hidden: int = 17) -> nn.Module:
    """Random weights, larger than at the start of training so that no layer is nearly linear."""
    if name in LENETS:
        model = build_model(name, activation, seed=3)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(n_hidden)
            model = Perceptron(name, n_hidden, activation)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1.5
    return model


def first_numbers(name: str, model: nn.Module, activation: str) -> list[int]:
    """Activation, and the C3 form or the number of hidden units, as the calls want them."""
    size = LENETS.index(name) if name in LENETS else model.hidden.out_features
    return [("tanh", "relu").index(activation), size]


def op_of(kind: str, name: str) -> str:
    return f"{kind}_{'lenet5' if name in LENETS else name}"


def dense_images(n: int) -> Tensor:
    """Ink everywhere: every shift pushes some out of the frame."""
    generator = torch.Generator().manual_seed(n)
    return torch.randint(1, 256, (n, 28, 28), generator=generator, dtype=torch.uint8)


def predict(
    emulator: Emulator,
    name: str,
    model: nn.Module,
    activation: str,
    images: Tensor,
    grid: ShiftGrid,
    return_logits: bool = True,
    order: str = "forward",
) -> tuple[Tensor, Tensor]:
    parameters = [p.detach().numpy() for p in model.parameters()]
    predictions = np.full((len(images), *grid.shape), 255, np.uint8)
    shape = (*predictions.shape, 10) if return_logits else (0,)
    numbers = [len(images), grid.dx.start, grid.n_dx, grid.dy.start, grid.n_dy]
    results = emulator(
        op_of("predict_shifts", name),
        first_numbers(name, model, activation) + numbers,
        [images.numpy(), predictions, np.full(shape, np.nan, np.float32), *parameters],
        order,
    )
    return torch.from_numpy(results[1]), torch.from_numpy(results[2])


def check(
    emulator: Emulator,
    name: str,
    images: Tensor,
    grid: ShiftGrid = DEFAULT,
    activation: str = "tanh",
    n_hidden: int = 17,
) -> None:
    model = make_model(name, activation, n_hidden)
    predictions, logits = predict(emulator, name, model, activation, images, grid)
    exact = shifted_logits(copy.deepcopy(model).double(), images, grid)
    single = shifted_logits(model, images, grid, torch.float32)
    assert torch.equal(predictions, logits.argmax(-1).to(torch.uint8))
    bound = ROUNDINGS * float((single - exact).abs().max())
    error = float((logits - exact).abs().max())
    assert error <= bound, f"worst logit error {error:.3g}, allowed {bound:.3g}"


# One shift, one row, one column, one side of the frame only, more than one pass in x and in y,
# shifts that empty the image.
GRIDS = [
    ShiftGrid(range(1), range(1)),
    ShiftGrid(range(-3, -2), range(2, 3)),
    ShiftGrid(range(-6, 7), range(3, 4)),
    ShiftGrid(range(1, 2), range(-4, 3)),
    ShiftGrid(range(25, 28), range(-27, -25)),
]


@pytest.mark.parametrize("name", LENETS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_lenets_on_dense_images(emulator: Emulator, name: str, activation: str) -> None:
    check(emulator, name, dense_images(2), DEFAULT, activation)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_odd_grids(emulator: Emulator, name: str, grid: ShiftGrid) -> None:
    check(emulator, name, dense_images(1), grid)


def test_lenet5_on_real_digits(emulator: Emulator) -> None:
    """Images that lose ink on different sides, or not at all, in the same block of patterns."""
    check(emulator, "lenet5", load_mnist()[1].images[:5])


def test_lenet5_on_single_pixels(emulator: Emulator) -> None:
    """One inked pixel in each corner, at each edge's middle, in the centre, and a blank image."""
    images = torch.zeros(10, 28, 28, dtype=torch.uint8)
    for i, (y, x) in enumerate((y, x) for y in (0, 14, 27) for x in (0, 14, 27)):
        images[i, y, x] = 255
    check(emulator, "lenet5", images)


@pytest.mark.parametrize("name", MODELS[2:])
@pytest.mark.parametrize(("n_hidden", "activation"), [(1, "tanh"), (128, "relu"), (130, "tanh")])
def test_numbers_of_units(emulator: Emulator, name: str, n_hidden: int, activation: str) -> None:
    check(
        emulator, name, dense_images(3), ShiftGrid(range(-1, 1), range(2, 3)), activation, n_hidden
    )


@pytest.mark.parametrize("name", MODELS[2:])
def test_more_images_than_a_tile(emulator: Emulator, name: str) -> None:
    check(emulator, name, load_mnist()[1].images[:130], ShiftGrid(range(4, 5), range(-1, 0)))


@pytest.mark.parametrize("name", MODELS)
def test_no_images_no_logits_any_order(emulator: Emulator, name: str) -> None:
    model, grid = make_model(name, "tanh"), ShiftGrid(range(2), range(2))
    assert predict(emulator, name, model, "tanh", dense_images(0), grid)[0].shape == (0, 2, 2)
    images = dense_images(2)
    predictions, logits = predict(emulator, name, model, "tanh", images, grid)
    assert torch.equal(predict(emulator, name, model, "tanh", images, grid, False)[0], predictions)
    again = predict(emulator, name, model, "tanh", images, grid, order="reverse")
    assert torch.equal(again[0], predictions)
    assert torch.equal(again[1], logits)


def train(
    emulator: Emulator,
    name: str,
    model: nn.Module,
    activation: str,
    images: Tensor,
    labels: Tensor,
    permutation: Tensor,
    learning_rate: float,
    batch_size: int,
    order: str = "forward",
) -> list[Tensor]:
    """Losses and the parameters afterwards."""
    n_steps = -(-len(images) // batch_size)
    results = emulator(
        op_of("train_epoch", name),
        [*first_numbers(name, model, activation), len(images), batch_size],
        [
            images.numpy(),
            labels.numpy(),
            permutation.numpy(),
            np.full(n_steps, np.nan, np.float32),
            np.array([learning_rate], np.float32),
            *(p.detach().numpy() for p in model.parameters()),
        ],
        order,
    )
    return [torch.from_numpy(results[3]), *map(torch.from_numpy, results[5:])]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_train_epoch(emulator: Emulator, name: str, activation: str) -> None:
    check_training(emulator, name, activation, 7, 5)


@pytest.mark.parametrize("name", MODELS)
def test_train_three_steps(emulator: Emulator, name: str) -> None:
    check_training(emulator, name, "tanh", 12, 5)


@pytest.mark.parametrize("name", MODELS[2:])
def test_train_perceptron_on_a_batch_beyond_a_tile(emulator: Emulator, name: str) -> None:
    check_training(emulator, name, "tanh", 35, 35, n_hidden=40)


def test_train_lenet5_beyond_its_slots(tmp_path: Path) -> None:
    """A block with several images of a step, without a batch of hundreds."""
    text = (CUDA / "train_lenet5.cu").read_text()
    assert "kMaxSlots = 128;" in text
    (tmp_path / "train_lenet5.cu").write_text(text.replace("kMaxSlots = 128;", "kMaxSlots = 2;"))
    sources = [s for s in SOURCES if s.name != "train_lenet5.cu"] + [tmp_path / "train_lenet5.cu"]
    check_training(build(tmp_path, "address", sources), "lenet5", "tanh", 8, 5)


def check_training(
    emulator: Emulator, name: str, activation: str, n: int, batch_size: int, n_hidden: int = 17
) -> None:
    model, learning_rate = make_model(name, activation, n_hidden), 0.3
    digits = load_mnist()[0]
    images, labels = digits.images[:n], digits.labels[:n]
    permutation = torch.randperm(n, generator=torch.Generator().manual_seed(n))
    ours = train(
        emulator, name, model, activation, images, labels, permutation, learning_rate, batch_size
    )
    single, exact = copy.deepcopy(model), copy.deepcopy(model).double()
    arguments = (images, labels, permutation, learning_rate, batch_size)
    losses = [sgd_epoch(twin, *arguments) for twin in (single, exact)]
    twins = (
        [loss, *(p.detach() for p in twin.parameters())]
        for loss, twin in zip(losses, (single, exact), strict=True)
    )
    pairs = zip(*twins, strict=True)
    before = [torch.zeros_like(losses[0]), *(p.detach().clone() for p in model.parameters())]
    for i, (value, (theirs, expected), old) in enumerate(zip(ours, pairs, before, strict=True)):
        eps = torch.finfo(torch.float32).eps * float(expected.abs().max())
        bound = ROUNDINGS * (float((theirs - expected).abs().max()) + eps)
        error = float((value - expected).abs().max())
        assert error <= bound, f"value {i}: worst error {error:.3g}, allowed {bound:.3g}"
        assert not torch.equal(value, old)


@pytest.mark.parametrize("name", MODELS)
def test_training_is_the_same_in_any_order(emulator: Emulator, name: str) -> None:
    model, digits = make_model(name, "tanh"), load_mnist()[0]
    arguments = (digits.images[:6], digits.labels[:6], torch.arange(6), 0.1, 4)
    forward, reverse = (
        train(emulator, name, model, "tanh", *arguments, order=order)
        for order in ("forward", "reverse")
    )
    assert all(torch.equal(a, b) for a, b in zip(forward, reverse, strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_no_races(watched: Emulator, name: str) -> None:
    """All kernels of a model, two blocks of images or a batch and a rest, under ThreadSanitizer."""
    check(watched, name, dense_images(1), ShiftGrid(range(-1, 1), range(1, 2)))
    check_training(watched, name, "tanh", 3, 2)
