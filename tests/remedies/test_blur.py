"""Blurred subsampling against Zhang's definition, written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hand_loop import hand_loop, logits_by
from torch import nn

from lenetshift import ShiftGrid
from lenetshift.checks.errors import ArgumentError
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.remedies import BlurPool2d, MaxBlurPool2d

NUMPY_MODES = {"reflect": "reflect", "zeros": "constant", "circular": "wrap"}
ROWS = {2: [1, 1], 3: [1, 2, 1], 4: [1, 3, 3, 1], 5: [1, 4, 6, 4, 1], 6: [1, 5, 10, 10, 5, 1]}
ROWS[7] = [1, 6, 15, 20, 15, 6, 1]


def by_definition(maps: torch.Tensor, kernel: int, stride: tuple[int, int], mode: str):
    """Every result is a sum over a padded map; float64."""
    values = maps.double().numpy()
    if mode != "none":
        around = ((kernel - 1) // 2, kernel // 2)
        values = np.pad(values, ((0, 0), (0, 0), around, around), mode=NUMPY_MODES[mode])
    taps = np.array(ROWS[kernel]) / sum(ROWS[kernel])
    filters = np.outer(taps, taps)
    rows, columns = (
        range(0, n - kernel + 1, step) for n, step in zip(values.shape[2:], stride, strict=True)
    )
    results = [
        [(values[:, :, y : y + kernel, x : x + kernel] * filters).sum((2, 3)) for x in columns]
        for y in rows
    ]
    return torch.from_numpy(np.array(results)).permute(2, 3, 0, 1)


@pytest.mark.parametrize("kernel", range(2, 8))
@pytest.mark.parametrize("mode", ["reflect", "zeros", "circular", "none"])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 1)])
def test_values(kernel: int, mode: str, stride: tuple[int, int]) -> None:
    for size in [(7, 8), (12, 9)]:
        maps = torch.randn(2, 3, *size, dtype=torch.float64)
        pool = BlurPool2d(kernel, stride, mode).double()
        expected = by_definition(maps, kernel, stride, mode)
        torch.testing.assert_close(pool(maps), expected)
        torch.testing.assert_close(pool(maps[0]), expected[0])
        torch.testing.assert_close(pool.float()(maps.float()), expected.float())


@pytest.mark.parametrize("mode", ["reflect", "zeros", "circular"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3)])
def test_maps_that_are_smaller_than_the_padding(mode: str, size: tuple[int, int]) -> None:
    maps = torch.randn(1, 2, *size, dtype=torch.float64)
    torch.testing.assert_close(
        BlurPool2d(7, 2, mode).double()(maps), by_definition(maps, 7, (2, 2), mode)
    )


@pytest.mark.parametrize("mode", ["reflect", "circular", "none"])
def test_a_constant_stays_and_stripes_go(mode: str) -> None:
    pool = BlurPool2d(3, 2, mode)
    assert torch.equal(pool(torch.full((1, 2, 8, 8), 5.0)).unique(), torch.tensor([5.0]))
    stripes = torch.tensor([1.0, -1.0]).repeat(1, 1, 8, 4)
    assert torch.equal(pool(stripes).unique(), torch.tensor([0.0]))


def test_shapes_are_those_of_the_subsampling() -> None:
    for size in range(1, 12):
        for stride in (1, 2, 3, 4):
            maps = torch.randn(1, 1, size, size)
            expected = maps[..., ::stride, ::stride].shape
            assert BlurPool2d(5, stride).forward(maps).shape == expected


def test_it_has_no_weights_and_keeps_dtype() -> None:
    pool = nn.Sequential(BlurPool2d(), MaxBlurPool2d())
    assert not pool.state_dict()
    assert not list(pool.parameters())
    assert pool.half()(torch.ones(1, 1, 8, 8).half()).dtype == torch.float16
    assert torch.equal(
        pool.bfloat16()(torch.ones(1, 1, 8, 8).bfloat16()).unique(), torch.tensor([1.0]).bfloat16()
    )


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (3, 3), (2, 3), ((3, 2), (2, 1))])
def test_max_blur(padding: int, ceil_mode: bool, kernel, stride) -> None:
    """Max pooling at every place, then the blur; the shape is that of max pooling with the stride."""
    for size in [(7, 8), (9, 6), (10, 11)]:
        maps = torch.randn(2, 3, *size, dtype=torch.float64)
        pool = MaxBlurPool2d(kernel, stride, padding, ceil_mode=ceil_mode, blur_size=5).double()
        result = pool(maps)
        assert result.shape == F.max_pool2d(maps, kernel, stride, padding, 1, ceil_mode).shape
        assert result.isfinite().all()
        if not ceil_mode:
            dense = F.max_pool2d(maps, kernel, 1, padding)
            pair = stride if isinstance(stride, tuple) else (stride, stride)
            torch.testing.assert_close(result, by_definition(dense, 5, pair, "reflect"))


def test_ceil_mode_adds_the_windows_at_the_end() -> None:
    maps = torch.arange(25.0, dtype=torch.float64).view(1, 1, 5, 5)
    dense = F.max_pool2d(F.pad(maps, (0, 1, 0, 1), value=-math.inf), 2, 1)
    pool = MaxBlurPool2d(2, ceil_mode=True).double()
    torch.testing.assert_close(pool(maps), by_definition(dense, 3, (2, 2), "reflect"))


def test_max_blur_in_zhangs_example() -> None:
    """Figure 3 of the paper: the result and that of the moved row differ less than max pooling's."""
    row = torch.tensor([0.0, 0, 1, 1, 0, 0, 1, 1]).repeat(1, 1, 4, 1)
    blurred = MaxBlurPool2d(2, padding_mode="circular")
    dense = F.max_pool2d(F.pad(row, (0, 1, 0, 0), mode="circular"), (1, 2), 1)
    assert dense[0, 0, 0].tolist() == [0, 1, 1, 1, 0, 1, 1, 1]
    assert blurred.blur(dense)[0, 0, 0].tolist() == [0.5, 1, 0.5, 1]
    assert blurred.blur(dense.roll(-1, 3))[0, 0, 0].tolist() == [0.75, 0.75, 0.75, 0.75]


