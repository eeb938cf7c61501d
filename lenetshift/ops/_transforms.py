"""Derivatives of an op in backward mode, in forward mode and for ``torch.func``'s transforms, and its
batches for ``vmap``.

``torch.library.register_autograd`` provides backward mode only: tangents in forward mode would silently
be zeros, and ``torch.func.grad`` would raise an error about a ``setup_context``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad
from torch.autograd.function import _SingleLevelFunction

from lenetshift.checks.arrays import HALF_FLOATS
from lenetshift.checks.core import core
from lenetshift.ops._common import (
    implementations,
    in_first_import,
    keys_of_ordinary_tensors,
    library,
)

Grads = tuple[Tensor | None, ...]


def _wants_gradient(tensors: Sequence[Tensor | None]) -> bool:
    """Whether a gradient by some of these tensors may be wanted."""
    if torch.is_grad_enabled():
        for tensor in tensors:  # faster than any()
            if tensor is not None and tensor.requires_grad:
                return True
    return False


def _differentiates(tensors: Sequence[Tensor | None]) -> bool:
    """Whether a derivative by some of these tensors may be wanted; otherwise no node is made."""
    return forward_ad._current_level >= 0 or _wants_gradient(tensors)


@in_first_import
def register_derivatives(
    name: str,
    *,
    save: Callable[..., None],
    backward: Callable[..., Grads],
    jvp: Callable[..., Tensor | Grads | None],
    in_one_step: Callable[..., Any] | None = None,
) -> None:
    """Register the derivatives of an op. Formulas that use differentiable ops give those of every order.

    Args:
        name: the op is ``lenetshift::<name>``.
        save: ``save(ctx, *inputs)`` keeps on ``ctx`` what the other two need, tensors by
            ``ctx.save_for_backward``.
        backward: ``backward(ctx, *grads)`` returns the gradient of each input or None. The gradient of
            an output that was not used is passed as None; without any gradient it is not called.
        jvp: ``jvp(ctx, *tangents)`` returns the tangent of each output; those of inputs may be None.
        in_one_step: a function of the core that does the whole call for ordinary tensors on the CPU, or
            returns None.
    """
    op = getattr(torch.ops.lenetshift, name).default
    of_ordinary_tensors = implementations[name]
    n_tensors = sum(isinstance(a.type, torch.TensorType) for a in op._schema.arguments)

    class Derivatives(_SingleLevelFunction):
        """Not a ``torch.autograd.Function``: the dispatcher calls this for one level of ``torch.func``'s
        transforms at a time."""

        @staticmethod
        def forward(ctx: Any, *inputs_and_run: Any) -> Any:
            *inputs, run = inputs_and_run
            output = run(*inputs)
            save(ctx, *inputs)
            if forward_ad._current_level >= 0:
                ctx.save_for_forward(*ctx.to_save)
            ctx.set_materialize_grads(False)
            return output

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> Grads:
            if grads[0] is None and all(grad is None for grad in grads):
                return (None,) * len(ctx.needs_input_grad)
            return *backward(ctx, *grads), None

        @staticmethod
        def jvp(ctx: Any, *tangents_and_none: Tensor | None) -> Tensor | Grads | None:
            return jvp(ctx, *tangents_and_none[:-1])

    def differentiable(keys: torch._C.DispatchKeySet, *inputs: Any) -> Any:
        implementation = of_ordinary_tensors.get(keys.raw_repr())
        if implementation is not None and forward_ad._current_level < 0:
            if _wants_gradient(inputs[:n_tensors]):
                return Derivatives.apply(*inputs, implementation)  # type: ignore[attr-defined]
            return implementation(*inputs)
        backward_mode, forward_mode = torch.is_grad_enabled(), torch._C._is_fwd_grad_enabled()
        keys = keys & torch._C._after_autograd_keyset
        if not _differentiates(inputs[:n_tensors]):
            with torch._C._AutoDispatchBelowAutograd():
                return op.redispatch(keys, *inputs)

        def run(*inputs: Any) -> Any:
            # A Function's forward runs with both modes off, but outer levels still need them.
            with (
                torch.set_grad_enabled(backward_mode),
                forward_ad._set_fwd_grad_enabled(forward_mode),
                torch._C._AutoDispatchBelowAutograd(),
            ):
                return op.redispatch(keys, *inputs)

        with enable_single_level_autograd_function():
            return Derivatives.apply(*inputs, run)  # type: ignore[attr-defined]

    called: Callable[..., Any] = differentiable
    if in_one_step is not None:
        keys = keys_of_ordinary_tensors("CPU")
        apply, implementation = Derivatives.apply, of_ordinary_tensors[keys]  # type: ignore[attr-defined]
        called = core.ordinary_call(
            keys=keys,
            n_tensors=n_tensors,
            kernel=in_one_step,
            with_gradient=lambda *inputs: apply(*inputs, implementation),
            otherwise=differentiable,
            is_grad_enabled=torch.is_grad_enabled,
            forward_ad=forward_ad,
        )
    library.impl(name, called, "Autograd", with_keyset=True)


def register_linear(name: str, adjoint: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Register the derivatives of an op with two arguments that is linear in the first; the second has none.

    Args:
        name: the op is ``lenetshift::<name>``.
        adjoint: ``adjoint(grad_output, second)`` returns the gradient of the first argument.
    """
    op = getattr(torch.ops.lenetshift, name)
    register_derivatives(
        name,
        save=lambda ctx, _, second: ctx.save_for_backward(second),
        backward=lambda ctx, grad_output: (adjoint(grad_output, *ctx.saved_tensors), None),
        jvp=lambda ctx, tangent, _: op(tangent, *ctx.saved_tensors),
    )


