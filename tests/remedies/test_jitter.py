"""Random shifts of a batch: each image is moved by a shift of the grid, by definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from lenetshift import ShiftGrid
from lenetshift.checks.errors import ArgumentError
from lenetshift.data.load import load_mnist
from lenetshift.remedies import Jitter, jitter

GRID = ShiftGrid(range(-3, 4, 3), range(-1, 2))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moved_by_hand(image: torch.Tensor, dx: int, dy: int, fill) -> torch.Tensor:
    """One image [C, H, W] moved, pixel by pixel."""
    height, width = image.shape[1:]
    moved = torch.empty_like(image)
    for y in range(height):
        for x in range(width):
            inside = 0 <= y - dy < height and 0 <= x - dx < width
            if fill == "circular" or inside:
                moved[:, y, x] = image[:, (y - dy) % height, (x - dx) % width]
            else:
                moved[:, y, x] = torch.tensor(fill).to(image.dtype)
    return moved


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16, torch.float64])
@pytest.mark.parametrize("fill", [0, 7, [1, 2], "circular"])
def test_every_image_is_moved_by_the_drawn_shift(dtype: torch.dtype, fill) -> None:
    images = (torch.rand(12, 2, 6, 5) * 255).to(dtype)
    before = images.clone()
    moved = jitter(images, GRID, fill=fill, generator=seeded())
    drawn = torch.randint(len(GRID), (12,), generator=seeded())
    for image, other, (dx, dy) in zip(images, moved, GRID.shifts()[drawn].tolist(), strict=True):
        assert torch.equal(other, moved_by_hand(image, dx, dy, fill))
    assert torch.equal(images, before)
    assert moved.dtype == dtype


def test_all_shifts_are_drawn_about_equally_often() -> None:
    images = torch.zeros(4000, 9, 9)
    images[:, 4, 4] = 1
    moved = jitter(images, GRID, generator=seeded(5))
    _, rows, columns = moved.nonzero(as_tuple=True)
    found, counts = torch.stack([columns - 4, rows - 4]).unique(dim=1, return_counts=True)
    assert sorted(found.T.tolist()) == sorted(GRID.shifts().tolist())
    expected = 4000 / len(GRID)
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 26  # its 99.9 % point for 8 degrees of freedom


def test_the_generator_decides() -> None:
    images = torch.rand(50, 8, 8)
    first = jitter(images, GRID, generator=seeded(1))
    assert torch.equal(first, jitter(images, GRID, generator=seeded(1)))
    assert not torch.equal(first, jitter(images, GRID, generator=seeded(2)))
    both = seeded(1)
    assert torch.equal(first, jitter(images, GRID, generator=both))
    assert not torch.equal(first, jitter(images, GRID, generator=both))  # it goes on
    torch.manual_seed(3)
    by_default = jitter(images, GRID)
    torch.manual_seed(3)
    assert torch.equal(by_default, jitter(images, GRID))


def test_a_training_loop() -> None:
    train = load_mnist()[0].subset(64)
    move = Jitter(ShiftGrid(), generator=seeded())
    moved = move.collate([(image, label) for image, label in train])
    expected = jitter(train.images, ShiftGrid(), generator=seeded())
    assert torch.equal(moved[0], expected)
    assert torch.equal(moved[1], train.labels)
    loader = DataLoader(train, batch_size=16, collate_fn=Jitter(GRID, generator=seeded()).collate)
    batches = list(loader)
    assert [images.shape for images, _ in batches] == [(16, 28, 28)] * 4
    assert torch.equal(torch.cat([labels for _, labels in batches]), train.labels)


def test_workers_draw_other_shifts_in_every_epoch() -> None:
    dot = torch.zeros(1, 9, 9)
    dot[0, 4, 4] = 1
    loader = DataLoader(
        [(dot, 0)] * 16, batch_size=16, num_workers=1, collate_fn=Jitter(GRID).collate
    )
    first, second = (next(iter(loader))[0] for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("shape", [(9, 7), (1, 9, 7), (3, 9, 7)])
def test_one_image(shape: tuple[int, ...]) -> None:
    image = torch.rand(*shape)
    moved = Jitter(GRID, generator=seeded(4))(image)
    drawn = torch.randint(len(GRID), (1,), generator=seeded(4))
    dx, dy = GRID.shifts()[drawn][0].tolist()
    expected = moved_by_hand(image.view(-1, 9, 7), dx, dy, 0).view(shape)
    assert torch.equal(moved, expected)


def test_gradients_are_moved_back() -> None:
    images = torch.rand(4, 1, 8, 8, requires_grad=True)
    for fill in (0, 0.5):
        images.grad = None
        weights = torch.rand(4, 1, 8, 8)
        (jitter(images, GRID, fill=fill, generator=seeded()) * weights).sum().backward()
        drawn = torch.randint(len(GRID), (4,), generator=seeded())
        back = -GRID.shifts()[drawn]
        for grad, weight, (dx, dy) in zip(images.grad, weights, back.tolist(), strict=True):
            torch.testing.assert_close(grad, moved_by_hand(weight, dx, dy, 0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: jitter(np.zeros((1, 8, 8)), GRID), "images: got ndarray, expected uint8 or float"),
        (lambda: jitter(torch.zeros(8, 8), GRID), r"images: got float32 \[8, 8\], expected uint8"),
        (lambda: jitter(torch.zeros(1, 8, 8).long(), GRID), r"images: got int64 \[1, 8, 8\]"),
        (lambda: jitter(torch.zeros(1, 8, 3), GRID), "grid: got dx -3..3, expected it within -2"),
        (lambda: jitter(torch.zeros(1, 8, 8), 3), "grid: got int, expected a ShiftGrid"),
        (lambda: jitter(torch.zeros(1, 8, 8), GRID, fill="x"), "fill: got 'x', expected a finite"),
        (lambda: jitter(torch.zeros(1, 8, 8), GRID, generator=3), "generator: got int, expected a"),
        (lambda: Jitter(3), "grid: got int, expected a ShiftGrid"),
        (lambda: Jitter(GRID, fill=[]), r"fill: got \[\], expected a finite number"),
        (lambda: Jitter(GRID)(torch.zeros(8)), r"images: got float32 \[8\], expected uint8 or floa"),
        (lambda: Jitter(GRID).collate([torch.zeros(8, 8)]), "samples: got float32 .*, expected tup"),
    ],
)  # fmt: skip
def test_errors_are_one_line(make, message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
