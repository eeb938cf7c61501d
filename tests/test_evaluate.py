"""Predictions under every shift, of the package's models and of any other."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lenetshift.evaluate import predict_shifts
from lenetshift.models import MLP, MODEL_NAMES, build_model
from lenetshift.shifts import ShiftGrid

GRIDS = [
    ShiftGrid(),
    ShiftGrid(range(1), range(1)),
    ShiftGrid(range(-2, 1), range(3, 5)),
    ShiftGrid(range(24, 28), range(-27, -25)),  # empties nearly every image
]


def make_images(n: int) -> Tensor:
    """Random ink up to the frame, so that moves lose some."""
    generator = torch.Generator().manual_seed(n)
    images = torch.randint(0, 256, (n, 28, 28), dtype=torch.uint8, generator=generator)
    return images * (torch.rand(n, 28, 28, generator=generator) < 0.3)


def move(image: Tensor, dx: int, dy: int) -> Tensor:
    """One image moved, pixel by pixel of the border: the definition."""
    padded = torch.zeros(28 * 3, 28 * 3, dtype=image.dtype)
    padded[28 + dy : 56 + dy, 28 + dx : 56 + dx] = image
    return padded[28:56, 28:56]


def loop_logits(model: nn.Module, images: Tensor, grid: ShiftGrid, dtype: torch.dtype) -> Tensor:
    """Every pattern by itself, in the order of the prediction array."""
    with torch.no_grad():
        rows = [
            model(move(image, dx, dy).to(dtype).view(1, 1, 28, 28) / 255)[0]
            for image in images
            for dx, dy in grid.shifts().tolist()
        ]
    return torch.stack(rows).view(len(images), *grid.shape, -1)


class Foreign(nn.Module):
    """A small convnet whose answers depend on its mode, with ``k`` classes."""

    def __init__(self, k: int = 10) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 2, 5), nn.BatchNorm2d(2), nn.Dropout(0.9), nn.Flatten(), nn.Linear(1152, k)
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layers(x)
        return result


class Returns(nn.Module):
    """A model without parameters that answers with a given function of its input."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.answer(x)
        return result


def make_foreign(k: int = 10) -> Foreign:
    torch.manual_seed(0)
    return Foreign(k)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_the_packages_models_equal_a_loop(name: str, activation: str) -> None:
    model = build_model(name, activation, seed=1)
    images = make_images(3)
    for grid in GRIDS:
        expected = loop_logits(model, images, grid, torch.float32)
        predictions, logits = predict_shifts(model, images, grid, return_logits=True)
        assert predictions.dtype == torch.uint8
        assert predictions.shape == (3, *grid.shape)
        assert logits.dtype == torch.float32
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=2e-5)
        two = expected.topk(2).values
        clear = two[..., 0] - two[..., 1] > 1e-4
        assert clear.float().mean() > 0.9
        assert torch.equal(predictions[clear], expected.argmax(-1)[clear].to(torch.uint8))
        assert torch.equal(predict_shifts(model, images, grid), predictions)


@pytest.mark.parametrize("batch_size", [1, 7, 55, 1024])
def test_a_foreign_model_equals_a_loop(batch_size: int) -> None:
    model = make_foreign().eval()
    images = make_images(3)
    for grid in GRIDS:
        expected = loop_logits(model, images, grid, torch.float32)
        predictions, logits = predict_shifts(
            model, images, grid, batch_size=batch_size, return_logits=True
        )
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
        assert torch.equal(predictions, logits.argmax(-1).to(torch.uint8))
        assert not logits.is_inference()


def test_a_subclass_keeps_its_own_forward() -> None:
    class Negative(MLP):
        def forward(self, x: Tensor) -> Tensor:
            return -super().forward(x)

    torch.manual_seed(0)
    model, images = Negative(), make_images(2)
    expected = loop_logits(model, images, ShiftGrid(), torch.float32)
    _, logits = predict_shifts(model, images, return_logits=True)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_a_float64_model_is_run_in_float64() -> None:
    model = build_model("lenet5", seed=1).double()
    images = make_images(2)
    expected = loop_logits(model, images, GRIDS[2], torch.float64)
    _, logits = predict_shifts(model, images, GRIDS[2], return_logits=True)
    assert logits.dtype == torch.float64
    torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)


