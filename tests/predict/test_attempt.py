"""Sharing is an attempt: obstacles are reported, and wrong features are never used."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import torch
import torch.nn.functional as F
from hand_loop import logits_by
from random_networks import Lambda
from torch import Tensor, nn

from lenetshift import ShiftGrid, load_mnist
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.predict.predict_shifts import predict_shifts
from lenetshift.predict.shared import SharedModel, attempt, kernels, maps
from lenetshift.predict.shared import model as shared_model
from lenetshift.predict.shared.canvas import Frame
from lenetshift.predict.shared.recorder import record

GRID = ShiftGrid(range(-1, 2), range(-1, 2))
IMAGES = load_mnist()[1].images[:6]


def network(*behind: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), *behind),
        *(nn.Flatten(), nn.Linear(576, 10)),
    ).eval()


@pytest.mark.parametrize(
    "error",
    [RuntimeError("a\nb"), AssertionError(), KeyError("x"), RecursionError(), TypeError("t")],
)
@pytest.mark.parametrize(
    ("part", "method"),
    [
        *(("_check_hooks", "plain"), ("record", "plain"), ("compare", "plain")),
        *(("SharedModel", "rewritten"), ("_check_saving", "rewritten")),
    ],
)
def test_whatever_an_attempt_raises_another_method_is_used(
    part: str, method: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, part, Mock(side_effect=error))
    answers = ShiftEvaluator(network(), GRID).answer(IMAGES)
    assert answers.method == method
    assert answers.reason.startswith(f"{method}: the attempt to share its features failed (")
    assert type(error).__name__ in answers.reason
    assert "\n" not in answers.reason
    if part == "_check_saving":  # method="shared" shares even if that is slower
        return
    with pytest.raises(ValueError, match=r"^method: got 'shared', but the attempt to share"):
        ShiftEvaluator(network(), GRID, method="shared").answer(IMAGES)


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), SystemExit(3)])
def test_what_ends_a_program_ends_the_attempt(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "record", Mock(side_effect=error))
    with pytest.raises(type(error)):
        ShiftEvaluator(network(), GRID).answer(IMAGES)


def test_sharing_that_fails_later_is_replaced_by_the_plain_method(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, images = network(), IMAGES.repeat(100, 1, 1)
    plain = logits_by("plain", model, images, GRID)
    for budget in ("BLOCK_BYTES", "WORK_BYTES"):
        monkeypatch.setattr(shared_model, budget, 1 << 18)
    evaluator = ShiftEvaluator(model, GRID)
    asked = evaluator.answer(images[:12])
    assert asked.method == "shared"
    answer, calls = SharedModel.answer, []

    def third_fails(self: SharedModel, part: Tensor) -> Any:
        calls.append(len(part))
        if len(calls) == 3:
            raise RuntimeError("by design")
        return answer(self, part)

    monkeypatch.setattr(SharedModel, "answer", third_fails)
    done: list[int] = []
    answers = evaluator.answer(images, return_logits=True, on_progress=done.append)
    assert answers.reason == "plain: sharing its features failed (RuntimeError: by design)"
    assert torch.equal(answers.logits, plain)
    assert sum(done) == len(images)
    assert evaluator.answer(images[:2]).method == "plain"


@pytest.mark.parametrize(("most_bytes", "n_parts"), [(1 << 27, 1), (20_000, 3)])
def test_images_that_are_tried_one_by_one_are_answered_as_later(
    most_bytes: int, n_parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pass that measures the memory also answers the first image, on the first part of the grid."""
    monkeypatch.setattr(shared_model, "WORK_BYTES", 1)
    monkeypatch.setattr(shared_model, "MOST_BYTES", most_bytes)
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    frame = Frame(GRID, (28, 28), (28, 28), torch.zeros(1))
    shared = SharedModel(record(network(), images), frame, images)
    assert (shared.chunk, len(shared.frames), shared.n_tried) == (1, n_parts, 4)
    again = shared.answer(images)
    torch.testing.assert_close(shared.tried.logits, again.logits)
    assert shared.tried.products == again.products
    assert shared.tried.plain_products == again.plain_products


