"""What a model may be, and what it may return."""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import refused
from torch import Tensor, nn

import lenetshift
from lenetshift import ShiftEvaluator, ShiftGrid, predict_shifts

GRID = ShiftGrid(range(-1, 2), range(2))
IMAGES = torch.randint(0, 256, (5, 12, 12), dtype=torch.uint8)
IMAGES[0, 0, :2] = torch.tensor([0, 255])
Outputs = namedtuple("Outputs", "logits aux_logits")


class ModelOutput(OrderedDict[str, Any]):
    """Like Hugging Face's: keys are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Net(nn.Module):
    def __init__(self, form: Callable[[Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.form = form
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(),
            nn.Linear(512, 4),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Any:
        return self.form(self.layers(x))


EXPECTED = predict_shifts(Net(lambda x: x), IMAGES, GRID, return_logits=True)


def check(model: Any, method: str, used: str) -> None:
    answers = ShiftEvaluator(model, GRID, method=method).answer(IMAGES, return_logits=True)
    assert answers.method == used
    assert torch.equal(answers.predictions, EXPECTED[0])
    assert answers.logits is not None
    torch.testing.assert_close(answers.logits, EXPECTED[1])


@pytest.mark.parametrize(
    ("method", "used"), [("auto", "shared"), ("rewritten",) * 2, ("plain",) * 2]
)
@pytest.mark.parametrize(
    "form",
    [
        lambda x: ModelOutput(logits=x),
        lambda x: ModelOutput(loss=None, logits=x, hidden=(x,)),
        lambda x: {"logits": x, "features": x[:, :2]},
        lambda x: Outputs(x, None),
        lambda x: Outputs(x, x + 1),
        lambda x: (x,),
        lambda x: [x],
    ],
)
def test_logits_are_found(form: Callable[[Tensor], Any], method: str, used: str) -> None:
    check(Net(form), method, used)


@pytest.mark.parametrize(
    ("form", "got"),
    [
        (lambda x: (x, x), "tuple"),
        (lambda x: (), "tuple"),
        (lambda x: {"out": x}, "dict"),
        (lambda x: {"logits": None}, "dict"),
        (lambda x: ModelOutput(last=x), "ModelOutput"),
        (lambda x: {"logits": x[0]}, "float32 [4]"),
    ],
)
@pytest.mark.parametrize("method", ["auto", "plain"])
def test_what_could_mean_several_things_is_refused(form: Any, got: str, method: str) -> None:
    with refused(f"model: got output {got} for"):
        predict_shifts(Net(form), IMAGES, GRID, method=method)


class TestFunctions:
    @pytest.mark.parametrize("method", ["auto", "plain"])
    def test_give_what_their_module_gives(self, method: str) -> None:
        net = Net(lambda x: x).eval()
        used = "plain" if method == "plain" else "shared"
        for function in (
            lambda x: net(x),
            net.forward,
            functools.partial(lambda scale, x: net(scale * x), 1),
            lambda x: {"logits": net(x)},
        ):
            check(function, method, used)

    def test_of_numpy_go_the_plain_way(self) -> None:
        net = Net(lambda x: x).eval()

        @torch.no_grad()
        def function(x: Tensor) -> Tensor:
            return torch.from_numpy(net(torch.from_numpy(x.numpy())).numpy())

        check(function, "auto", "plain")

    def test_in_an_evaluation(self) -> None:
        labels = torch.zeros(5).long()
        net = Net(lambda x: x).eval()
        evaluation = lenetshift.evaluate_shifts(lambda x: net(x), IMAGES, labels, GRID)
        assert torch.equal(evaluation.predictions, EXPECTED[0])

    def test_are_left_in_their_mode(self) -> None:
        net = Net(lambda x: x).train()
        modes = []

        def function(x: Tensor) -> Tensor:
            modes.append(net.training)
            return x.flatten(1)[:, :4]

        predict_shifts(function, IMAGES, GRID)
        assert set(modes) == {True}

    @pytest.mark.parametrize(
        ("model", "complaint"),
        [
            (Net, "model: got type, expected a Module or a function, such as Net()"),
            ("net", "model: got str, expected a Module or a function"),
            (None, "model: got NoneType, expected a Module or a function"),
        ],
    )
    def test_what_is_neither(self, model: Any, complaint: str) -> None:
        with refused(complaint):
            predict_shifts(model, IMAGES, GRID)


UNIT = IMAGES[:, None] / 255
NORMALISED = (UNIT - 0.1307) / 0.3081
COLOUR = (torch.rand(5, 3, 12, 12) - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / 0.225
COLOUR[0, :, 0, 0] = torch.tensor([-0.485, -0.456, -0.406]) / 0.225
COLOUR[0, :, 0, 1] = torch.tensor([0.515, 0.544, 0.594]) / 0.225


def net(x: Tensor) -> Tensor:
    return x.flatten(1)[:, :4]


def all_warnings(work: Callable[[], Any]) -> list[str]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        work()
    assert {warning.filename for warning in seen} <= {__file__}
    return [str(warning.message) for warning in seen]


class TestOddRange:
    @pytest.mark.parametrize(
        ("images", "said"),
        [
            (
                NORMALISED,
                "images: got values in -0.4242..2.821, which look normalised: fill=0 is then not black but "
                "grey 33 of 255; normalise by transform=, or give fill=-0.4242",
            ),
            (
                COLOUR,
                "images: got values in -2.156..2.64, which look normalised: fill=0 is then not black but the "
                "colour (124, 116, 104) of 255; normalise by transform=, or give fill=(-2.156, -2.027, "
                "-1.804)",
            ),
            (
                255 * UNIT,
                "images: got floating-point values in 0..255, which the model gets as they are, expected "
                "0..1: only uint8 images are divided by 255; 0 is black",
            ),
        ],
    )
    def test_is_said_once(self, images: Tensor, said: str) -> None:
        labels = torch.zeros(5).long()
        batches = list(zip(images.split(2), labels.split(2), strict=True))
        assert all_warnings(lambda: predict_shifts(net, images, GRID)) == [said]
        assert all_warnings(lambda: lenetshift.evaluate_shifts(net, images, labels, GRID)) == [said]
        assert all_warnings(lambda: lenetshift.evaluate_shifts(net, batches, grid=GRID)) == [said]
        assert all_warnings(lambda: ShiftEvaluator(net, GRID).answer(images)) == [said]

    @pytest.mark.parametrize(
        ("images", "how"),
        [
            (IMAGES, {}),
            (UNIT, {}),
            (UNIT.double(), {"fill": 0.5}),
            (1.1 * UNIT - 0.05, {}),
            (UNIT[:0], {}),
            (NORMALISED, {"fill": -0.4242}),
            (NORMALISED, {"fill": "circular"}),
            (NORMALISED, {"crop": (6, 6)}),
            (torch.zeros(2, 12, 12), {}),
        ],
    )
    def test_is_no_false_alarm(self, images: Tensor, how: dict[str, Any]) -> None:
        assert all_warnings(lambda: predict_shifts(net, images, GRID, **how)) == []


def test_the_heading_names_the_fill() -> None:
    labels = torch.zeros(5).long()
    for how, end in (
        ({}, "fill 0"),
        ({"fill": 0.5}, "fill 0.5"),
        ({"fill": "circular"}, "fill circular"),
        ({"crop": (8, 9)}, "crop 8 x 9"),
    ):
        evaluation = lenetshift.evaluate_shifts(net, IMAGES, labels, GRID, **how)
        assert evaluation.heading()[0] == f"5 images, 6 shifts (dx -1..1, dy 0..1), {end}"


@pytest.mark.parametrize("shape", [(60, 32, 32, 3), (2, 28, 28, 1), (2, 8, 9, 4)])
def test_channels_last(shape: tuple[int, ...]) -> None:
    images, sizes = torch.zeros(shape, dtype=torch.uint8), str(list(shape))
    expected = f"images: got uint8 {sizes}, channels last, expected [N, C, H, W]: images."
    with refused(f"{expected}permute(0, 3, 1, 2) gives it"):
        predict_shifts(net, images)
    with refused(f"{expected}transpose(0, 3, 1, 2) gives it"):
        predict_shifts(net, images.numpy())


@pytest.mark.parametrize("shape", [(2, 3, 32, 3), (2, 7, 9, 4), (2, 9, 9, 5), (2, 3, 8, 8)])
def test_channels_first(shape: tuple[int, ...]) -> None:
    predict_shifts(net, torch.zeros(shape, dtype=torch.uint8), ShiftGrid(range(2), range(2)))
