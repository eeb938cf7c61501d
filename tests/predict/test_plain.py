"""The plain method: batches of one size, in PyTorch's default layout, for all images."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from hand_loop import logits_by
from random_networks import Lambda
from torch import Tensor, nn

from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.predict.plain import default_batch_size
from lenetshift.shifts import ShiftGrid

CPU = torch.device("cpu")


class Noting(nn.Module):
    """Notes the batches that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(784, 10)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.clone())
        return self.out(x.flatten(1))


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (7, 28, 28), dtype=torch.uint8)


@pytest.mark.parametrize("batch_size", [1, 3, 64, 100, 385, 1000, None])
def test_all_batches_have_one_size_and_hold_every_pattern_in_order(
    batch_size: int | None, images: Tensor
) -> None:
    model, grid = Noting(), ShiftGrid()
    answers = ShiftEvaluator(model, grid, method="plain", batch_size=batch_size).answer(
        images, return_logits=True
    )
    size = batch_size or default_batch_size((1, 28, 28), torch.float32, CPU)
    assert {len(batch) for batch in model.seen} == {size}
    assert len(model.seen) == -(-7 * 55 // size)
    moved = torch.ops.lenetshift.translate(images, grid.shifts())
    seen, expected = torch.cat(model.seen), moved.flatten(0, 1).unsqueeze(1) / 255
    assert torch.equal(seen[: 7 * 55], expected)
    last = expected[7 * 55 // size * size :]
    filled = seen[7 * 55 :]
    assert torch.equal(filled, last[torch.arange(len(last), len(last) + len(filled)) % len(last)])
    assert answers.logits is not None
    torch.testing.assert_close(answers.logits.flatten(0, 2), model(expected))


@pytest.mark.parametrize(
    ("settings", "grid"),
    [
        ({}, ShiftGrid(range(2), range(1))),
        ({"fill": 0.5}, ShiftGrid(range(2), range(1))),
        ({"fill": "circular"}, ShiftGrid(range(1), range(2))),
        ({"crop": (28, 20)}, ShiftGrid(range(2), range(1))),
        ({"crop": (20, 28)}, ShiftGrid(range(1), range(2))),
    ],
)
@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_batches_are_contiguous_and_nothing_surrounds_the_call(
    settings: dict[str, Any], grid: ShiftGrid, channels: int | None, dtype: torch.dtype
) -> None:
    """With one channel a tensor in channels_last is contiguous, too, but not to a convolution."""
    shape = (3, 28, 28) if channels is None else (3, channels, 28, 28)
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    images = images if dtype == torch.uint8 else (images / 255).to(dtype)
    if channels:
        images = images.contiguous(memory_format=torch.channels_last)
    seen, c = Layout(), channels or 1
    ShiftEvaluator(seen, grid, method="plain", **settings).answer(images)
    h, w = settings.get("crop", (28, 28))
    assert seen.layout == ((c * h * w, h * w, w, 1), False, False)


class Layout(nn.Module):
    """Notes the memory layout of a batch, and the modes in which it arrives."""

    def forward(self, x: Tensor) -> Tensor:
        self.layout = (x.stride(), x.is_inference(), torch.is_grad_enabled())
        return x.flatten(1)[:, :5]


def test_the_batch_size_follows_from_shape_and_dtype() -> None:
    sizes = [
        default_batch_size((1, n, n), torch.float32, CPU) for n in (8, 28, 32, 64, 96, 224, 512)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert all(size & (size - 1) == 0 for size in sizes)
    double = default_batch_size((1, 64, 64), torch.float64, CPU)
    assert 2 * double == default_batch_size((1, 64, 64), torch.float32, CPU)


def dense_and_images(n: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 10))
    return model, torch.randint(0, 256, (n, 28, 28), dtype=torch.uint8)


def test_the_same_call_gives_the_same_bits() -> None:
    """784-300-10 on 1,200 images: with other batch sizes its sums could round differently."""
    model, images = dense_and_images(1200)
    sizes: set[int] = set()
    model.register_forward_pre_hook(lambda _, inputs: sizes.add(len(inputs[0])))
    grid = ShiftGrid(range(-1, 2), range(1))
    bits = {logits_by("plain", model, images, grid).numpy().tobytes() for _ in range(8)}
    assert len(bits) == 1
    assert len(sizes) == 1  # of every batch of every call


def test_a_pattern_has_the_same_bits_next_to_fewer_others() -> None:
    model, images = dense_and_images(20)
    few, every = (logits_by("plain", model, some) for some in (images[:3], images))
    assert torch.equal(few, every[:3])


def test_a_network_for_one_batch_size_needs_that_size(images: Tensor) -> None:
    layers = nn.Conv2d(1, 2, 5), Lambda(lambda x: x.view(16, -1)), nn.Linear(1152, 3)
    model = nn.Sequential(*layers)
    for method in ("auto", "plain"):
        answers = ShiftEvaluator(model, method=method, batch_size=16).answer(images)
        assert answers.method == "plain"
    with pytest.raises(RuntimeError, match="cannot be multiplied") as error:
        ShiftEvaluator(model, method="plain").answer(images)
    if sys.version_info >= (3, 11):
        assert "batch_size=" in error.value.__notes__[0]
