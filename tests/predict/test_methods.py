"""Which method an evaluation uses, and why: how far features are shared, and what cannot be recorded."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import refused
from hand_loop import logits_by
from torch import Tensor, nn

from lenetshift import MLP, LeNet5, ShiftGrid
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.predict.shared import kernels, maps

GRID = ShiftGrid(range(-2, 3), range(-1, 2))
IMAGES = torch.rand(3, 2, 12, 12, generator=torch.Generator().manual_seed(0))


class Written(nn.Module):
    """A network with a given function between two convolutions."""

    def __init__(self, middle: Callable[[nn.Module, Tensor], Any], size: int = 8) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3)  # -> 10 x 10
        self.conv2 = nn.Conv2d(4, 4, 3)  # -> 8 x 8
        self.place = nn.Parameter(torch.rand(1, 4, 10, 10))
        self.squeeze = nn.Linear(4, 4)
        self.head = nn.Linear(4 * size * size, 3)
        self.middle = middle

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(self.middle(self, self.conv1(x)))
        return self.head(x.flatten(1))


def before_dense(*layers: nn.Module) -> nn.Sequential:
    """Layers for maps of 10 x 10 between a convolution and a dense layer."""
    body = nn.Sequential(nn.Conv2d(2, 4, 3), *layers)
    n = body.eval()(torch.zeros(1, 2, 12, 12)).numel()
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(n, 3))


def squeeze_and_excite(net: Any, x: Tensor) -> Tensor:
    return x * net.squeeze(x.mean((2, 3))).sigmoid()[:, :, None, None]


def polyphase(net: Any, x: Tensor) -> Tensor:
    """Adaptive polyphase sampling (Chaman and Dokmanić 2021): the phase of the largest norm."""
    phases = torch.stack([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], dim=1)
    best = phases.flatten(2).norm(dim=2).argmax(1)
    return torch.take_along_dim(phases, best[:, None, None, None, None], dim=1)[:, 0]


def filled_with_the_mean(net: Any, x: Tensor) -> Tensor:
    x[:, :, :1] = x.mean((2, 3), keepdim=True).expand(-1, -1, 1, 10)
    return x


def networks_that_end_sharing() -> dict[str, list[nn.Module]]:
    """The end of a reason -> networks whose first convolution shares, but not what follows."""
    return {
        "layer 1, which normalises over the whole window": [before_dense(nn.GroupNorm(2, 4))],
        "mul, which combines a map with numbers that differ from window to window": [SQUEEZED],
        "add, which combines a map with numbers that differ from place to place": [
            Written(lambda net, x: x + net.place)
        ],
        "layer 1, which reshapes the batch so that images merge": [before_dense(nn.Linear(10, 10))],
        "layer 1, which cannot be shared between windows": [
            before_dense(nn.ConvTranspose2d(4, 4, 2))
        ],
        "softmax, which works along the rows or columns of a window": [
            Written(lambda net, x: x.softmax(-1))
        ],
        "add, which combines maps of different sizes": [Written(lambda net, x: x + x[:, :, :1])],
        "copy, which combines a map with numbers that differ from window to window": [
            Written(filled_with_the_mean)
        ],
        "gather, which combines a map with numbers that differ from window to window": [
            Written(polyphase, 3)
        ],
    }


def networks_that_mix_images() -> dict[str, list[nn.Module]]:
    """The beginning of a reason -> the networks that it is given for."""
    return {
        "view mixes the images of the batch": [Written(lambda net, x: F.instance_norm(x))],
        "item computes a number from the pixels of all images": [
            Written(lambda net, x: x if x.mean() > 0 else -x),
            Written(lambda net, x: x / x.abs().max().item()),
        ],
        "mean mixes the images of the batch": [Written(lambda net, x: x - x.mean(0, keepdim=True))],
        "layer 1 normalises over the batch": [
            before_dense(nn.BatchNorm2d(4, track_running_stats=False))
        ],
    }


with torch.random.fork_rng():
    torch.manual_seed(0)
    SQUEEZED = Written(squeeze_and_excite)
    ENDS_SHARING, CANNOT_SHARE = (
        [(model, why) for why, models in networks.items() for model in models]
        for networks in (networks_that_end_sharing(), networks_that_mix_images())
    )
    SAVES_NOTHING = [
        (
            nn.Sequential(nn.Flatten(), nn.Linear(288, 5), nn.Tanh(), nn.Linear(5, 3)),
            "its convolutions have nothing that the shifts could share",
        ),
    ]


def without_lines(reason: str) -> str:
    """A reason without the line of code that it names."""
    return re.sub(r" \(test_methods\.py, line \d+\)", "", reason)


def test_the_reason_names_the_line_of_code() -> None:
    reason = ShiftEvaluator(SQUEEZED, GRID).answer(IMAGES).reason
    line = inspect.getsourcelines(squeeze_and_excite)[1] + 1
    assert f"as far as mul (test_methods.py, line {line}), which combines" in reason


@pytest.mark.parametrize(("model", "reason"), ENDS_SHARING)
@pytest.mark.parametrize("method", ["auto", "shared"])
def test_features_are_shared_as_far_as_possible(model: nn.Module, reason: str, method: str) -> None:
    model.eval()
    answers = ShiftEvaluator(model, GRID, method=method).answer(IMAGES, return_logits=True)
    assert answers.method == "shared"
    assert without_lines(answers.reason).endswith(f", as far as {reason}")
    plain = logits_by("plain", model, IMAGES, GRID)
    torch.testing.assert_close(answers.logits, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("model", "reason"), CANNOT_SHARE + SAVES_NOTHING)
def test_a_network_that_cannot_share_uses_the_plain_method_and_says_why(
    model: nn.Module, reason: str
) -> None:
    model.eval()
    answers = ShiftEvaluator(model, GRID).answer(IMAGES, return_logits=True)
    assert answers.method == "plain"
    assert without_lines(answers.reason).startswith(f"plain: {reason}")
    asked = ShiftEvaluator(model, GRID, method="plain").answer(IMAGES, return_logits=True)
    assert asked.reason == "plain: as requested"
    torch.testing.assert_close(answers.logits, asked.logits)


@pytest.mark.parametrize(("model", "reason"), CANNOT_SHARE)
def test_the_shared_method_is_refused_with_the_reason(model: nn.Module, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^method: got 'shared', but ") as error:
        ShiftEvaluator(model.eval(), GRID, method="shared").answer(IMAGES)
    assert without_lines(str(error.value)).startswith(f"method: got 'shared', but {reason}")
    assert "\n" not in str(error.value)


def test_answers_tell_the_number_of_classes() -> None:
    plain = before_dense(nn.Tanh()).eval()
    for method in ("shared", "plain"):
        evaluator = ShiftEvaluator(plain, GRID, method=method)
        assert evaluator.answer(IMAGES).n_classes == 3
    assert ShiftEvaluator(plain, GRID).answer(IMAGES[:0]).n_classes == 0
    digits = torch.zeros(2, 28, 28, dtype=torch.uint8)
    assert ShiftEvaluator(MLP(), GRID, method="fused").answer(digits).n_classes == 10


@pytest.mark.parametrize("hooked", ["model", "transform"])
def test_a_hook_sees_every_pattern(hooked: str) -> None:
    model, transform, seen = before_dense(nn.Tanh()).eval(), nn.Identity(), []
    layer = model[1] if hooked == "model" else transform
    layer.register_forward_hook(lambda module, args, output: seen.append(len(output)))
    answers = ShiftEvaluator(model, GRID, transform=transform).answer(IMAGES)
    assert answers.method == "plain"
    assert answers.reason == f"plain: the {hooked} has forward hooks, which must see every pattern"
    assert sum(seen) >= 3 * len(GRID)


def test_a_transform_is_part_of_the_network() -> None:
    model = before_dense(nn.Tanh()).eval()
    for transform in (nn.AvgPool2d(3, 1, padding=1), lambda x: x.clamp(0.2, 0.8)):
        answers = ShiftEvaluator(model, GRID, transform=transform).answer(IMAGES)
        assert answers.method == "shared"
    centred = ShiftEvaluator(model, GRID, transform=lambda x: x - x.mean((2, 3), True))
    answers = centred.answer(IMAGES)
    assert without_lines(answers.reason) == (
        "rewritten: sub combines a map with numbers that differ from window to window; "
        "channels last"
    )


def test_what_the_check_finds_wrong_is_reported_and_another_method_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def faulty(images: maps.Map, *args: Any, **settings: Any) -> maps.Map:
        out = maps.conv2d(images, *args, **settings)
        out.tensor[..., -1] += 1e-3  # the last column of the canvas: the leftmost shift alone
        return out

    model = before_dense(nn.Tanh()).eval()
    plain = ShiftEvaluator(model, GRID, method="plain").answer(IMAGES)
    monkeypatch.setattr(kernels, "conv2d", faulty)
    wrong = r"shared features give different answers: moved by \(dx, dy\) = \(-2, -?[01]\), logits"
    with pytest.warns(RuntimeWarning, match=wrong):
        answers = ShiftEvaluator(model, GRID).answer(IMAGES)
    assert answers.method == "rewritten"
    assert torch.equal(answers.predictions, plain.predictions)
    with pytest.raises(ValueError, match=f"^method: got 'shared', but {wrong}"):
        ShiftEvaluator(model, GRID, method="shared").answer(IMAGES)


def test_fused_ops_are_for_the_packages_models_and_images() -> None:
    model, digits = LeNet5(), torch.randint(0, 256, (2, 28, 28), dtype=torch.uint8)
    answers = ShiftEvaluator(model, GRID).answer(digits)
    assert (answers.method, answers.reason) == ("fused", "fused: LeNet5 has its own op")
    for obstacle, network, images, settings in [
        ("only an unchanged float32 LeNet5, MLP, ", before_dense(), IMAGES, {}),
        ("a fused op takes no crop, and no fill but 0", model, digits, {"fill": 1}),
        ("a fused op takes no crop", model, digits, {"crop": (20, 20)}),
        ("a fused op takes no transform", model, digits, {"transform": torch.neg}),
        (
            "a fused op takes uint8 images of 28 x 28, not float32 [2, 28, 28]",
            *(model, digits / 255, {}),
        ),
    ]:
        with refused(f"method: got 'fused', but {obstacle}"):
            ShiftEvaluator(network, GRID, method="fused", **settings).answer(images)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_packages_models_take_every_method(dtype: torch.dtype) -> None:
    model = LeNet5().to(dtype)
    digits = torch.zeros(4, 28, 28, dtype=torch.uint8)
    digits[:, 2:26, 1:25] = torch.randint(0, 256, (4, 24, 24), dtype=torch.uint8)
    grid = ShiftGrid(range(-6, 7, 3), range(-4, 3, 2))
    methods = ("shared", "fused") if dtype == torch.float32 else ("shared",)
    plain = logits_by("plain", model, digits, grid)
    for method in methods:
        got = logits_by(method, model, digits, grid)
        torch.testing.assert_close(got, plain, rtol=1e-4, atol=1e-5)
    assert ShiftEvaluator(MLP().to(dtype), grid, method="shared").answer(digits).method == "shared"
