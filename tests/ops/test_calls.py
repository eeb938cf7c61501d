"""How a call reaches its kernel: the way without torch's dispatcher, which is taken while nothing but the
op's own implementation would come after a derivative; calls in one step; and checks that are kept."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from c3_bounds import problem
from cases import refused
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import lenetshift  # noqa: F401  registers the ops
from lenetshift.c3_table import C3_TABLE, table_masks
from lenetshift.checks.core import core
from lenetshift.ops import _common

MASKS = table_masks(C3_TABLE)
SHIFTS = torch.tensor([[1, 0], [0, -2]])


def c3_conv(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.ops.lenetshift.c3_conv(input, weight, bias, MASKS)


def c3_inputs() -> list[Tensor]:
    return list(problem(2, C3_TABLE, 6, (14, 14), torch.float32)[:3])


OPS: dict[str, tuple[Callable[..., Tensor], Callable[[], list[Tensor]]]] = {
    "c3_conv": (c3_conv, c3_inputs),
    "translate": (
        lambda images: torch.ops.lenetshift.translate(images, SHIFTS),
        lambda: [torch.randn(2, 28, 28)],
    ),
    "shift_each": (
        lambda images: torch.ops.lenetshift.shift_each(images, SHIFTS),
        lambda: [torch.randn(2, 28, 28)],
    ),
}
every_op = pytest.mark.parametrize("name", OPS)


class Names(TorchDispatchMode):
    """Records which ops of the package pass through the dispatcher."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.namespace == "lenetshift":
            self.seen.append(func._opname)
        return func(*args, **(kwargs or {}))


@every_op
def test_a_dispatch_mode_sees_the_op_and_its_gradient(name: str) -> None:
    op, inputs = OPS[name]
    leaves = [tensor.requires_grad_() for tensor in inputs()]
    with Names() as names:
        output = op(*leaves)
        torch.autograd.grad(output.sum(), leaves)
    backward = name if name == "shift_each" else f"{name}_backward"
    assert names.seen == [name, backward]