class Normalised(nn.Module):
    """As in torchvision: a value that is not a tensor is passed on."""

    def forward(self, x: Any) -> Any:
        if torch.is_tensor(x):
            x = (x - 0.13) / 0.31
        return x


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("as_transform", [True, False])
def test_a_condition_on_the_type_is_kept_in_every_dtype(
    dtype: torch.dtype, as_transform: bool
) -> None:
    model, transform = network().to(dtype), None
    if as_transform:
        transform = Normalised()
    else:
        model = nn.Sequential(Normalised(), *model).eval()
    auto = ShiftEvaluator(model, GRID, transform=transform).answer(IMAGES, return_logits=True)
    assert auto.method == "shared", auto.reason
    plain = logits_by("plain", model, IMAGES, GRID, transform=transform).double()
    largest = plain.abs().max().item()
    off = (auto.logits.double() - plain).abs().max().item()
    # One rounding per layer; in float32 and float64 also one for each of a logit's 576 terms, which add
    # up to its root.
    terms = 576**0.5 if dtype.itemsize >= 4 else 1
    assert off <= 2 * (1 + terms) * torch.finfo(dtype).eps * largest


@pytest.mark.parametrize("by", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_sharing_that_is_wrong_is_seen_in_every_dtype(
    dtype: torch.dtype, by: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(images: maps.Map, *args: Any, **settings: Any) -> maps.Map:
        """A convolution that lets a little of the next column into the canvas's last one."""
        out = maps.conv2d(images, *args, **settings)
        out.tensor[..., -1] += by * (out.tensor[..., -2] - out.tensor[..., -1] + 1)
        return out

    model = network().to(dtype)
    plain = logits_by("plain", model, IMAGES, GRID)
    monkeypatch.setattr(kernels, "conv2d", faulty)
    with pytest.warns(RuntimeWarning, match="shared features give different answers: moved by"):
        answers = ShiftEvaluator(model, GRID).answer(IMAGES, return_logits=True)
    assert answers.method == "rewritten"
    rounding = 1000 * torch.finfo(dtype).eps  # sums of 576 terms, in any order
    torch.testing.assert_close(answers.logits, plain, rtol=rounding, atol=rounding)


def test_a_recording_that_is_wrong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph of another network: shared and unshared agree, but not with the model."""
    other = network(nn.Tanh())
    monkeypatch.setattr(
        attempt, "record", lambda model, images, prefix: record(other, images, prefix)
    )
    answers = ShiftEvaluator(network(), GRID).answer(IMAGES)
    assert answers.reason == (
        "plain: the operations recorded for two images give different answers for a batch"
    )


def test_what_only_large_batches_do_is_seen() -> None:
    # Two or three images do not show that it centres large batches.
    batchwise = Lambda(lambda x: x if len(x) < 5 else x - x.mean(0, keepdim=True))
    answers = ShiftEvaluator(network(batchwise), GRID).answer(IMAGES)
    assert answers.reason.startswith(
        "plain: the operations recorded for two images give different answers"
    )


def test_a_map_taller_than_its_only_window_is_padded_at_the_window() -> None:
    """After a stride, the window's rows end before the map does."""
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 1, (2, 1)), nn.ConstantPad2d((0, 0, 1, 1), 0.25), nn.Conv2d(4, 3, 3)
    model = nn.Sequential(*layers, nn.Flatten()).double()
    images = torch.rand(4, 2, 6, dtype=torch.float64)
    grid = ShiftGrid(range(-2, 3), range(1))
    shared, plain = (logits_by(method, model, images, grid) for method in ("shared", "plain"))
    torch.testing.assert_close(shared, plain, rtol=0, atol=1e-12)


@pytest.mark.parametrize("between", [[], [nn.ReLU()], [nn.ConstantPad2d(2, 0.5)], [nn.Tanh()]])
def test_several_paddings_before_the_first_convolution(
    between: list[nn.Module],
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.ZeroPad2d(1), *between, nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.LazyLinear(10)),
    )
    model.eval()(torch.rand(1, 1, 28, 28))
    model.double()
    shared, plain = (logits_by(method, model, IMAGES, GRID) for method in ("shared", "plain"))
    torch.testing.assert_close(shared, plain, rtol=0, atol=1e-12)


def test_memory_is_checked_before_it_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def noting(*args: Any) -> Tensor:
        result = conv2d(*args)
        made.append(result.nbytes)
        return result

    conv2d = F.conv2d
    monkeypatch.setattr(F, "conv2d", noting)
    model = nn.Sequential(nn.Conv2d(1, 2400, 1), nn.AdaptiveMaxPool2d(1), nn.Flatten())
    images = torch.zeros(1, 64, 64, dtype=torch.uint8)
    grid = ShiftGrid(range(-40, 41, 8), range(-40, 41, 8))
    assert shared_model.MOST_BYTES < 2400 * (64 + 80) ** 2 * 4
    with pytest.raises(ValueError, match=r"^method: got 'shared', but .* would take 3\d\d MiB"):
        ShiftEvaluator(model, grid, method="shared", batch_size=1).answer(images)
    assert max(made) < shared_model.MOST_BYTES