@in_first_import
def register_no_derivatives(name: str, instead: str) -> None:
    """Register that a derivative of an op's outputs is an error, which says what to use ``instead``.
    Otherwise gradients would be missing and tangents zero."""
    op = getattr(torch.ops.lenetshift, name).default
    of_ordinary_tensors = implementations[name]

    message = f"lenetshift::{name}: has no derivative; {instead} has"

    class NoDerivatives(_SingleLevelFunction):
        @staticmethod
        def forward(ctx: Any, run: Callable[[], Tensor | tuple[Tensor, ...]], *_: Tensor) -> Any:
            outputs = run()
            every = [outputs] if isinstance(outputs, Tensor) else outputs
            ctx.mark_non_differentiable(*(o for o in every if not o.is_floating_point()))
            return outputs

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> NoReturn:
            raise NotImplementedError(message)

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> NoReturn:
            raise NotImplementedError(message)

    def differentiable(keys: torch._C.DispatchKeySet, *inputs: Any) -> Any:
        lists = (value if isinstance(value, (list, tuple)) else [value] for value in inputs)
        tensors = [value for values in lists for value in values if isinstance(value, Tensor)]
        implementation = of_ordinary_tensors.get(keys.raw_repr())

        def run() -> Any:
            if implementation is not None:
                return implementation(*inputs)
            with torch._C._AutoDispatchBelowAutograd():
                return op.redispatch(keys & torch._C._after_autograd_keyset, *inputs)

        if not _differentiates(tensors):
            return run()
        with enable_single_level_autograd_function():
            return NoDerivatives.apply(run, *tensors)  # type: ignore[attr-defined]

    library.impl(name, differentiable, "Autograd", with_keyset=True)


@in_first_import
def register_vmap(name: str, *, at_once: bool) -> None:
    """Register how ``torch.func.vmap`` runs an op: for one element of the batch after the other.

    Args:
        name: the op is ``lenetshift::<name>``.
        at_once: whether the first dimension of the first argument, and of the only output, counts
            images. If only that argument has a batch, all its images are then passed in one call.
    """
    op = getattr(torch.ops.lenetshift, name).default

    def batched(info: Any, in_dims: Sequence[Any], *inputs: Any) -> tuple[Any, Any]:
        rows = [
            value.movedim(dim, 0) if isinstance(value, Tensor) and dim is not None else None
            for value, dim in zip(inputs, in_dims, strict=True)
        ]
        images = rows[0]
        if at_once and images is not None and all(row is None for row in rows[1:]):
            return op(images.flatten(0, 1), *inputs[1:]).unflatten(0, images.shape[:2]), 0
        outputs = [
            op(*(value if row is None else row[i] for value, row in zip(inputs, rows, strict=True)))
            for i in range(info.batch_size)
        ]
        if isinstance(outputs[0], Tensor):
            return torch.stack(outputs), 0
        return tuple(map(torch.stack, zip(*outputs, strict=True))), (0,) * len(outputs[0])

    torch.library.register_vmap(f"lenetshift::{name}", batched, lib=library)


@in_first_import
def register_float32_autocast(name: str) -> None:
    """Register that autocast converts an op's float16 and bfloat16 tensors to float32."""
    op = getattr(torch.ops.lenetshift, name).default

    def cast(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [cast(element) for element in value]
        is_half = isinstance(value, Tensor) and value.dtype in HALF_FLOATS
        return value.float() if is_half else value

    # torch.library.register_autocast does this since torch 2.7.
    for device, key in (("cpu", "AutocastCPU"), ("cuda", "AutocastCUDA")):

        def in_float32(*inputs: Any, device: str = device) -> Any:
            with torch.autocast(device, enabled=False):
                return op(*(cast(value) for value in inputs))

        library.impl(name, in_float32, key)