def test_circular_shifts_by_the_stride_move_the_result() -> None:
    maps = torch.randn(1, 2, 12, 12)
    pool = BlurPool2d(4, 3, "circular")
    moved = pool(maps.roll((3, 6), (2, 3)))
    torch.testing.assert_close(moved, pool(maps).roll((1, 2), (2, 3)))


@pytest.mark.parametrize("mode", ["reflect", "zeros", "circular", "none"])
def test_features_are_shared(mode: str) -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), MaxBlurPool2d(2, padding_mode=mode),
        nn.Conv2d(4, 6, 3), nn.ReLU(), BlurPool2d(4, 2, mode), nn.Flatten(), nn.LazyLinear(5),
    ).eval()  # fmt: skip
    images, grid = torch.rand(4, 1, 24, 24), ShiftGrid(range(-2, 3), range(-1, 2))
    net(images)
    answers = ShiftEvaluator(net, grid, method="shared").answer(images, return_logits=True)
    assert answers.reason.startswith("shared: all 15 windows of a 26 x 28 canvas at once")
    assert "as far as" not in answers.reason
    torch.testing.assert_close(answers.logits, hand_loop(net, images, grid), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        logits_by("plain", net, images, grid), answers.logits, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BlurPool2d(1), "kernel_size: got 1, expected an int in 2..7"),
        (lambda: BlurPool2d(8), "kernel_size: got 8, expected an int in 2..7"),
        (lambda: BlurPool2d(3, 0), "stride: got 0, expected an int of 1 or more"),
        (lambda: BlurPool2d(3, (1, 2, 3)), r"stride: got \(1, 2, 3\), expected an int, or a pair"),
        (lambda: BlurPool2d(3, 2, "edge"), "padding_mode: got 'edge', expected 'reflect' or"),
        (lambda: MaxBlurPool2d(blur_size=9), "blur_size: got 9, expected an int in 2..7"),
        (lambda: MaxBlurPool2d(2, padding=2), "padding: got 2, expected at most half of kernel_"),
        (lambda: MaxBlurPool2d(2, ceil_mode=1), "ceil_mode: got int, expected True or False"),
        (lambda: BlurPool2d()(torch.zeros(3, 3)), r"maps: got float32 \[3, 3\], expected a tensor"),
        (
            lambda: BlurPool2d(5, 2, "none")(torch.zeros(1, 1, 4, 9)),
            "maps: got 4 x 9, expected 5 x 5 or more",
        ),
    ],
)
def test_errors_are_one_line(make, message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