class Merged(nn.Module):
    """A low-rank addition to a layer's weights, merged into them in eval mode (Hu et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(784, 10)
        self.a, self.b = (nn.Parameter(torch.randn(s) * 0.1) for s in ((10, 3), (3, 784)))
        self.merged = False

    def train(self, mode: bool = True) -> Merged:
        super().train(mode)
        if self.merged is mode:
            with torch.no_grad():
                self.layer.weight += (-1 if mode else 1) * self.a @ self.b
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        return self.layer(x) if self.merged else self.layer(x) + x @ (self.a @ self.b).t()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("within", [False, True])
def test_an_effect_of_the_mode_lasts_as_long_as_the_evaluation(
    training: bool, within: bool
) -> None:
    torch.manual_seed(0)
    merged = Merged()
    model = nn.Sequential(merged, nn.Dropout(0.5)) if within else merged
    model.train(training)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    seen = []
    merged.register_forward_hook(lambda module, args, output: seen.append(module.merged))
    ShiftEvaluator(model, GRID).answer(IMAGES)
    assert all(seen)
    assert (model.training, merged.training, merged.merged) == (training, training, not training)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


class SummedInFloat32(nn.Module):
    """Half-precision weights, for a small file, and sums in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(10, 784).half())

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.flatten(1), self.weight.float())


class Temperature(nn.Module):
    """A float64 number before float32 layers."""

    def __init__(self, as_buffer: bool) -> None:
        super().__init__()
        value = torch.tensor(2.0, dtype=torch.float64)
        if as_buffer:
            self.register_buffer("temperature", value)
        else:
            self.temperature = nn.Parameter(value)
        self.layers = network()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) / self.temperature.float()


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (SummedInFloat32, torch.float32),
        (lambda: Temperature(True), torch.float32),
        (lambda: Temperature(False), torch.float32),
        (lambda: network().half(), torch.float16),
        (lambda: network().bfloat16(), torch.bfloat16),
        (lambda: network().double(), torch.float64),
        (lambda: nn.Sequential(network().double(), nn.BatchNorm1d(10).double()), torch.float64),
        (lambda: nn.Flatten(), torch.float32),
    ],
)
@pytest.mark.parametrize("method", ["auto", "plain"])
def test_images_are_float32_if_the_network_takes_it(
    make: Callable[[], nn.Module], dtype: torch.dtype, method: str
) -> None:
    torch.manual_seed(0)
    model = make().eval()
    seen = set()

    class Outer(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            logits = super().forward(x)
            seen.add(x.dtype)
            return logits

    answers = ShiftEvaluator(Outer(model), GRID, method=method).answer(IMAGES)
    assert seen - {torch.float64} == {dtype} - {torch.float64}
    said = answers.reason.endswith(f", in {str(dtype).removeprefix('torch.')}")
    assert said == (dtype != torch.float32)


def test_the_error_of_a_network_that_takes_no_dtype_is_its_own() -> None:
    class Refuses(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1).half())

        def forward(self, x: Tensor) -> Tensor:
            raise LookupError(f"not {x.dtype}")

    with pytest.raises(LookupError, match=r"not torch\.float16"):
        predict_shifts(Refuses(), IMAGES)


@pytest.mark.parametrize("method", ["auto", "plain"])
def test_a_lazy_network_is_made_by_its_first_batch_and_can_be_trained(method: str) -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 5), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
    answers = ShiftEvaluator(model, GRID, method=method).answer(IMAGES)
    assert answers.method == ("shared" if method == "auto" else "plain")
    model(torch.rand(2, 1, 28, 28)).sum().backward()
    assert all(p.grad is not None and not p.is_inference() for p in model.parameters())


def test_a_reason_keeps_nothing_of_the_recording_alive() -> None:
    made: list[weakref.ref[Tensor]] = []

    def remembered(x: Tensor) -> Tensor:
        made.append(weakref.ref(x))
        return x if x.mean() > 0 else -x

    evaluator = ShiftEvaluator(network(Lambda(remembered)), GRID)
    answers = evaluator.answer(IMAGES)
    assert answers.reason.endswith("computes a number from the pixels of all images")
    gc.collect()
    assert made
    assert not any(ref() is not None for ref in made)
