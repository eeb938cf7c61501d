"""Adaptive polyphase sampling: its definition, and its exact property under circular shifts."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hand_loop import hand_loop
from torch import nn

from lenetshift import ShiftGrid
from lenetshift.checks.errors import ArgumentError
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.remedies import AdaptivePolyphaseSample2d


def by_definition(maps: torch.Tensor, stride: int, p: float) -> torch.Tensor:
    """The component with the largest norm, image by image."""
    results = []
    for image in maps:
        parts = [image[:, i::stride, j::stride] for i in range(stride) for j in range(stride)]
        norms = [
            part.abs().max() if p == math.inf else (part.abs() ** p).sum() ** (1 / p)
            for part in parts
        ]
        results.append(parts[int(torch.stack(norms).argmax())])
    return torch.stack(results)


@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_values(stride: int, p: float) -> None:
    maps = torch.randn(20, 3, 12, 6, dtype=torch.float64)
    sample = AdaptivePolyphaseSample2d(stride, p)
    assert torch.equal(sample(maps), by_definition(maps, stride, p))
    assert len(sample.chosen(maps).unique()) > 2  # every kind of choice was tried


def whole_numbers(n: int, *shape: int) -> torch.Tensor:
    """Random maps whose norms are computed without rounding."""
    return torch.randint(-9, 10, (n, *shape)).float()


@pytest.mark.parametrize("stride", [2, 3])
def test_circular_shifts_shift_the_result(stride: int) -> None:
    """Equal except for a circular shift; equal after a global average (Chaman and Dokmanić, section 4)."""
    maps = whole_numbers(8, 4, 12, 12)
    sample = AdaptivePolyphaseSample2d(stride)
    result = sample(maps)
    for dy in range(-3, 4):
        for dx in range(-3, 4):
            moved = sample(maps.roll((dy, dx), (2, 3)))
            assert torch.equal(moved.mean((2, 3)), result.mean((2, 3)))
            for image, other in zip(moved, result, strict=True):
                steps = [(y, x) for y in range(12 // stride) for x in range(12 // stride)]
                assert any(torch.equal(image, other.roll(step, (1, 2))) for step in steps)


def test_ordinary_subsampling_has_no_such_property() -> None:
    maps = whole_numbers(8, 4, 12, 12)
    assert not torch.equal(
        maps[..., ::2, ::2].mean((2, 3)), maps.roll(1, 3)[..., ::2, ::2].mean((2, 3))
    )


def network() -> nn.Module:
    """Invariant to circular shifts: circular padding, APS, a global average."""
    conv = {"padding": 1, "padding_mode": "circular"}
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, **conv), nn.ReLU(), AdaptivePolyphaseSample2d(),
        nn.Conv2d(4, 6, 3, **conv), nn.ReLU(), AdaptivePolyphaseSample2d(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5),
    ).eval()  # fmt: skip


def test_a_network_that_is_invariant_to_circular_shifts() -> None:
    images, net = torch.rand(5, 1, 16, 16, dtype=torch.float64), network().double()
    logits = hand_loop(net, images, ShiftGrid(), fill="circular")
    torch.testing.assert_close(logits, logits[:, :1, :1].expand_as(logits))


def test_features_are_shared_as_far_as_the_choice() -> None:
    images, grid = torch.rand(5, 1, 16, 16), ShiftGrid(range(-2, 3), range(-1, 2))
    net = network()
    for method in ("shared", "auto"):
        evaluator = ShiftEvaluator(net, grid, method=method)
        answers = evaluator.answer(images, return_logits=True)
        torch.testing.assert_close(answers.logits, hand_loop(net, images, grid))
        assert method == "auto" or answers.reason.startswith("shared: all 15 windows of")


def test_odd_sizes_are_padded_circularly() -> None:
    maps = torch.randn(6, 2, 7, 9)
    padded = F.pad(maps, (0, 1, 0, 1), mode="circular")
    assert torch.equal(AdaptivePolyphaseSample2d()(maps), by_definition(padded, 2, 2))
    tiny = torch.randn(2, 3, 1, 2)
    assert AdaptivePolyphaseSample2d(3)(tiny).shape == (2, 3, 1, 1)


def test_two_branches_take_the_same_component() -> None:
    maps, other = torch.randn(6, 2, 8, 8), torch.randn(6, 5, 8, 8)
    sample = AdaptivePolyphaseSample2d()
    chosen = sample.chosen(maps)
    assert torch.equal(sample(maps, chosen), sample(maps))
    expected = [o[:, c // 2 :: 2, c % 2 :: 2] for o, c in zip(other, chosen, strict=True)]
    assert torch.equal(sample(other, chosen), torch.stack(expected))


def test_gradients_reach_the_chosen_values_alone() -> None:
    maps = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    sample = AdaptivePolyphaseSample2d()
    sample(maps).sum().backward()
    assert torch.equal(sample(maps.grad), torch.ones(2, 3, 2, 2, dtype=torch.float64))
    assert maps.grad.sum() == 24
    assert torch.autograd.gradcheck(sample, maps)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdaptivePolyphaseSample2d(1), "stride: got 1, expected an int of 2 or more"),
        (lambda: AdaptivePolyphaseSample2d(2, 0), "p: got 0, expected a positive number, or inf"),
        (lambda: AdaptivePolyphaseSample2d(2, math.nan), "p: got nan, expected a positive number"),
        (
            lambda: AdaptivePolyphaseSample2d()(torch.zeros(1, 4, 4)),
            r"maps: got float32 \[1, 4, 4\], expected floating \[N, C, H, W\]",
        ),
        (
            lambda: AdaptivePolyphaseSample2d()(torch.zeros(2, 1, 4, 4), torch.zeros(3).long()),
            r"component: got int64 \[3\], expected int64 \[2\]",
        ),
    ],
)
def test_errors_are_one_line(make, message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
