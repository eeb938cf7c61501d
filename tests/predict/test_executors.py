"""The rewritten network in other runtimes, and what surrounds them, with a stand-in for a runtime."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import refused
from hand_loop import hand_loop, logits_by
from torch import Tensor, nn

from lenetshift import MLP, LeNet5, Normalize, ShiftGrid, evaluate_shifts, predict_shifts
from lenetshift.checks.choices import EXECUTORS
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.predict.shared import RUNTIMES
from lenetshift.predict.shared.runtimes import Runtime

pytestmark = pytest.mark.usefixtures("one_thread")

GRID = ShiftGrid(range(-2, 3), range(-1, 2))
IMAGES = torch.rand(5, 2, 12, 12, generator=torch.Generator().manual_seed(0))


class Residual(nn.Module):
    """Operations of many kinds: padding, strides, groups, normalizations, a branch, attention, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1, groups=2), nn.ReLU6())
        self.branch = nn.Sequential(nn.Conv2d(8, 8, 1, 2), nn.GroupNorm(2, 8), nn.GELU())
        self.attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 3)
        for norm in (self.first[1],):
            norm.running_mean.normal_(0, 0.2)
            norm.running_var.uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        x = torch.max_pool2d(self.second(x) + self.branch(x), 2)
        return self.head(self.attention(x.flatten(2).transpose(1, 2)).mean(1))


def network() -> nn.Module:
    torch.manual_seed(0)
    return Residual().eval()


def by_pytorch(program: Any, example: Tensor) -> Callable[[Tensor], Tensor]:
    """A stand-in for a runtime: PyTorch runs the exported program, for one shape of batches."""
    module = program.module()

    def run(batch: Tensor) -> Tensor:
        assert batch.shape == example.shape
        return module(batch)

    return run


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RUNTIMES, "openvino", Runtime("Stand-in", (), by_pytorch))


def other(monkeypatch: pytest.MonkeyPatch, compiled: Any) -> None:
    monkeypatch.setitem(RUNTIMES, "openvino", Runtime("Stand-in", (), compiled))


@pytest.mark.parametrize("executor", EXECUTORS[1:])
@pytest.mark.parametrize(
    "settings",
    [{}, {"transform": Normalize([0.4] * 2, [0.2] * 2), "fill": 0.5}, {"batch_size": 7}],
)
def test_runtimes_answer_as_the_plain_method(executor: str, settings: dict[str, Any]) -> None:
    for name in RUNTIMES[executor].modules:
        pytest.importorskip(name)
    model = network()
    how = {key: value for key, value in settings.items() if key != "batch_size"}
    exact = hand_loop(model.double(), IMAGES.double(), GRID, **how)
    model.float()
    evaluator = ShiftEvaluator(model, GRID, executor=executor, **settings)
    for images in (IMAGES, IMAGES[:1]):
        answers = evaluator.answer(images, return_logits=True)
        assert answers.reason == (
            f"rewritten: as requested; 1 BatchNorm folded, run by {RUNTIMES[executor].title}"
        )
        assert answers.logits is not None
        torch.testing.assert_close(
            answers.logits.double(), exact[: len(images)], rtol=0, atol=2e-5 * exact.abs().max()
        )


@pytest.mark.parametrize("executor", EXECUTORS[1:])
@pytest.mark.parametrize("kind", [LeNet5, MLP])
def test_runtimes_run_the_packages_models(executor: str, kind: Any) -> None:
    for name in RUNTIMES[executor].modules:
        pytest.importorskip(name)
    torch.manual_seed(0)
    model, digits = kind(), torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8)
    answers = ShiftEvaluator(model, GRID, executor=executor).answer(digits, return_logits=True)
    assert answers.method == "rewritten", answers.reason
    plain = logits_by("plain", model, digits, GRID)
    torch.testing.assert_close(answers.logits, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("method", ["auto", "rewritten"])
@pytest.mark.parametrize("model", [network, LeNet5, MLP])
def test_the_exported_network_answers_as_the_plain_method(method: str, model: Any) -> None:
    made = model().eval()
    digits = torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8)  # which a fused op would take
    images = IMAGES if model is network else digits
    settings = {"method": method, "executor": "openvino"}
    answers = ShiftEvaluator(made, GRID, **settings).answer(images, return_logits=True)
    folded = "1 BatchNorm folded, " if model is network else ""
    assert answers.reason == f"rewritten: as requested; {folded}run by Stand-in"
    plain = logits_by("plain", made, images, GRID)
    torch.testing.assert_close(answers.logits, plain, rtol=1e-5, atol=1e-5)
    assert torch.equal(predict_shifts(made, images, GRID, **settings), answers.predictions)
    labels = torch.zeros(len(images), dtype=torch.int64)
    evaluation = evaluate_shifts(made, images, labels, GRID, **settings, progress=False)
    assert evaluation.reason == answers.reason