def test_a_foreign_model_is_left_as_it_was() -> None:
    model = make_foreign().train()
    model.layers[1].eval()  # a frozen batch norm
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random_state = torch.get_rng_state()
    predictions = predict_shifts(model, make_images(2))
    assert [layer.training for layer in model.layers] == [True, False, True, True, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(predict_shifts(model.eval(), make_images(2)), predictions)


def test_the_mode_is_restored_after_an_error() -> None:
    def fail(x: Tensor) -> Tensor:
        raise RuntimeError("by design")

    model = Returns(fail).train()
    with pytest.raises(RuntimeError, match="by design"):
        predict_shifts(model, make_images(1))
    assert model.training


def test_of_equal_outputs_the_first_wins() -> None:
    tie = torch.tensor([0.0, 2.0, 1.0, 2.0])
    predictions = predict_shifts(Returns(lambda x: tie.expand(len(x), 4)), make_images(2))
    assert predictions.unique().tolist() == [1]
    zero = build_model("mlp", seed=0)
    for parameter in zero.parameters():
        parameter.detach().zero_()
    assert predict_shifts(zero, make_images(2)).unique().tolist() == [0]


def test_as_many_as_256_classes() -> None:
    last = torch.eye(256)[255]
    predictions = predict_shifts(Returns(lambda x: last.expand(len(x), 256)), make_images(1))
    assert predictions.unique().tolist() == [255]


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_images_need_not_be_contiguous(name: str) -> None:
    model, images = build_model(name, seed=0), make_images(6)
    expected = predict_shifts(model, images[::2].contiguous())
    assert torch.equal(predict_shifts(model, images[::2]), expected)


@pytest.mark.parametrize("model", [build_model("lenet5", seed=0), make_foreign()])
def test_no_images(model: nn.Module) -> None:
    predictions, logits = predict_shifts(model, make_images(0), return_logits=True)
    assert predictions.shape == (0, 5, 11)
    assert predictions.dtype == torch.uint8
    assert logits.shape[:3] == (0, 5, 11)


@pytest.mark.parametrize(
    ("images", "got"),
    [
        (torch.zeros(2, 28, 28), r"float32 \[2, 28, 28\]"),
        (torch.zeros(28, 28, dtype=torch.uint8), r"uint8 \[28, 28\]"),
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), r"uint8 \[2, 1, 28, 28\]"),
        (torch.zeros(2, 32, 32, dtype=torch.uint8), r"uint8 \[2, 32, 32\]"),
        ([[0]], "list"),
    ],
)
@pytest.mark.parametrize("model", [build_model("mlp", seed=0), make_foreign()])
def test_bad_images_are_refused(model: nn.Module, images: Any, got: str) -> None:
    with pytest.raises(ValueError, match=rf"^images: got {got}, expected uint8 \[N, 28, 28\]$"):
        predict_shifts(model, images)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True, 2**31, 10**20])
def test_bad_batch_sizes_are_refused(batch_size: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^batch_size: got .*, expected an int in 1\.\.2147483647$"
    ):
        predict_shifts(make_foreign(), make_images(1), batch_size=batch_size)


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (lambda x: x.flatten(1), r"float32 \[55, 784\]"),
        (lambda x: x.flatten(1)[:, :0], r"float32 \[55, 0\]"),
        (lambda x: x, r"float32 \[55, 1, 28, 28\]"),
        (lambda x: x.flatten(1)[:5, :10], r"float32 \[5, 10\]"),
        (lambda x: (x,), "tuple"),
    ],
)
def test_bad_outputs_are_refused(answer: Any, got: str) -> None:
    expected = rf"^model: got output {got} for 55 images, expected \[55, K\] with K in 1\.\.256$"
    with pytest.raises(ValueError, match=expected):
        predict_shifts(Returns(answer), make_images(1))
