"""CUDA graphs. Without a card: what the ops do in Python for CUDA tensors neither waits nor copies. On a
card: a replay computes what a call computes, bit for bit, with whatever its inputs then hold.
"""

from __future__ import annotations

import copy
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import SHIFTS
from cuda_matrix import MODELS, make_model, problem
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import lenetshift
from lenetshift import ops
from lenetshift.c3_table import C3_TABLE, table_masks
from lenetshift.checks.errors import ArgumentError, MethodError
from lenetshift.data.load import load_mnist
from lenetshift.models.build import without_weights
from lenetshift.models.fused import packed_parameters, sums_stay_finite

Tensors = Sequence[Tensor]

MASKS = table_masks(C3_TABLE)
CUDA = torch.device("cuda", 0)
SHAPES = {name: [p.shape for p in without_weights(name, "tanh").parameters()] for name in MODELS}


# Without a card


class NothingWaits(TorchDispatchMode):
    """Fails at an operation that waits for a card: it returns a number, or has tensors on two devices."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        results = func(*args, **(kwargs or {}))
        found = [v for v in tree_leaves((args, kwargs, results)) if isinstance(v, Tensor)]
        numbers = [v for v in tree_leaves(results) if isinstance(v, (bool, int, float))]
        devices = {tensor.device.type for tensor in found}
        assert len(devices) < 2, f"{func} copies between {sorted(devices)}"
        assert not (numbers and "cuda" in devices), f"{func} reads a number from a card"
        return results


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The kernels that ops call. Tensors have no values, may be on CUDA, and NothingWaits."""
    kernels: list[str] = []

    def run_kernel(kernel: str, device: torch.device, *_: Any) -> None:
        assert device == CUDA
        kernels.append(kernel)

    for name in ("c3_conv", "translate", "shift_each", "predict_shifts", "train_epoch"):
        module = importlib.import_module(f"lenetshift.ops.{name}")
        monkeypatch.setattr(module, "run_kernel", run_kernel)
    monkeypatch.setattr("lenetshift.checks.images.dense", lambda tensor: tensor)
    monkeypatch.setattr(Tensor, "data_ptr", lambda _: 0)
    with FakeTensorMode(), NothingWaits():
        yield kernels


