"""``shift_each`` and its gradient against the reference."""

from __future__ import annotations

import pytest
import torch
from cases import EVERY_SHIFT, SHIFTS, refused

from lenetshift import reference

shift_each = torch.ops.lenetshift.shift_each

DTYPES = [
    torch.uint8,
    torch.bool,
    torch.int16,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex128,
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7, 6), (2, 7, 6), (3, 2, 1, 1), (1, 28)])
def test_every_type_and_shape(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 200, (len(EVERY_SHIFT), *shape), generator=generator).to(dtype)
    for n in (0, 1, len(EVERY_SHIFT)):
        moved = shift_each(images[:n], EVERY_SHIFT[:n])
        assert moved.dtype == dtype
        assert torch.equal(moved, reference.shift_each(images[:n], EVERY_SHIFT[:n]))


def test_each_image_has_its_own_shift() -> None:
    """dx > 0 is to the right, dy > 0 is down."""
    images = torch.zeros(3, 5, 5)
    images[:, 2, 2] = 1
    moved = shift_each(images, torch.tensor([(1, 2), (-2, 0), (0, 3)]))
    assert moved.nonzero().tolist() == [[0, 4, 3], [1, 2, 0]]


def test_is_translate_by_the_diagonal() -> None:
    images = torch.randint(0, 256, (len(SHIFTS), 28, 28), dtype=torch.uint8)
    every = torch.ops.lenetshift.translate(images, SHIFTS)  # [N, S, 28, 28]
    assert torch.equal(shift_each(images, SHIFTS), every.diagonal().movedim(-1, 0))


def test_strided() -> None:
    images = torch.randn(2 * len(SHIFTS), 8, 10)[::2, :, ::3]
    shifts = torch.stack([SHIFTS, SHIFTS.flip(0)], dim=2)[:, :, 1]  # not contiguous either
    assert not images.is_contiguous()
    assert not shifts.is_contiguous()
    assert torch.equal(shift_each(images, shifts), reference.shift_each(images, shifts))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.complex128])
def test_gradient_moves_back(dtype: torch.dtype) -> None:
    images = torch.randn(len(EVERY_SHIFT), 2, 7, 6).to(dtype).requires_grad_()
    moved = shift_each(images, EVERY_SHIFT)
    upstream = torch.randn(moved.shape).to(dtype)
    (grad,) = torch.autograd.grad(moved, images, upstream)
    (expected,) = torch.autograd.grad(reference.shift_each(images, EVERY_SHIFT), images, upstream)
    assert torch.equal(grad, expected)


def test_gradcheck() -> None:
    images = torch.randn(3, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: shift_each(x, SHIFTS[3:6]), (images,), check_forward_ad=True
    )
    # The square, so that the second derivative is not 0.
    assert torch.autograd.gradgradcheck(lambda x: shift_each(x, SHIFTS[3:6]).square(), (images,))


def test_opcheck() -> None:
    images = torch.randn(9, 5, 6, requires_grad=True)
    torch.library.opcheck(shift_each.default, (images, SHIFTS))
    torch.library.opcheck(shift_each.default, (torch.ones(9, 5, 6, dtype=torch.uint8), SHIFTS))


def test_under_autocast_keeps_the_images_dtype() -> None:
    images = torch.randn(9, 5, 6)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(shift_each(images, SHIFTS), reference.shift_each(images, SHIFTS))


@pytest.mark.parametrize(
    ("images", "shifts", "message"),
    [
        (
            torch.zeros(28, 28),
            SHIFTS,
            "images: got shape [28, 28], expected [N, ..., height, width]",
        ),
        (torch.zeros(9, 28, 28), SHIFTS.int(), "shifts: got int32, expected int64"),
        (torch.zeros(8, 28, 28), SHIFTS, "shifts: got shape [9, 2], expected [8, 2]"),
        (torch.zeros(1, 28, 28), SHIFTS, "shifts: got shape [9, 2], expected [1, 2]"),
        (torch.zeros(4, 28, 28), torch.zeros(4, 3).long(), "shifts: got shape [4, 3]"),
    ],
)
def test_bad_input(images: torch.Tensor, shifts: torch.Tensor, message: str) -> None:
    with refused(message):
        shift_each(images, shifts)
