"""The mean answer over shifts, with shared features and without, against a loop written out."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hand_loop import hand_loop
from torch import nn

from lenetshift import ShiftGrid, build_model, evaluate_shifts, predict_shifts
from lenetshift.checks.errors import ArgumentError
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.remedies import ShiftAveraged

GRID = ShiftGrid(range(-2, 3), range(-1, 2))


def network(padding: int = 0) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=padding), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=padding), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(5),
    )  # fmt: skip


class Offset(nn.Module):
    """Has a tensor that is neither a parameter nor a buffer, and other attributes of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.offset, self.act = torch.zeros(()), torch.relu
        small, large = [torch.ones(())], [torch.full((), 9.0)]
        self.d = {"k": 1, "array": np.ones(1), "deep": large, "small": small, "again": small}

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        scale = self.d["k"] * self.d["array"].item() * self.d["again"][0]
        return self.act(logits) * scale + self.offset + self.d["deep"][0]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 1, 20, 20)


@pytest.fixture
def net(images: torch.Tensor) -> nn.Module:
    made = network()
    made(images)
    return made.eval()


def mean_by_hand(net: nn.Module, images: torch.Tensor, fill=0) -> torch.Tensor:
    return hand_loop(net, images, GRID, fill=fill).mean((1, 2))


@pytest.mark.parametrize("fill", [0, 0.25, "circular"])
def test_both_ways_give_the_mean(net: nn.Module, images: torch.Tensor, fill) -> None:
    averaged = ShiftAveraged(net, GRID, fill=fill).eval()
    expected = mean_by_hand(net, images, fill)
    with torch.no_grad():
        torch.testing.assert_close(averaged(images), expected, atol=1e-5, rtol=1e-5)
    assert averaged._kept is not None
    with_gradient = averaged(images)
    assert with_gradient.requires_grad
    torch.testing.assert_close(with_gradient, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("padding", [0, 1])
def test_answers_are_shared(images: torch.Tensor, padding: int) -> None:
    net = network(padding)
    net(images)
    averaged = ShiftAveraged(net, GRID).eval()
    with torch.inference_mode():
        averaged(images)
    _, evaluator = averaged._kept
    assert evaluator.answer(images).reason.startswith("shared: all 15 windows")


def test_colours_and_a_fill_for_each() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 5)).eval()
    images, fill = torch.rand(4, 3, 10, 10), [0.5, 0.25, 1]
    averaged = ShiftAveraged(net, GRID, fill=fill).eval()
    fill[0] = 7  # has no effect
    expected = mean_by_hand(net, images, [0.5, 0.25, 1])
    with torch.no_grad():
        torch.testing.assert_close(averaged(images), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(averaged(images), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("gradients", [True, False])
def test_a_models_input_has_any_range(net: nn.Module, images: torch.Tensor, gradients) -> None:
    averaged = ShiftAveraged(net, GRID).eval()
    with torch.set_grad_enabled(gradients):
        for given in (4 * images - 2, 255 * images):
            averaged(given)
        images[1, 0, 9, 9] = torch.nan
        images[2, 0, 9, 9] = torch.inf
        logits = averaged(images)
    assert logits[1].isnan().all()
    assert not logits[2].isfinite().all()
    finite = [0, 3, 4, 5]
    expected = mean_by_hand(net, images[finite])
    torch.testing.assert_close(logits[finite], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_logits_in_an_output(net: nn.Module, images, gradients: bool, training: bool) -> None:
    class WithLogits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"logits": self.net(images)}

    averaged = ShiftAveraged(WithLogits(), GRID).train(training)
    net.eval()
    with torch.set_grad_enabled(gradients):
        result = averaged(images)
    torch.testing.assert_close(result, mean_by_hand(net, images), atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_the_mean(net: nn.Module, images: torch.Tensor) -> None:
    averaged = ShiftAveraged(net, GRID).eval()
    averaged(images).square().sum().backward()
    found = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    moved = torch.ops.lenetshift.translate(images, GRID.shifts())
    net(moved.flatten(0, 1)).view(6, 15, 5).mean(1).square().sum().backward()
    for grad, p in zip(found, net.parameters(), strict=True):
        torch.testing.assert_close(grad, p.grad, atol=1e-4, rtol=1e-4)


def test_training_mode_runs_the_network_once_for_each_shift(images: torch.Tensor) -> None:
    net = network()
    net(images)
    other = copy.deepcopy(net)
    averaged = ShiftAveraged(net, GRID).train()
    with torch.no_grad():
        result = averaged(images)
    assert averaged._kept is None
    moved = torch.ops.lenetshift.translate(images, GRID.shifts())
    expected = torch.stack([other(moved[:, k]) for k in range(len(GRID))]).mean(0)
    torch.testing.assert_close(result, expected)
    assert net[1].num_batches_tracked == 1 + len(GRID)


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net[0].weight.data.mul_(2),
        lambda net: net[1].running_mean.add_(1),
        lambda net: net[1].weight.data.fill_(3),
        lambda net: setattr(net[2], "inplace", True) or net[4].weight.data.neg_(),
        lambda net: setattr(net, "2", nn.Tanh()),
        lambda net: setattr(net[1], "eps", 1.0),
        lambda net: net[3].kernel_size.__setitem__(0, 1),
        lambda net: net[9].offset.add_(2),
        lambda net: net[4].register_forward_hook(lambda module, given, output: 100 * output),
        lambda net: net[4].register_forward_pre_hook(lambda module, given: (given[0] + 1,)),
        lambda net: setattr(net[9], "act", torch.tanh),
        lambda net: net[9].d.__setitem__("k", 5),
        lambda net: net[9].d["deep"][0].add_(1),
        lambda net: net[9].d["array"].__setitem__(0, 3),
        lambda net: net[9].d.__setitem__("again", net[9].d["deep"]),
        lambda net: setattr(net[1], "forward", lambda maps: maps * 3),
    ],
)
def test_changes_of_the_network_are_seen(net: nn.Module, images: torch.Tensor, change) -> None:
    net[3].kernel_size = [2, 2]
    net.append(Offset())
    averaged = ShiftAveraged(net, GRID).eval()
    with torch.no_grad():
        before = averaged(images)
        change(net)
        after = averaged(images)
    torch.testing.assert_close(after, mean_by_hand(net, images), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(after, before)


def test_nothing_is_made_anew_without_a_change(net: nn.Module, images: torch.Tensor) -> None:
    averaged = ShiftAveraged(net, GRID).eval()
    with torch.no_grad():
        averaged(images)
        first = averaged._kept
        averaged.train().eval()
        averaged(images[:3])
    assert averaged._kept is first


def test_it_is_evaluated_like_any_model(net: nn.Module, images: torch.Tensor) -> None:
    """Its shifts of shifted images lose what the first shift lost: moved twice, not by the sum."""
    averaged, outer = ShiftAveraged(net, GRID), ShiftGrid(range(-1, 2), range(2))
    pictures = (images * 255).byte()
    labels = torch.arange(6) % 5
    evaluation = evaluate_shifts(averaged, pictures, labels, outer, return_logits=True)
    moved = torch.ops.lenetshift.translate(pictures[:, 0], outer.shifts())
    expected = mean_by_hand(net, moved.flatten(0, 1)).view(6, 2, 3, 5)
    torch.testing.assert_close(evaluation.logits, expected, atol=1e-5, rtol=1e-5)
    assert (
        evaluation.reason
        == "plain: ShiftAveraged moves its images and shares their features by itself"
    )
    with pytest.raises(
        ValueError, match="method: got 'shared', but ShiftAveraged moves its images"
    ):
        predict_shifts(averaged, pictures, outer, method="shared")


def test_one_of_the_packages_models_within_a_transform() -> None:
    model = build_model("lenet5", seed=1)
    images = torch.rand(5, 1, 28, 28)
    averaged = nn.Sequential(nn.Identity(), ShiftAveraged(model, GRID)).eval()
    with torch.no_grad():
        result = averaged(images)
    torch.testing.assert_close(result, mean_by_hand(model, images), atol=1e-5, rtol=1e-5)
    assert ShiftEvaluator(averaged, GRID).answer(images).method == "plain"


def test_dtypes_batches_and_no_images(net: nn.Module, images: torch.Tensor) -> None:
    averaged = ShiftAveraged(net, GRID).eval()
    with torch.no_grad():
        torch.testing.assert_close(averaged(images[:1]), averaged(images)[:1], atol=1e-5, rtol=1e-5)
        assert averaged(images[:0]).shape == (0, 5)
        doubled = averaged.double()(images.double())
        assert doubled.dtype == torch.float64
        torch.testing.assert_close(doubled, mean_by_hand(net, images.double()))
        half = averaged.bfloat16()(images.bfloat16())
        assert half.dtype == torch.bfloat16


def test_it_is_copied_and_stored_without_what_it_keeps(net: nn.Module, images) -> None:
    averaged = ShiftAveraged(net, GRID).eval()
    with torch.no_grad():
        expected = averaged(images)
        for other in (copy.deepcopy(averaged), pickle.loads(pickle.dumps(averaged))):
            assert other._kept is None
            torch.testing.assert_close(other(images), expected)
    assert list(averaged.state_dict()) == [f"model.{key}" for key in net.state_dict()]


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "run",
    [
        lambda net, images: torch.func.vmap(lambda image: net(image[None])[0])(images),
        lambda net, images: torch.export.export(net, (images,)).module()(images),
        lambda net, images: torch.jit.trace(net, images, check_trace=False)(images),
    ],
    ids=["vmap", "export", "trace"],
)
def test_other_programs_see_the_plain_way(net: nn.Module, images: torch.Tensor, run) -> None:
    averaged = ShiftAveraged(net, GRID).eval()
    with torch.no_grad():
        result = run(averaged, images)
    assert averaged._kept is None
    torch.testing.assert_close(result, mean_by_hand(net, images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda net: ShiftAveraged(3, GRID), "model: got int, expected a Module"),
        (lambda net: ShiftAveraged(net, 5), "grid: got int, expected a ShiftGrid"),
        (lambda net: ShiftAveraged(net, GRID, fill="grey"), "fill: got 'grey', expected a finite"),
        (
            lambda net: ShiftAveraged(net, GRID)(torch.zeros(1, 20, 20).byte()),
            r"images: got uint8 \[1, 20, 20\], expected floating \[N, C, H, W\]",
        ),
        (
            lambda net: ShiftAveraged(net, ShiftGrid(range(-30, 1)))(torch.zeros(1, 1, 20, 20)),
            "grid: got dx -30..0, expected it within -19..19 for images of 20 x 20",
        ),
        (
            lambda net: ShiftAveraged(net, GRID, fill=[1, 2])(torch.zeros(1, 1, 20, 20)),
            r"fill: got \[1, 2\], expected a finite number, or one per channel",
        ),
    ],
)
@pytest.mark.parametrize("gradients", [True, False])
def test_errors_are_one_line(net: nn.Module, make, message: str, gradients: bool) -> None:
    with torch.set_grad_enabled(gradients), pytest.raises(ArgumentError, match=message) as caught:
        make(net.eval())
    assert "\n" not in str(caught.value)