def on_cuda(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(*shape, dtype=dtype, device=CUDA)


def code_of(op: str) -> Callable[..., Any]:
    """The implementation of an op: the op itself would run its fake kernel."""
    for file in ("c3_conv", "translate", "shift_each"):
        found = getattr(importlib.import_module(f"lenetshift.ops.{file}"), f"_{op}", None)
        if found is not None:
            return found
    return getattr(ops, op).__wrapped__


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_c3_conv_and_its_gradients_do_not_wait(launched: list[str], dtype: torch.dtype) -> None:
    input, weight = on_cuda(2, 6, 14, 14, dtype=dtype), on_cuda(60, 5, 5, dtype=dtype)
    output = code_of("c3_conv")(input, weight, on_cuda(16, dtype=dtype), MASKS)
    code_of("c3_conv_backward")(output, input, weight, MASKS, [True, True, True])
    assert launched == ["c3_conv", "c3_conv_backward"]


def test_moving_does_not_wait(launched: list[str]) -> None:
    shifts = on_cuda(2, 2, dtype=torch.int64)
    for dtype in (torch.uint8, torch.float32):
        images = on_cuda(2, 28, 28, dtype=dtype)
        code_of("translate")(images, shifts)
        code_of("shift_each")(images, shifts)
    code_of("translate_backward")(on_cuda(2, 2, 28, 28), shifts)
    assert launched == ["translate", "shift_each"] * 2 + ["translate_backward"]


@pytest.mark.parametrize("name", MODELS)
def test_evaluation_and_training_do_not_wait(launched: list[str], name: str) -> None:
    parameters = [on_cuda(*shape) for shape in SHAPES[name]]
    images, numbers = on_cuda(4, 28, 28, dtype=torch.uint8), on_cuda(4, dtype=torch.int64)
    code_of(f"predict_shifts_{name}")(images, [-1, 2], [0, 1], parameters, "tanh", True)
    code_of(f"train_epoch_{name}")(images, numbers, numbers, parameters, 0.1, 3)
    kernel = "lenet5" if "lenet5" in name else name
    assert launched == [f"predict_shifts_{kernel}", f"train_epoch_{kernel}"]


@pytest.mark.parametrize("name", MODELS)
def test_the_check_of_weights_does_not_wait_in_a_capture(
    launched: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lenetshift.models.fused.is_captured", lambda _: True)
    assert sums_stay_finite([on_cuda(*shape) for shape in SHAPES[name]])


def test_what_waits_is_noticed(launched: list[str]) -> None:
    numbers = on_cuda(3)
    with pytest.raises(AssertionError, match="copies between"):
        numbers.cpu()
    with pytest.raises(AssertionError, match="copies between"):
        torch.zeros(3).to(CUDA)
    with pytest.raises((AssertionError, RuntimeError)):  # in a build without CUDA by torch itself
        float(numbers.sum())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("factor", [1.0, 1e30, float("inf"), float("nan")])
def test_in_a_capture_the_same_weights_are_refused(
    name: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = [p.detach() for p in make_model(name, "tanh").parameters()]
    parameters[2].view(-1)[3] *= factor
    expected = sums_stay_finite(parameters)
    assert expected == (factor == 1)
    monkeypatch.setattr("lenetshift.models.fused.is_captured", lambda _: True)
    if expected:
        assert sums_stay_finite(parameters)
    else:  # on a CPU the assertion does not come later
        with pytest.raises(RuntimeError, match="expected finite weights, of which no sum"):
            sums_stay_finite(parameters)


def test_indirect_ops_refuse_a_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops.indirect, "is_captured", lambda _: True)
    table = torch.tensor([[0]])
    with pytest.raises(RuntimeError, match=r"^rows: a table is read on the CPU, which no CUDA "):
        ops.indirect_pool2d(torch.zeros(1, 1, 1, 1), table, table, largest=True)


# On a card

on_a_card = [
    pytest.mark.cuda,
    pytest.mark.skipif(
        os.environ.get("PYTORCH_NO_CUDA_MEMORY_CACHING") == "1",
        reason="torch captures no graph without its caching allocator",
    ),
]


def graph_of(run: Callable[[], Tensors], warm_ups: int = 2) -> tuple[torch.cuda.CUDAGraph, Tensors]:
    """A captured call, and the tensors that its replays write to."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(warm_ups):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = run()
    return graph, results


def check_replays(run: Callable[..., Tensors], *contents: Tensors) -> None:
    """Capture a call, and replay it with other contents of its inputs, the first ones again at the end."""
    inputs = [tensor.to(CUDA).clone() for tensor in contents[0]]
    graph, results = graph_of(lambda: run(*inputs))
    for values in (*contents[1:], contents[0]):
        for tensor, value in zip(inputs, values, strict=True):
            tensor.copy_(value)
        for result in results:
            result.fill_(77)  # whatever a replay leaves out shows
        graph.replay()
        expected = run(*(value.to(CUDA).clone() for value in values))
        for got, want in zip(results, expected, strict=True):
            assert torch.equal(got, want)


def c3_tensors(n: int, dtype: torch.dtype) -> list[tuple[Tensor, ...]]:
    first = problem(n, C3_TABLE, 6, (14, 14), dtype)
    return [first, tuple(tensor.flip(0) * 0.5 for tensor in first)]


def with_gradients(convolution: Callable[..., Tensor], *tensors: Tensor) -> Tensors:
    *inputs, upstream = tensors
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    output = convolution(*leaves)
    return output.detach(), *torch.autograd.grad(output, leaves, upstream)


def digits(first: int, n: int = 300) -> tuple[Tensor, Tensor]:
    dataset = load_mnist()[0]
    return dataset.images[first : first + n], dataset.labels[first : first + n]


class TestOnACard:
    """Each call, captured."""

    pytestmark = on_a_card

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
    @pytest.mark.parametrize("n", [1, 64])
    def test_c3_conv(self, n: int, dtype: torch.dtype) -> None:
        contents = [tuple(t.to(dtype) for t in each[:3]) for each in c3_tensors(n, torch.float32)]
        check_replays(lambda *t: (ops.c3_conv(*t, MASKS),), *contents)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("n", [1, 64, 500])
    def test_c3_conv_and_its_gradients(self, n: int, dtype: torch.dtype) -> None:
        run = lambda *t: with_gradients(lambda *leaves: ops.c3_conv(*leaves, MASKS), *t)  # noqa: E731
        check_replays(run, *c3_tensors(n, dtype))

    def test_translate_and_its_gradient(self) -> None:
        images = torch.randn(20, 3, 9, 12)
        upstream = torch.randn(20, len(SHIFTS), 3, 9, 12)

        def run(images: Tensor, upstream: Tensor, shifts: Tensor) -> Tensors:
            return with_gradients(lambda each: ops.translate(each, shifts), images, upstream)

        check_replays(
            run, (images, upstream, SHIFTS), (images.flip(0), upstream * 2, SHIFTS.flip(0))
        )

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    def test_shift_each(self, dtype: torch.dtype) -> None:
        n = len(SHIFTS)
        images = torch.randint(0, 200, (n, 28, 28)).to(dtype)
        run = lambda *t: (ops.shift_each(*t),)  # noqa: E731
        check_replays(run, (images, SHIFTS), (images.flip(1), SHIFTS.flip(0)))

    @pytest.mark.parametrize("name", MODELS)
    def test_predict_shifts(self, name: str) -> None:
        model = make_model(name, "tanh", 512)
        other = [parameter.detach() * 0.5 for parameter in model.parameters()]

        def run(images: Tensor, *parameters: Tensor) -> Tensors:
            op = getattr(ops, f"predict_shifts_{name}")
            found: Tensors = op(images, [-5, 6], [-2, 3], list(parameters), "tanh", True)
            return found

        first = [parameter.detach() for parameter in model.parameters()]
        check_replays(run, (digits(0)[0], *first), (digits(300)[0], *other))

    @pytest.mark.parametrize("name", MODELS)
    @pytest.mark.parametrize("step", [1, 2])
    def test_the_function_predict_shifts(self, name: str, step: int) -> None:
        """With its own check of the weights, which the graph contains."""
        model = make_model(name, "tanh", 512).to(CUDA)
        grid = lenetshift.ShiftGrid(range(-4, 5, step), range(-2, 3, step))
        images = digits(0)[0].to(CUDA)
        graph, (predictions, logits) = graph_of(
            lambda: lenetshift.predict_shifts(model, images, grid, return_logits=True)
        )
        for first, factor in ((300, 0.5), (600, 2)):
            images.copy_(digits(first)[0])
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter *= factor
            graph.replay()
            torch.cuda.synchronize()
            expected = lenetshift.predict_shifts(model, images, grid, return_logits=True)
            assert torch.equal(predictions, expected[0])
            assert torch.equal(logits, expected[1])

    @pytest.mark.parametrize("name", MODELS)
    @pytest.mark.parametrize("batch_size", [64, 100])
    def test_train_epoch(self, name: str, batch_size: int) -> None:
        """Three replays train on with other images, in another order."""
        train = getattr(ops, f"train_epoch_{name}")
        model = make_model(name, "tanh", 512).to(CUDA)
        ours, theirs = packed_parameters(model), packed_parameters(copy.deepcopy(model))
        start = [parameter.clone() for parameter in ours]
        images, labels = (tensor.to(CUDA) for tensor in digits(0))
        order = torch.arange(len(images), device=CUDA)
        graph, (losses,) = graph_of(
            lambda: (train(images, labels, order, ours, 0.05, batch_size),), 1
        )
        for parameter, value in zip(ours, start, strict=True):
            parameter.copy_(value)  # the warm-up trained
        for epoch in range(3):
            for tensor, values in zip((images, labels), digits(300 * epoch), strict=True):
                tensor.copy_(values)
            order.copy_(torch.randperm(len(order)))
            graph.replay()
            expected = train(images, labels, order, theirs, 0.05, batch_size)
            torch.cuda.synchronize()
            assert torch.equal(losses, expected)
            assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))

    def test_a_step_of_sgd_through_c3_conv(self) -> None:
        """Forward, loss, backward and update as one graph."""
        model = make_model("lenet5", "tanh").to(CUDA)
        eager = copy.deepcopy(model)
        images, labels = digits(0, 64)
        given = [images.unsqueeze(1).float().div(255).to(CUDA), labels.to(CUDA)]

        def step_of(trained: nn.Module) -> Callable[[], Tensors]:
            optimizer = torch.optim.SGD(trained.parameters(), lr=0.05)

            def step() -> Tensors:
                optimizer.zero_grad()
                loss = F.cross_entropy(trained(given[0]), given[1])
                loss.backward()
                optimizer.step()
                return (loss.detach(),)

            return step

        graph, (loss,) = graph_of(step_of(model))
        model.load_state_dict(eager.state_dict())
        step = step_of(eager)
        for first in (64, 128, 192):
            images, labels = digits(first, 64)
            given[0].copy_(images.unsqueeze(1).float().div(255))
            given[1].copy_(labels)
            graph.replay()
            (expected,) = step()
            torch.testing.assert_close(loss, expected)
        for ours, theirs in zip(model.parameters(), eager.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs)

    def test_what_cannot_be_captured_says_so(self) -> None:
        """And leaves the card as it was."""
        model = make_model("lenet5", "tanh").to(CUDA)
        images, labels = (tensor.to(CUDA) for tensor in digits(0, 3))
        dataset, on_the_cpu = lenetshift.Dataset(images, labels), images.cpu()
        settings = {"epochs": 1, "learning_rate": 0.1, "batch_size": 2, "seed": 0}
        refused: list[tuple[type[Exception], Callable[[], Any]]] = [
            (MethodError, lambda: lenetshift.predict_shifts(model, images, method="plain")),
            (ArgumentError, lambda: lenetshift.predict_shifts(model, images.float())),
            (ArgumentError, lambda: lenetshift.predict_shifts(model, on_the_cpu)),
            (MethodError, lambda: lenetshift.train(model, dataset, **settings)),
            (RuntimeError, lambda: ops.indirect_pool2d(
                images[:, None].float(), labels[:, None], labels[:, None], largest=True)),
        ]  # fmt: skip
        for error, call in refused:
            with torch.cuda.graph(torch.cuda.CUDAGraph()):
                images.add(1)  # torch warns of an empty graph
                with pytest.raises(error, match="CUDA graph"):
                    call()
        assert lenetshift.predict_shifts(model, images).shape == (3, 5, 11)
