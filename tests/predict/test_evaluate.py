"""Predictions under every shift, of the package's models and of any other."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hand_loop import hand_loop, logits_by
from random_networks import Lambda
from torch import Tensor, nn

from lenetshift.models.build import MODEL_NAMES, build_model
from lenetshift.models.perceptrons import MLP
from lenetshift.predict.predict_shifts import predict_shifts
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


def make_foreign() -> nn.Module:
    """A small convnet whose answers depend on its mode."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 2, 5), nn.BatchNorm2d(2), nn.Dropout(0.9)),
        *(nn.Flatten(), nn.Linear(1152, 10)),
    )


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_the_packages_models_equal_a_loop(name: str, activation: str) -> None:
    model = build_model(name, activation, seed=1)
    images = make_images(3)
    for grid in GRIDS:
        expected = hand_loop(model, images, grid)
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
        expected = hand_loop(model, images, grid)
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
    expected, logits = hand_loop(model, images, GRIDS[0]), logits_by("auto", model, images)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_a_float64_model_is_run_in_float64() -> None:
    model = build_model("lenet5", seed=1).double()
    images = make_images(2)
    expected = hand_loop(model, images[:, None].double() / 255, GRIDS[2])
    logits = logits_by("auto", model, images, GRIDS[2])
    assert logits.dtype == torch.float64
    torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)


def test_the_mode_is_restored_after_an_error() -> None:
    def fail(x: Tensor) -> Tensor:
        raise RuntimeError("by design")

    model = Lambda(fail).train()
    with pytest.raises(RuntimeError, match="by design"):
        predict_shifts(model, make_images(1))
    assert model.training


def test_of_equal_outputs_the_first_wins() -> None:
    tie = torch.tensor([0.0, 2.0, 1.0, 2.0])
    predictions = predict_shifts(Lambda(lambda x: tie.expand(len(x), 4)), make_images(2))
    assert predictions.unique().tolist() == [1]
    zero = build_model("mlp", seed=0)
    for parameter in zero.parameters():
        parameter.detach().zero_()
    assert predict_shifts(zero, make_images(2)).unique().tolist() == [0]


@pytest.mark.parametrize(("k", "dtype"), [(256, torch.uint8), (257, torch.int32)])
def test_predictions_hold_as_many_classes_as_there_are(k: int, dtype: torch.dtype) -> None:
    last = torch.eye(k)[k - 1]
    predictions = predict_shifts(Lambda(lambda x: last.expand(len(x), k)), make_images(1))
    assert predictions.dtype == dtype
    assert predictions.unique().tolist() == [k - 1]


@pytest.mark.parametrize("method", ["shared", "plain"])
@pytest.mark.parametrize(
    ("fill", "crop", "grid"),
    [
        (0, None, ShiftGrid(range(-6, 9, 2), range(4, 7))),
        (40, None, ShiftGrid(range(-1, 2), range(-6, 7, 3))),
        ([10, 20, 250.5], None, ShiftGrid(range(-8, -1), range(1))),
        ("circular", None, ShiftGrid(range(-8, 9, 4), range(-6, 7, 3))),
        (0, (5, 6), ShiftGrid(range(-1, 2), range(-1, 2))),
        ("circular", (4, 9), ShiftGrid(range(1), range(-1, 3))),
    ],
)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_images_move_by_definition(
    method: str, fill: Any, crop: Any, grid: ShiftGrid, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 7, 9), dtype=torch.uint8, generator=generator)
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten()).double()
    exact = images.double()
    expected = hand_loop(model, exact, grid, fill=fill, crop=crop, transform=lambda x: x / 255)
    given, fill_given = images, fill
    if dtype != torch.uint8:
        given = images.double() / 255
        fill_given = fill if isinstance(fill, str) else (torch.tensor(fill) / 255).tolist()
    logits = logits_by(method, model, given, grid, fill=fill_given, crop=crop)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("method", ["shared", "plain"])
def test_a_crop_is_that_of_torchvision(method: str) -> None:
    """For all small sizes, unmoved and moved as far as the image allows. The network gives its pixels."""
    for n in range(2, 12):
        image = torch.arange(n * n, dtype=torch.float32).view(1, n, n) / n**2
        for h in range(1, n):
            w = n - h
            # torchvision.transforms.functional.center_crop
            top, left = round((n - h) / 2.0), round((n - w) / 2.0)
            grid = ShiftGrid(range(left + w - n, left + 1), range(top + h - n, top + 1))
            how = {"method": method, "crop": (h, w)}
            logits = logits_by(model=nn.Flatten(), images=image, grid=grid, **how)
            middle = image[0, top : top + h, left : left + w]
            assert torch.equal(logits[(0, *grid.index(0, 0))], middle.flatten()), (n, h)
            with pytest.raises(ValueError, match=r"^grid: got dy"):
                predict_shifts(
                    nn.Flatten(), image, ShiftGrid(range(1), range(top + 2)), crop=(h, w)
                )


def test_a_crop_rounds_half_to_even() -> None:
    image = torch.arange(31.0).view(1, 31, 1) / 31
    model = nn.Flatten()
    for seen, first in ((24, 4), (26, 2), (28, 2), (30, 0)):
        logits = logits_by("plain", model, image, ShiftGrid(range(1), range(1)), crop=(seen, 1))
        assert round(float(logits[0, 0, 0, 0]) * 31) == first


def test_arrays_of_any_layout_are_images() -> None:
    model = make_foreign()
    images = make_images(6)
    expected = predict_shifts(model, images)
    array = images.numpy()
    for given in (
        array,
        np.asfortranarray(array),
        np.stack([array, array], axis=-1)[..., 1],
        array[::-1][::-1],
        array[:, None],
        (array / 255).astype(np.float32),
        torch.stack([images, images], dim=-1)[..., 1],
    ):
        assert torch.equal(predict_shifts(model, given), expected)
    array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(predict_shifts(model, array), expected)


