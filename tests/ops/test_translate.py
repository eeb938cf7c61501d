"""``translate`` and its gradient against the reference."""

from __future__ import annotations

import pytest
import torch
from cases import SHIFTS, refused

from lenetshift import reference
from lenetshift.shifts import ShiftGrid


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.bool, torch.int16, torch.float32, torch.float64, torch.complex128]
)
@pytest.mark.parametrize("shape", [(0, 7, 6), (1, 7, 6), (5, 7, 6), (3, 2, 7, 6), (2, 3, 2, 1, 1)])
def test_every_type_and_shape(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    images = torch.randint(1, 200, shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    moved = torch.ops.lenetshift.translate(images, SHIFTS)
    assert moved.dtype == dtype
    assert torch.equal(moved, reference.translate(images, SHIFTS))


def test_whole_grid_of_shifts() -> None:
    images = torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8)
    shifts = ShiftGrid(range(-27, 28), range(-27, 28)).shifts()
    moved = torch.ops.lenetshift.translate(images, shifts)
    assert torch.equal(moved, reference.translate(images, shifts))


def test_direction() -> None:
    """dx > 0 is to the right, dy > 0 is down."""
    image = torch.zeros(1, 5, 5)
    image[0, 2, 2] = 1
    moved = torch.ops.lenetshift.translate(image, torch.tensor([(1, 2)]))
    assert moved[0, 0, 4, 3] == 1
    assert moved.sum() == 1


def test_no_shifts() -> None:
    assert torch.ops.lenetshift.translate(
        torch.zeros(3, 28, 28), torch.zeros(0, 2, dtype=torch.int64)
    ).shape == (3, 0, 28, 28)


def test_strided() -> None:
    images = torch.randn(6, 8, 10)[::2, :, ::3]
    assert torch.equal(
        torch.ops.lenetshift.translate(images, SHIFTS), reference.translate(images, SHIFTS)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient(dtype: torch.dtype) -> None:
    images = torch.randn(3, 2, 7, 6, dtype=dtype, requires_grad=True)
    moved = torch.ops.lenetshift.translate(images, SHIFTS)
    upstream = torch.randn_like(moved)
    (grad,) = torch.autograd.grad(moved, images, upstream)
    (expected,) = torch.autograd.grad(reference.translate(images, SHIFTS), images, upstream)
    # a sum of at most len(SHIFTS) terms of order 1
    torch.testing.assert_close(
        grad, expected, rtol=0, atol=4 * len(SHIFTS) * torch.finfo(dtype).eps
    )


def test_gradcheck() -> None:
    images = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: torch.ops.lenetshift.translate(x, SHIFTS), (images,))
    # The square, so that the second derivative is not 0.
    assert torch.autograd.gradgradcheck(
        lambda x: torch.ops.lenetshift.translate(x, SHIFTS).square(), (images,)
    )


def test_opcheck() -> None:
    images = torch.randn(2, 5, 6, requires_grad=True)
    torch.library.opcheck(torch.ops.lenetshift.translate.default, (images, SHIFTS))
    torch.library.opcheck(
        torch.ops.lenetshift.translate.default, (torch.ones(2, 5, 6, dtype=torch.uint8), SHIFTS)
    )
    upstream = torch.randn(2, len(SHIFTS), 5, 6, requires_grad=True)
    torch.library.opcheck(torch.ops.lenetshift.translate_backward.default, (upstream, SHIFTS))


@pytest.mark.parametrize(
    ("images", "shifts", "message"),
    [
        (
            torch.zeros(28, 28),
            SHIFTS,
            "images: got shape [28, 28], expected [N, ..., height, width]",
        ),
        (torch.zeros(1, 28, 28), SHIFTS.int(), "shifts: got int32, expected int64"),
        (torch.zeros(1, 28, 28), SHIFTS[0], "shifts: got shape [2], expected [*, 2]"),
        (torch.zeros(1, 28, 28), torch.zeros(4, 3).long(), "shifts: got shape [4, 3]"),
    ],
)
def test_bad_input(images: torch.Tensor, shifts: torch.Tensor, message: str) -> None:
    with refused(message):
        torch.ops.lenetshift.translate(images, shifts)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((1, 28, 28), torch.float32, "grad_output: got shape [1, 28, 28], expected [N, 9, ..., "),
        ((1, 8, 28, 28), torch.float32, "grad_output: got shape [1, 8, 28, 28], expected [N, 9, "),
        (
            (1, 9, 28, 28),
            torch.uint8,
            "images: got uint8, expected real floating-point numbers",
        ),
    ],
)
def test_bad_gradient(shape: tuple[int, ...], dtype: torch.dtype, message: str) -> None:
    with refused(message):
        torch.ops.lenetshift.translate_backward(torch.zeros(shape, dtype=dtype), SHIFTS)


@pytest.mark.parametrize("op", ["translate", "shift_each"])
def test_a_value_that_is_not_a_tensor_is_refused(op: str) -> None:
    with pytest.raises(ValueError, match=r"^images: got NoneType, expected a Tensor$"):
        getattr(torch.ops.lenetshift, op)(None, torch.zeros(1, 2, dtype=torch.int64))