@pytest.mark.usefixtures("stand_in")
def test_tuning_times_the_runtime_in_place_of_the_layouts() -> None:
    reason = ShiftEvaluator(network(), GRID, executor="openvino", tune=True).answer(IMAGES).reason
    assert ": fastest of three as timed: " in reason
    assert {"shared", "plain", "Stand-in"} <= set(reason.replace(",", "").replace(":", "").split())


def test_a_network_that_cannot_be_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(program: Any, example: Tensor) -> Any:
        raise RuntimeError("no translation for aten::frobnicate\nsee the manual")

    other(monkeypatch, cannot)
    said = "Stand-in cannot convert it (RuntimeError: no translation for aten::frobnicate"
    answers = ShiftEvaluator(network(), GRID, executor="openvino").answer(IMAGES)
    assert answers.method == "plain"
    assert answers.reason.startswith(f"plain: {said}")
    assert "\n" not in answers.reason
    with refused(f"method: got 'rewritten', but {said}"):
        ShiftEvaluator(network(), GRID, method="rewritten", executor="openvino").answer(IMAGES)


def test_a_runtime_that_answers_wrongly_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(program: Any, example: Tensor) -> Any:
        run = by_pytorch(program, example)
        return lambda batch: run(batch) * (1 + 1e-3)

    other(monkeypatch, wrong)
    with pytest.warns(RuntimeWarning, match="the rewritten network gives different answers"):
        answers = ShiftEvaluator(network(), GRID, executor="openvino").answer(IMAGES)
    assert answers.method == "plain"


def test_a_runtime_that_fails_later_is_replaced_by_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fails = False

    def later(program: Any, example: Tensor) -> Any:
        run = by_pytorch(program, example)

        def unless(batch: Tensor) -> Tensor:
            if fails:
                raise RuntimeError("by design")
            return run(batch)

        return unless

    other(monkeypatch, later)
    evaluator = ShiftEvaluator(network(), GRID, executor="openvino")
    assert evaluator.answer(IMAGES).method == "rewritten"
    fails = True
    answers = evaluator.answer(IMAGES, return_logits=True)
    assert answers.reason == "plain: the rewritten network failed (RuntimeError: by design)"
    assert torch.equal(answers.logits, logits_by("plain", network(), IMAGES, GRID))


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_go_through_the_model(dtype: torch.dtype) -> None:
    model, name = nn.Sequential(network(), nn.Identity()).to(dtype), str(dtype)[6:]
    answers = ShiftEvaluator(model, GRID, executor="openvino").answer(IMAGES)
    expected = f"plain: Stand-in runs it in float32 only, not in {name}, in {name}"
    assert answers.reason == expected


@pytest.mark.usefixtures("stand_in")
def test_an_executor_is_for_the_rewritten_method() -> None:
    for method in ("fused", "shared", "plain"):
        expected = "expected 'torch', unless the method is 'auto' or 'rewritten'"
        with refused(f"executor: got 'openvino' with method='{method}', {expected}"):
            ShiftEvaluator(network(), GRID, method=method, executor="openvino")
    with refused("executor: got 'tensorrt', expected 'torch' or 'openvino' or 'onnxruntime'"):
        ShiftEvaluator(network(), GRID, executor="tensorrt")


def test_an_executor_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for executor in EXECUTORS[1:]:
        expected = (
            f"executor: got '{executor}', which is not installed, expected an installed one: "
            f"pip install 'lenetshift[{executor}]'"
        )
        with refused(expected):
            ShiftEvaluator(network(), GRID, executor=executor)


def test_every_executor_is_an_extra() -> None:
    text = Path(__file__).parents[2].joinpath("pyproject.toml").read_text(encoding="utf-8")
    assert list(RUNTIMES) == list(EXECUTORS[1:])
    assert all(f"\n{name} = [" in text for name in RUNTIMES)


def test_runtimes_are_imported_only_when_they_are_asked_for() -> None:
    code = (
        "import sys, torch, lenetshift; from torch import nn; "
        "m = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 3)); "
        "lenetshift.predict_shifts(m, torch.rand(2, 8, 8), lenetshift.ShiftGrid(range(2), range(2))); "
        "print([n for n in ('openvino', 'onnxruntime', 'onnx', 'torch.onnx', 'torch._dynamo') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_precision_settings_of_pytorch_stay_as_they_are() -> None:
    def settings() -> list[Any]:
        return [
            torch.get_float32_matmul_precision(),
            torch.backends.cuda.matmul.allow_tf32,
            torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction,
            torch.backends.cudnn.allow_tf32,
            torch.backends.cudnn.benchmark,
            torch.is_autocast_enabled(),
            torch.get_default_dtype(),
        ]

    before, seen = settings(), []

    class Watching(nn.Identity):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(settings())
            return x

    for method in ("shared", "rewritten", "plain"):
        ShiftEvaluator(nn.Sequential(Watching(), network()), GRID, method=method).answer(IMAGES)
    assert seen
    assert all(one == before for one in (*seen, settings()))