@pytest.mark.parametrize("method", ["shared", "plain"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_images_and_a_single_shift(method: str, n: int) -> None:
    model, images = make_foreign(), make_images(n)
    for grid in (ShiftGrid(range(2, 3), range(-1, 0)), ShiftGrid(range(-1, 2), range(1))):
        expected = hand_loop(model.eval(), images, grid)
        logits = logits_by(method, model, images, grid)
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


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
        (torch.zeros(28, 28, dtype=torch.uint8), r"uint8 \[28, 28\]"),
        (torch.zeros(2, 28, 28, dtype=torch.int64), r"int64 \[2, 28, 28\]"),
        (torch.zeros(2, 28, 28, dtype=torch.complex64), r"complex64 \[2, 28, 28\]"),
        (torch.zeros(1, 2, 1, 28, 28), r"float32 \[1, 2, 1, 28, 28\]"),
        (torch.zeros(2, 0, 28, 28), r"float32 \[2, 0, 28, 28\]"),
        (np.zeros((2, 28, 28), dtype=np.int16), r"int16 \[2, 28, 28\]"),
        (np.full((2, 28, 28), "a"), r"<U1 \[2, 28, 28\]"),
        ([[0]], "list"),
        (None, "NoneType"),
    ],
)
@pytest.mark.parametrize("model", [build_model("mlp", seed=0), make_foreign()])
def test_bad_images_are_refused(model: nn.Module, images: Any, got: str) -> None:
    expected = r"uint8 or floating \[N, H, W\] or \[N, C, H, W\], a dense tensor or an array"
    with pytest.raises(ValueError, match=rf"^images: got {got}, expected {expected}$"):
        predict_shifts(model, images)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_images_that_are_not_finite_are_refused(value: float) -> None:
    images = torch.zeros(2, 28, 28)
    images[1, 3, 4] = value
    with pytest.raises(
        ValueError, match=r"^images: got values from .* to .*, expected finite ones$"
    ):
        predict_shifts(make_foreign(), images)


BAD_VALUES = [
    ("crop", [(29, 3), 20, (0, 3)], "(height, width) within images of 28 x 28"),
    ("fill", [256, -0.5], "a number in 0..255, since the images are uint8"),
    (
        *("fill", [[1, 2], float("nan"), "black", None]),
        "a finite number, or one per channel, or 'circular'",
    ),
    ("method", ["quick"], "'auto' or 'fused' or 'shared' or 'rewritten' or 'plain'"),
    ("batch_size", [0, -1, 1.5, True, 2**31, 10**20], "an int in 1..2147483647"),
]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(
            ({name: value}, f"{name}: got {value!r}, expected {expected}")
            for name, values, expected in BAD_VALUES
            for value in values
        ),
        (
            {"grid": ShiftGrid(range(-28, 3))},
            "grid: got dx -28..2, expected it within -27..27 for images of 28 x 28",
        ),
        (
            {"grid": ShiftGrid(range(3), range(0, 40, 4))},
            "grid: got dy 0..36, expected it within -27..27 for images of 28 x 28",
        ),
        (
            {"crop": (25, 26)},
            "grid: got dy -2..2, expected it within -1..2 for images of 28 x 28 behind a crop of 25 x 26",
        ),
        ({"grid": [1, 2]}, "grid: got list, expected a ShiftGrid"),
        ({"transform": 3}, "transform: got int, expected a function, or None"),
        (
            {"transform": lambda x: x[..., :20], "batch_size": 16},
            "transform: got output float32 [16, 1, 28, 20] for 16 images, expected [16, C, 28, 28]",
        ),
        (
            {"transform": lambda x: 3, "batch_size": 16},
            "transform: got output int for 16 images, expected [16, C, 28, 28]",
        ),
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  the message is compared below
        predict_shifts(make_foreign(), make_images(2), **arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (lambda x: x.flatten(1)[:, :0], r"float32 \[\d+, 0\]"),
        (lambda x: x, r"float32 \[\d+, 1, 28, 28\]"),
        (lambda x: x.flatten(1)[:5, :10], r"float32 \[\d+, 10\]"),
        (lambda x: (x,), "tuple"),
        (lambda x: None, "NoneType"),
    ],
)
@pytest.mark.parametrize("method", ["auto", "plain"])
def test_bad_outputs_are_refused(method: str, answer: Any, got: str) -> None:
    expected = rf"^model: got output {got} for \d+ images, expected \[\d+, K\] with K >= 1$"
    with pytest.raises(ValueError, match=expected):
        predict_shifts(Lambda(answer), make_images(7), method=method)


def test_a_changing_number_of_classes_is_refused() -> None:
    calls = []

    def answer(x: Tensor) -> Tensor:
        calls.append(len(x))
        return torch.zeros(len(x), 3 + len(calls) // 4)

    expected = r"^model: got output float32 \[\d+, 4\] for \d+ images, expected \[\d+, 3\] as for the images "
    with pytest.raises(ValueError, match=expected):
        predict_shifts(Lambda(answer), make_images(20), method="plain")


def test_a_model_and_the_random_numbers_are_left_as_they_were() -> None:
    model = make_foreign().train()
    model[1].eval()  # a frozen batch norm
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random_state = torch.get_rng_state()
    predictions = predict_shifts(model, make_images(2))
    assert [layer.training for layer in model] == [True, False, True, True, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(predict_shifts(model.eval(), make_images(2)), predictions)
