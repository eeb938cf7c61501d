"""Every op says what it takes and gives: ``help(lenetshift.ops.c3_conv)``."""

from __future__ import annotations

import inspect
import pydoc

import pytest
import torch

from lenetshift import ops
from lenetshift.models.table import FUSED

OPS = sorted(
    name.removeprefix("lenetshift::")
    for name in torch._C._dispatch_get_all_op_names()
    if name.startswith("lenetshift::")
)
PUBLIC = [name for name in OPS if not name.endswith("_backward")]


def test_all_ops_are_found() -> None:
    assert {"c3_conv", "c3_conv_backward", "indirect_pool2d", "train_epoch_mlp"} < set(OPS)
    assert {f"predict_shifts_{model}" for model in FUSED} < set(OPS)


def test_public_ops_are_functions_of_the_module() -> None:
    functions = {name for name in ops.__all__ if inspect.isfunction(getattr(ops, name))}
    assert functions == {*PUBLIC, "isa"}


@pytest.mark.parametrize("name", OPS)
def test_help_of_an_op_describes_every_argument(name: str) -> None:
    op = getattr(torch.ops.lenetshift, name)
    text = pydoc.render_doc(op, renderer=pydoc.plaintext)
    for argument in op.default._schema.arguments:
        assert f" {argument.name}: " in text, argument.name
    for part in ("Args:", "Returns:", "Raises:", "ValueError", "[N"):
        assert part in text, part


@pytest.mark.parametrize("name", PUBLIC)
def test_help_of_a_function_has_signature_and_example(name: str) -> None:
    function, op = getattr(ops, name), getattr(torch.ops.lenetshift, name)
    assert function.__name__ == name
    arguments = {argument.name: argument for argument in op.default._schema.arguments}
    signature = inspect.signature(function)
    assert list(signature.parameters) == list(arguments)
    for parameter in signature.parameters.values():
        given = parameter.default is not inspect.Parameter.empty
        assert given == arguments[parameter.name].has_default_value()
        assert not given or parameter.default == arguments[parameter.name].default_value
    text = pydoc.render_doc(function, renderer=pydoc.plaintext)
    assert f"{name}(" in text
    assert f">>> ops.{name}" in text or "_mlp(" in text


def test_a_function_calls_its_op() -> None:
    images, shifts = torch.arange(24.0).view(2, 3, 4).requires_grad_(), torch.tensor([[1, 0]])
    moved = ops.translate(images, shifts=shifts)
    assert torch.equal(moved, torch.ops.lenetshift.translate(images, shifts))
    moved.sum().backward()
    assert images.grad is not None
    assert images.grad[..., -1].sum() == 0  # what leaves the frame has no gradient
