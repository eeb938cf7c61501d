"""Derivatives of the ops in forward mode, in ``torch.func`` transforms, and of higher order, compared with
plain PyTorch in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import plain_c3
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from lenetshift import reference
from lenetshift.c3_table import table_masks
from lenetshift.models.build import MODEL_NAMES, build_model
from lenetshift.models.table import FUSED

TABLE = ((0, 1), (0, 2), (0, 1, 2))
MOVES = [(1, 0), (-2, 1), (0, 0), (9, 9)]
SHIFTS = torch.tensor(MOVES)
# The float64 error of sums of some hundred terms, including the growth in Toom-Cook forms.
CLOSE: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-11}
Op = Callable[..., Tensor]


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(1000 * seed + sum(shape))
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def c3_inputs(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    return (
        random(2, 3, 6, 7, seed=seed),
        random(7, 5, 5, seed=seed),
        random(3, seed=seed),
    )


def c3_op(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.ops.lenetshift.c3_conv(input, weight, bias, table_masks(TABLE))


def c3_reference(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return plain_c3(TABLE, input, weight, bias)


def move_op(images: Tensor) -> Tensor:
    return torch.ops.lenetshift.translate(images, SHIFTS)


def moved_by(images: Tensor, dx: int, dy: int) -> Tensor:
    """Uses only torch's own ops, which have torch's own transforms."""
    height, width = images.shape[-2:]
    framed = torch.nn.functional.pad(images, (9, 9, 9, 9))
    return framed[..., 9 - dy : 9 - dy + height, 9 - dx : 9 - dx + width]


def move_reference(images: Tensor) -> Tensor:
    return torch.stack([moved_by(images, dx, dy) for dx, dy in MOVES], dim=1)


EACH_MOVES = [(1, 0), (-2, 3)]
EACH = torch.tensor(EACH_MOVES)


def each_op(images: Tensor) -> Tensor:
    return torch.ops.lenetshift.shift_each(images, EACH)


def each_reference(images: Tensor) -> Tensor:
    pairs = zip(images.split(1), EACH_MOVES, strict=True)
    return torch.cat([moved_by(image, dx, dy) for image, (dx, dy) in pairs])


CASES = {
    "c3_conv": (c3_op, c3_reference, c3_inputs),
    "translate": (move_op, move_reference, lambda seed=0: (random(2, 5, 6, seed=seed),)),
    "shift_each": (each_op, each_reference, lambda seed=0: (random(2, 5, 6, seed=seed),)),
}
every_op = pytest.mark.parametrize(("op", "plain", "inputs"), CASES.values(), ids=list(CASES))


def of_squares(op: Op) -> Op:
    """A scalar whose second derivatives are not 0."""
    return lambda *inputs: op(*inputs).square().sum()


@every_op
def test_forward_mode(op: Op, plain: Op, inputs: Any) -> None:
    got, expected = (jvp(f, inputs(), inputs(1)) for f in (op, plain))
    assert expected[1].abs().max() > 0.1
    torch.testing.assert_close(got, expected, **CLOSE)
    for i, value in enumerate(inputs()):  # one tangent at a time
        tangents = []
        for f in (op, plain):
            with forward_ad.dual_level():
                dual = list(inputs())
                dual[i] = forward_ad.make_dual(value, inputs(1)[i])
                tangents.append(forward_ad.unpack_dual(f(*dual)).tangent)
        torch.testing.assert_close(*tangents, **CLOSE)


@every_op
@pytest.mark.parametrize("transform", [grad, jacrev, jacfwd, hessian])
def test_transforms(op: Op, plain: Op, inputs: Any, transform: Any) -> None:
    argnums = tuple(range(len(inputs())))
    f, g = (op, plain) if transform in (jacrev, jacfwd) else (of_squares(op), of_squares(plain))
    got, expected = (transform(h, argnums=argnums)(*inputs()) for h in (f, g))
    torch.testing.assert_close(got, expected, **CLOSE)


@every_op
def test_nested_transforms(op: Op, plain: Op, inputs: Any) -> None:
    def directional(f: Op) -> Any:
        gradient = grad(of_squares(f))
        forward_over_reverse = jvp(gradient, inputs(), inputs(1))
        reverse_over_forward = grad(lambda x: jvp(f, (x, *inputs()[1:]), inputs(1))[1].sum())
        twice = grad(lambda *values: gradient(*values).square().sum())
        return forward_over_reverse, reverse_over_forward(inputs()[0]), twice(*inputs())

    torch.testing.assert_close(directional(op), directional(plain), **CLOSE)


@every_op
def test_batches(op: Op, plain: Op, inputs: Any) -> None:
    """Each argument is batched along its first or its last dimension, or not."""
    batches = [torch.stack([*pair], dim=-1) for pair in zip(inputs(), inputs(1), strict=True)]
    n = len(batches)
    for chosen in range(1, 2**n):
        in_dims = tuple(-1 if chosen >> i & 1 else None for i in range(n))
        values = [b if d else v for b, v, d in zip(batches, inputs(), in_dims, strict=True)]
        for f, g in ((op, plain), (grad(of_squares(op)), grad(of_squares(plain)))):
            got, expected = (vmap(h, in_dims)(*values) for h in (f, g))
            torch.testing.assert_close(got, expected, **CLOSE)


def test_batched_shifts_and_batches_of_batches() -> None:
    images, shifts = random(4, 3, 5, 6), torch.stack([SHIFTS, SHIFTS.flip(0), SHIFTS + 1])
    translate = torch.ops.lenetshift.translate
    got = vmap(translate, (None, 0))(images, shifts)
    assert torch.equal(got, torch.stack([reference.translate(images, s) for s in shifts]))
    got = vmap(translate)(random(3, 4, 5, 6), shifts)
    expected = [reference.translate(x, s) for x, s in zip(random(3, 4, 5, 6), shifts, strict=True)]
    assert torch.equal(got, torch.stack(expected))
    shift_each = torch.ops.lenetshift.shift_each
    images, shifts = random(3, 4, 2, 5, 6), shifts[:, [0, 2, 1, 1]]  # three batches of four images
    for in_dims, batches in {
        (0, 0): zip(images, shifts, strict=True),
        (None, 0): [(images[0], s) for s in shifts],
        (2, None): [(images[:, :, i], shifts[0, :3]) for i in range(2)],
    }.items():
        given = (images if in_dims[0] is not None else images[0], shifts)
        if in_dims[1] is None:
            given = (images, shifts[0, :3])
        expected = [reference.shift_each(*each) for each in batches]
        assert torch.equal(vmap(shift_each, in_dims)(*given), torch.stack(expected))
    nested = vmap(vmap(c3_op, (0, None, None)), (1, None, None))
    input, weight, bias = random(2, 4, 2, 3, 6, 7), *c3_inputs()[1:]
    expected = torch.stack(
        [torch.stack([c3_reference(input[i, j], weight, bias) for i in range(2)]) for j in range(4)]
    )
    torch.testing.assert_close(nested(input, weight, bias), expected, **CLOSE)


@every_op
def test_backward_twice_and_forward_over_backward(op: Op, plain: Op, inputs: Any) -> None:
    values = [value.requires_grad_() for value in inputs()]
    assert torch.autograd.gradcheck(
        op, values, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
    )
    assert torch.autograd.gradgradcheck(
        lambda *x: op(*x).square(), values, check_fwd_over_rev=True, check_batched_grad=True
    )


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_per_sample_gradients_and_tangents_of_models(name: str) -> None:
    model = build_model(name, seed=0).double()
    parameters = {key: p.detach() for key, p in model.named_parameters()}
    x, labels = random(5, 1, 28, 28), torch.arange(5)

    def loss(parameters: dict[str, Tensor], x: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model, parameters, (x[None],))
        return torch.nn.functional.cross_entropy(logits, label[None])

    per_sample = vmap(grad(loss), (None, 0, 0))(parameters, x, labels)
    for i in range(5):
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(x[i : i + 1]), labels[i : i + 1]).backward()
        for key, parameter in model.named_parameters():
            torch.testing.assert_close(per_sample[key][i], parameter.grad, **CLOSE)
    direction = random(5, 1, 28, 28, seed=1)
    _, tangent = jvp(model, (x,), (direction,))
    step = 1e-6
    with torch.no_grad():
        slope = (model(x + step * direction) - model(x - step * direction)) / (2 * step)
    torch.testing.assert_close(tangent.detach(), slope, rtol=1e-6, atol=1e-7)


def test_a_saved_tensor_that_was_changed_is_seen() -> None:
    input, weight, bias = (value.requires_grad_() for value in c3_inputs())
    output = c3_op(input, weight, bias).sum()
    with torch.no_grad():
        weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.backward()


def test_a_vector_jacobian_product_outlives_its_transform() -> None:
    output, pull = vjp(c3_op, *c3_inputs())
    expected_output, expected_pull = vjp(c3_reference, *c3_inputs())
    torch.testing.assert_close(output, expected_output, **CLOSE)
    upstream = torch.ones_like(output)
    torch.testing.assert_close(pull(upstream), expected_pull(upstream), **CLOSE)


@pytest.mark.parametrize("name", FUSED)
def test_a_derivative_of_fused_answers_is_refused(name: str) -> None:
    predict = getattr(torch.ops.lenetshift, f"predict_shifts_{name}")
    images, grid = torch.ones(1, 28, 28, dtype=torch.uint8), ([0, 1], [0, 1])
    parameters = list(build_model(name, seed=0).parameters())
    detached = [parameter.detach() for parameter in parameters]

    def loss(*parameters: Tensor) -> Tensor:
        predictions, logits = predict(images, *grid, list(parameters), "tanh", True)
        assert not predictions.requires_grad
        return logits.sum()

    refused = pytest.raises(
        NotImplementedError,
        match=rf"^lenetshift::predict_shifts_{name}: has no derivative; [^\n]*$",
    )
    total = loss(*parameters)
    with torch.no_grad():
        assert torch.equal(total, loss(*parameters))
    with refused:
        total.backward()
    with refused:
        grad(loss)(*detached)
    with refused:
        jvp(loss, tuple(detached), tuple(detached))


class _NoGradient(torch.autograd.Function):
    """Passes a tensor on, and no gradient back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> None:
        return None


@pytest.mark.parametrize(
    ("op", "inputs"),
    [
        (move_op, (random(2, 5, 5),)),
        (lambda x: torch.ops.lenetshift.translate_backward(x, SHIFTS), (random(2, 4, 5, 5),)),
        (lambda x: torch.ops.lenetshift.shift_each(x, SHIFTS), (random(4, 5, 5),)),
        (c3_op, c3_inputs()),
    ],
    ids=["translate", "translate_backward", "shift_each", "c3_conv"],
)
def test_an_output_without_gradient_gives_none(op: Op, inputs: tuple[Tensor, ...]) -> None:
    inputs = tuple(x.clone().requires_grad_() for x in inputs)
    _NoGradient.apply(op(*inputs)).sum().backward()
    assert all(x.grad is None for x in inputs)