@every_op
def test_a_tensor_of_a_class_with_its_own_dispatch_sees_the_op(name: str) -> None:
    op, inputs = OPS[name]
    seen: list[str] = []

    class Wrapped(Tensor):
        @staticmethod
        def __torch_dispatch__(func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(func._opname)
            plain = [a.inner if isinstance(a, Wrapped) else a for a in args]
            return func(*plain, **(kwargs or {}))

    first, *others = inputs()
    wrapped: Any = Tensor._make_wrapper_subclass(Wrapped, first.shape, dtype=first.dtype)
    wrapped.inner = first
    assert torch.equal(op(wrapped, *others), op(first, *others))
    assert seen == [name]


@every_op
@pytest.mark.parametrize("grad", [False, True])
def test_an_ordinary_call_enters_python_once(
    name: str, grad: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The implementation runs without a second pass through the dispatcher."""
    op, inputs = OPS[name]
    arguments = [tensor.requires_grad_(grad) for tensor in inputs()]
    expected = op(*arguments)

    def fail(*_: object) -> None:
        raise AssertionError("the op was dispatched again")

    overload = getattr(torch.ops.lenetshift, name).default
    monkeypatch.setattr(type(overload), "redispatch", fail)
    got = op(*arguments)
    assert torch.equal(got, expected)
    assert got.requires_grad == grad
    with pytest.raises(AssertionError, match="dispatched again"), Names():
        op(*arguments)


@every_op
def test_a_conjugated_or_negated_view_gives_its_values(name: str) -> None:
    """A view with torch's bit for negation: its memory has the values before it."""
    op, inputs = OPS[name]
    first, *others = inputs()
    negated = torch.complex(torch.zeros_like(first), -first).conj().imag
    assert negated.is_neg()
    assert torch.equal(op(negated, *others), op(first, *others))


def test_a_kept_check_is_that_of_these_tensors() -> None:
    """After a call that passes, and one that does not, each other dtype, shape or table is checked."""
    arguments = c3_inputs()
    expected = c3_conv(*arguments)
    for _ in range(2):
        input, weight, bias = arguments
        for bad, message in (
            ((input.double(), weight, bias), "weight: got float32, expected float64"),
            ((input, weight[1:], bias), "weight: got shape [59, 5, 5], expected [60, 5, 5]"),
            ((input, weight, bias.double()), "bias: got float64, expected float32"),
            ((input[:, 1:], weight, bias), "table: got"),
        ):
            with refused(message):
                c3_conv(*bad)
        with refused("table: got"):
            torch.ops.lenetshift.c3_conv(input, weight, bias, [*MASKS[:15], 64])
        assert torch.equal(c3_conv(*arguments), expected)


@pytest.mark.parametrize("position", range(3))
def test_a_value_that_is_not_a_tensor_is_refused(position: int) -> None:
    arguments: list[Any] = c3_inputs()
    arguments[position] = None
    with refused(f"{('input', 'weight', 'bias')[position]}: got NoneType, expected a Tensor"):
        c3_conv(*arguments)


def test_the_core_takes_tensors_and_addresses() -> None:
    input, weight, bias = c3_inputs()
    c3 = core.C3(*input.shape, table=MASKS, value_bytes=4)
    outputs = [torch.empty(2, 16, 10, 10) for _ in range(2)]
    arrays = [[input, weight, bias, output] for output in outputs]
    core.c3_conv(c3, *arrays[0], 1)
    core.c3_conv(c3, *(array.data_ptr() for array in arrays[1]), 1)
    assert torch.equal(*outputs)
    assert torch.equal(outputs[0], c3_conv(input, weight, bias))
    for wrong in ("input", -1, None, 2**70, 1.5):
        with pytest.raises(TypeError):
            core.c3_conv(c3, wrong, weight, bias, outputs[0], 1)


dlpack = getattr(Tensor, "__dlpack_c_exchange_api__", None)
with_dlpack = pytest.mark.skipif(dlpack is None, reason="this torch lacks DLPack's C functions")
c3_module = importlib.import_module("lenetshift.ops.c3_conv")


@with_dlpack
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_c3_conv_and_its_gradients_are_one_step_each(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaves = [tensor.to(dtype).requires_grad_() for tensor in c3_inputs()]
    upstream = torch.randn(2, 16, 10, 10, dtype=dtype)
    monkeypatch.setattr(c3_module, "small_calls", core.SmallCalls(None, torch.get_num_threads))
    with Names():  # the whole way
        expected = c3_conv(*leaves)
        grads = torch.autograd.grad(expected, leaves, upstream)
    monkeypatch.undo()
    monkeypatch.delattr(c3_module, "run_kernel")
    with torch.no_grad():
        assert torch.equal(c3_conv(*leaves), expected)
    got = c3_conv(*leaves)
    assert torch.equal(got, expected)
    for grad, of_the_whole_way in zip(
        torch.autograd.grad(got, leaves, upstream, retain_graph=True), grads, strict=True
    ):
        assert torch.equal(grad, of_the_whole_way)
    (of_weight,) = torch.autograd.grad(got, leaves[1], upstream)
    assert torch.equal(of_weight, grads[1])


def declined() -> dict[str, list[Any]]:
    """Arguments of c3_conv that are not for one step: other tensors than it takes, and wrong ones."""
    input, weight, bias = c3_inputs()
    good: list[Any] = [input, weight, bias, MASKS]
    changes: dict[str, dict[int, Any]] = {
        "half": {0: input.half(), 1: weight.half(), 2: bias.half()},
        "whole numbers": {0: input.long(), 1: weight.long(), 2: bias.long()},
        "complex": {0: input.cfloat(), 1: weight.cfloat(), 2: bias.cfloat()},
        "on another device": {0: input.to("meta")},
        "transposed": {0: input.mT},
        "expanded": {1: weight[:, :, :1].expand(60, 5, 5)},
        "every second bias": {2: torch.zeros(32)[::2]},
        "other dtype of weight": {1: weight.double()},
        "other dtype of bias": {2: bias.double()},
        "a map less": {0: input[:, 1:].contiguous()},
        "three dimensions": {0: input[0]},
        "small maps": {0: torch.zeros(2, 6, 4, 14)},
        "narrow maps": {0: torch.zeros(2, 6, 14, 4)},
        "63 maps": {0: torch.zeros(2, 63, 14, 14)},
        "a connection less": {1: weight[1:]},
        "smaller kernel": {1: weight[:, 1:].contiguous()},
        "a bias less": {2: bias[1:]},
        "not a tensor": {0: None},
        "weight not a tensor": {1: "weight"},
        "bias not a tensor": {2: 1.0},
        "no table": {3: []},
        "table not a sequence": {3: 63},
        "no connection": {3: [0, *MASKS[1:]]},
        "negative mask": {3: [-1, *MASKS[1:]]},
        "mask beyond the maps": {3: [64, *MASKS[1:]]},
        "mask beyond 64 bits": {3: [2**70, *MASKS[1:]]},
        "mask not a number": {3: ["7", *MASKS[1:]]},
    }
    return {
        name: [changed.get(i, value) for i, value in enumerate(good)]
        for name, changed in changes.items()
    }


@pytest.mark.parametrize("name", declined())
def test_what_is_not_for_one_step_is_left_to_the_whole_way(name: str) -> None:
    input, weight, bias, table = declined()[name]
    assert _common.small_calls.c3_conv(input, weight, bias, table) is None
    if "bias" not in name:  # which the gradients do not take
        upstream = torch.randn(2, 16, 10, 10)
        small = _common.small_calls.c3_conv_backward
        assert small(upstream, input, weight, table, [True] * 3) is None


@pytest.mark.parametrize(
    "upstream",
    [
        torch.zeros(2, 16, 10, 10, dtype=torch.float64),
        torch.zeros(2, 16, 10, 9),
        torch.zeros(1, 16, 10, 10),
        torch.zeros(2, 16, 10, 10).mT,
        None,
    ],
    ids=["float64", "narrow", "one image", "transposed", "None"],
)
def test_gradients_that_do_not_fit_are_left_to_the_whole_way(upstream: Any) -> None:
    input, weight, _ = c3_inputs()
    small = _common.small_calls.c3_conv_backward
    assert small(upstream, input, weight, MASKS, [True] * 3) is None


def test_an_unknown_version_of_dlpack_is_not_used() -> None:
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = (
        ctypes.py_object,
        [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
    )
    version_2 = (ctypes.c_uint32 * 64)(*[2] * 64)  # a pointer in it leads nowhere
    api = new(ctypes.addressof(version_2), b"dlpack_exchange_api", None)
    other = new(ctypes.addressof(version_2), b"another", None)
    for capsule in (api, other, None, 7):
        calls = core.SmallCalls(capsule, torch.get_num_threads)
        assert calls.c3_conv(*c3_inputs(), MASKS) is None


def test_a_call_on_a_card_takes_its_stream_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arguments that a kernel for cards gets, from a stand-in of the core."""
    made: list[tuple[int, int]] = []
    calls: list[tuple[Any, ...]] = []

    class Cuda:
        @staticmethod
        def Stream(device: int, handle: int, allocate: Callable[[int], Tensor]) -> Any:
            made.append((device, handle))
            return device, handle, allocate

        @staticmethod
        def translate(*arguments: Any) -> None:
            calls.append(arguments)

    class Core:
        cuda = Cuda

    handles = {0: 7, 1: 8}
    monkeypatch.setattr(_common, "core", Core)
    monkeypatch.setattr(torch._C, "_cuda_getCurrentRawStream", handles.__getitem__, raising=False)
    _common._stream.cache_clear()
    try:
        for index in (0, 1, 0):
            _common.run_kernel("translate", torch.device("cuda", index), "shape", 1)
        handles[0] = 9  # another stream is the current one
        _common.run_kernel("translate", torch.device("cuda", 0), "shape", 1)
    finally:
        _common._stream.cache_clear()
    assert made == [(0, 7), (1, 8), (0, 9)]
    assert [call[:2] for call in calls] == [("shape", 1)] * 4
    assert [call[2][:2] for call in calls] == [(0, 7), (1, 8), (0, 7), (0, 9)]
