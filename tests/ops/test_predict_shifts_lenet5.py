"""The shared evaluation of the two LeNets against translate-then-model in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from cases import check_clear_predictions, make_images, on_threads, predict, refused, same_bits
from torch import Tensor, nn

from lenetshift import reference
from lenetshift.models.build import build_model
from lenetshift.shifts import ShiftGrid

MODELS = ["lenet5", "symmetric_lenet5"]
DEFAULT = ShiftGrid()
LARGEST = ShiftGrid(range(-27, 28), range(-27, 28))
# Every number of windows in a tile, a single row, a single column, one side of the frame only,
# both, and grids that leave a corner or an edge of the image.
GRIDS = [
    ShiftGrid(range(1), range(1)),
    ShiftGrid(range(-3, -2), range(2, 3)),
    ShiftGrid(range(-1, 1), range(-1, 2)),
    ShiftGrid(range(3, 4), range(-4, 10)),
    ShiftGrid(range(-6, 12), range(3, 4)),
    ShiftGrid(range(20, 28), range(-2, 1)),
    ShiftGrid(range(-2, 3), range(21, 28)),
]


def random_model(name: str, activation: str = "tanh") -> nn.Module:
    """Random weights, larger than at the start of training so that no layer is nearly linear."""
    model = build_model(name, activation, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1.5
    return model


def check(name: str, images: Tensor, grid: ShiftGrid, activation: str = "tanh") -> None:
    model = random_model(name, activation)
    predictions, logits = predict(name, model, images, grid)
    exact = reference.shifted_logits(copy.deepcopy(model).double(), images, grid)
    assert logits.shape == exact.shape
    assert predictions.dtype == torch.uint8
    assert torch.equal(predictions, logits.argmax(-1).to(torch.uint8))
    if images.numel() == 0:
        return
    # What float32 alone may do to a logit: the largest difference between PyTorch's float32 and float64,
    # times the 12 by which Toom-Cook's transforms may enlarge a rounding error (the largest sum of
    # |A^T| |G| |B^T| over the exact form's, see csrc/cpu/math/toom_cook.h).
    single = reference.shifted_logits(model, images, grid, torch.float32)
    bound = 12 * float((single - exact).abs().max())
    error = float((logits - exact).abs().max())
    assert error <= bound, f"worst logit error {error:.3g}, allowed {bound:.3g}"
    check_clear_predictions(predictions, exact, 2 * bound)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_dense_images(isa: str, name: str, activation: str) -> None:
    check(name, make_images("dense", 5), DEFAULT, activation)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_odd_grids(isa: str, name: str, grid: ShiftGrid) -> None:
    check(name, make_images("dense", 2), grid)


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 15, 16, 17, 33])
def test_every_lane_count(isa: str, n: int) -> None:
    check("lenet5", make_images("dense", n), ShiftGrid(range(-1, 3), range(2)))


@pytest.mark.slow
def test_largest_grid(isa: str) -> None:
    check("lenet5", make_images("dense", 1), LARGEST)


def pixel(y: int, x: int) -> Tensor:
    image = torch.zeros(1, 28, 28, dtype=torch.uint8)
    image[0, y, x] = 255
    return image


@pytest.mark.slow
@pytest.mark.parametrize("grid", [LARGEST, ShiftGrid(range(20, 28), range(-27, -20))], ids=str)
@pytest.mark.parametrize("what", ["digit", "corner", "middle", "blank"])
def test_shifts_that_empty_the_image(isa: str, what: str, grid: ShiftGrid) -> None:
    """One image per call: the ink of another image would keep its shifts from being left out."""
    images = {
        "digit": make_images("digits", 1),
        "corner": pixel(27, 0),
        "middle": pixel(13, 14),
        "blank": torch.zeros(1, 28, 28, dtype=torch.uint8),
    }
    check("lenet5", images[what], grid)


def test_real_digits(isa: str) -> None:
    """Images of one lane group that lose ink on different sides, rows or not at all."""
    check("lenet5", make_images("digits", 70), DEFAULT)


def test_single_pixels(isa: str) -> None:
    """One inked pixel in each corner, at each edge's middle, in the centre, and a blank image."""
    check("lenet5", make_images("pixels", 10), DEFAULT)


@pytest.mark.parametrize("name", MODELS)
def test_bit_identical_for_every_thread_count(isa: str, name: str) -> None:
    model = random_model(name)
    images = torch.cat([make_images("digits", 90), make_images("dense", 20)])
    assert same_bits(on_threads((1, 2, 5), lambda: predict(name, model, images, DEFAULT)))


@pytest.mark.parametrize("name", [*MODELS, "mlp", "pooled_mlp"])
def test_opcheck(name: str) -> None:
    parameters = [p.detach() for p in build_model(name, seed=0).parameters()]
    op = getattr(torch.ops.lenetshift, f"predict_shifts_{name}").default
    for return_logits in (False, True):
        arguments = (make_images("dense", 2), [-1, 2], [0, 2], parameters, "tanh", return_logits)
        torch.library.opcheck(op, arguments)


PARAMETERS = [p.detach() for p in build_model("lenet5", seed=0).parameters()]
C5 = PARAMETERS[4]


def replaced(i: int, tensor: Tensor) -> list[Tensor]:
    return [*PARAMETERS[:i], tensor, *PARAMETERS[i + 1 :]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(2, 28, 28)}, "images: got float32 [2, 28, 28], expected uint8"),
        (
            {"images": torch.zeros(28, 28, dtype=torch.uint8)},
            "images: got uint8 [28, 28], expected uint8",
        ),
        ({"dx": [0, 0]}, "dx: got [0, 0], expected [first, stop)"),
        ({"dx": [0, 29]}, "dx: got [0, 29], expected [first, stop)"),
        ({"dy": [-28, 2]}, "dy: got [-28, 2], expected [first, stop)"),
        ({"dy": [1]}, "dy: got [1], expected [first, stop)"),
        ({"activation": "gelu"}, "activation: got 'gelu', expected 'tanh' or 'relu'"),
        ({"parameters": []}, "parameters: got 0 tensors, expected 10"),
        (
            {"parameters": replaced(2, torch.zeros(16, 6, 5, 5))},
            "parameters[2]: got shape [16, 6, 5, 5], expected [60, 5, 5]",
        ),
        ({"parameters": replaced(4, C5.double())}, "parameters[4]: got float64, expected float32"),
        ({"parameters": replaced(4, C5.T.contiguous().T)}, "parameters[4]: got a strided tensor"),
    ],
)
def test_bad_input(change: dict[str, object], message: str) -> None:
    arguments = {
        "images": make_images("dense", 2),
        "dx": [0, 1],
        "dy": [0, 1],
        "parameters": PARAMETERS,
        "activation": "tanh",
    } | change
    with refused(message):
        torch.ops.lenetshift.predict_shifts_lenet5(**arguments)
