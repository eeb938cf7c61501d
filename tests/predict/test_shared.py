"""The shared method gives the answers of the plain one, for every network that can be shared."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import python
from hand_loop import hand_loop, logits_by
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import Lambda, networks
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from lenetshift import Normalize, ShiftGrid
from lenetshift.checks.errors import MethodError
from lenetshift.predict.evaluator import ShiftEvaluator

pytestmark = pytest.mark.usefixtures("one_thread")


@st.composite
def shift_ranges(draw: st.DrawFn, size: int, most: int) -> range:
    """Up to ``most`` shifts of images of that many pixels."""
    step = draw(st.integers(1, 3))
    n = draw(st.integers(1, most))
    first = draw(st.integers(1 - size, size - 1))
    last = min(size - 1, first + (n - 1) * step)
    return range(first, last + 1, step)


@st.composite
def evaluations(
    draw: st.DrawFn, *, continuous: bool = False
) -> tuple[nn.Module, Tensor, ShiftGrid, dict[str, Any]]:
    """A network, images for it, a grid, and how the images are moved."""
    channels, height, width = draw(st.integers(1, 3)), *(draw(st.integers(9, 18)) for _ in "yx")
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    images = torch.rand(3, channels, height, width, generator=generator, dtype=torch.float64)
    if draw(st.booleans()):  # ink with blank margins
        images[:, :, : height // 3] = images[:, :, :, : width // 3] = images[:, :, :, -2:] = 0
    window, settings = (height, width), {}
    if draw(st.booleans()):
        grid = ShiftGrid(draw(shift_ranges(width, 5)), draw(shift_ranges(height, 4)))
        kind = draw(st.integers(0, 2))
        fills = [0, [0.25 * k for k in range(channels)], "circular"]
        settings["fill"] = fills[kind]
    else:
        window = draw(st.integers(6, height)), draw(st.integers(6, width))
        room = [(n - w) // 2 for n, w in zip((height, width), window, strict=True)]
        step = draw(st.integers(1, 2))
        dy, dx = (range(-(r // step) * step, r + 1, step) for r in room)
        grid = ShiftGrid(dx, dy)
        settings["crop"] = window
    if draw(st.booleans()):
        settings["transform"] = Normalize([0.3] * channels, 0.5)
    network = draw(networks((channels, *window), continuous=continuous))
    return network, images, grid, settings


@settings(max_examples=300, derandomize=True, suppress_health_check=list(HealthCheck))
@pytest.mark.slow
@given(evaluations())
def test_random_networks_answer_as_in_a_loop_by_every_method(evaluation: Any) -> None:
    model, images, grid, how = evaluation
    expected = hand_loop(model, images, grid, **how)
    for method in ("shared", "rewritten", "plain", "auto"):
        evaluator = ShiftEvaluator(model, grid, method=method, **how)
        try:
            answers = evaluator.answer(images, return_logits=True)
        except MethodError as error:
            if error.reason != "it has no convolution to rewrite":
                raise
            continue
        if method != "auto":
            assert answers.method == method, answers.reason
        torch.testing.assert_close(answers.logits, expected, rtol=0, atol=1e-10)


@settings(max_examples=150, derandomize=True, suppress_health_check=list(HealthCheck))
@pytest.mark.slow
@given(evaluations(continuous=True))
def test_random_networks_in_float32_answer_within_rounding(evaluation: Any) -> None:
    model, images, grid, how = evaluation
    exact = hand_loop(model, images.float().double(), grid, **how)
    model, images = model.float(), images.float()
    shared = ShiftEvaluator(model, grid, method="shared", **how).answer(images, return_logits=True)
    by_hand = hand_loop(model, images, grid, **how)
    # Both round the same sums, in another order: neither is further from the exact answer than the other by
    # more than a small factor and a few roundings of the largest logit.
    off, off_by_hand = ((logits - exact).abs().max().item() for logits in (shared.logits, by_hand))
    once = torch.finfo(torch.float32).eps * exact.abs().max().item()
    assert off <= 8 * off_by_hand + 64 * once


def small_network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 4, 3), nn.Tanh(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(576, 5)),
    )


def digits(n: int) -> Tensor:
    """Images with blank margins; large shifts lose some of their ink."""
    images = torch.zeros(n, 28, 28, dtype=torch.uint8)
    generator = torch.Generator().manual_seed(n)
    images[:, 3:25, 4:23] = torch.randint(0, 256, (n, 22, 19), generator=generator).byte()
    return images


def test_what_is_lost_at_the_frame_is_lost() -> None:
    model, images = small_network(0).double(), digits(5)
    grid = ShiftGrid(range(-6, 7), range(-5, 6, 2))
    shared = ShiftEvaluator(model, grid, method="shared").answer(images, return_logits=True)
    plain = logits_by("plain", model, images, grid)
    torch.testing.assert_close(shared.logits, plain, rtol=0, atol=1e-12)
    how = "all 78 windows of a 38 x 40 canvas at once; 1 BatchNorm folded, in float64"
    assert shared.reason == f"shared: {how}"


@pytest.mark.parametrize("method", ["shared", "plain"])
def test_a_model_is_left_as_it_was(method: str) -> None:
    model = small_network(0).train()
    model[1].eval()  # a frozen batch norm
    before = {name: value.clone() for name, value in model.state_dict().items()}
    attributes = [set(vars(module)) for module in model.modules()]
    modes = [module.training for module in model.modules()]
    random_state = torch.get_rng_state()
    answers = ShiftEvaluator(model, method=method).answer(digits(3))
    assert answers.method == method
    assert [module.training for module in model.modules()] == modes
    assert [set(vars(module)) for module in model.modules()] == attributes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), random_state)
    again = ShiftEvaluator(model.eval(), method=method).answer(digits(3))
    assert torch.equal(again.predictions, answers.predictions)


def test_the_images_are_left_as_they_were() -> None:
    overwriting = Lambda(lambda x: x.sub_(0.5).div_(0.5))
    layers = nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(1568, 3)
    model = nn.Sequential(overwriting, *layers)
    images = digits(3).double() / 255
    before = images.clone()
    logits = [logits_by(method, model.double(), images) for method in ("shared", "plain")]
    assert torch.equal(images, before)
    torch.testing.assert_close(*logits, rtol=0, atol=1e-12)


def test_several_threads_record_and_run_at_once() -> None:
    models, images = [small_network(seed).eval() for seed in range(4)], digits(4)
    x = torch.rand(2, 1, 28, 28)
    expected = [
        (ShiftEvaluator(m, method="plain").answer(images).predictions, m(x).detach())
        for m in models
    ]

    def ask(k: int) -> bool:
        model, (predictions, logits) = models[k % 4], expected[k % 4]
        if k % 3 == 0:
            return all(torch.equal(model(x), logits) for _ in range(40))
        answers = ShiftEvaluator(model, method="shared").answer(images)
        return torch.equal(answers.predictions, predictions)

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(ask, range(60)))


def test_a_network_that_is_recorded_answers_another_thread() -> None:
    entered, answered = threading.Event(), threading.Event()

    class Waiting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = small_network(0)

        def forward(self, x: Tensor) -> Tensor:
            if _get_current_dispatch_mode() is not None:
                entered.set()
                answered.wait(60)
            return self.layers(x)

    model, x = Waiting().eval(), torch.rand(2, 1, 28, 28)
    expected = model(x)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(ShiftEvaluator(model, method="shared").answer, digits(2))
        try:
            assert entered.wait(60)
            got = model(x)
        finally:
            answered.set()
        assert asked.result().method == "shared"
    assert torch.equal(got, expected)


MEMORY = """
import sys, torch
from pathlib import Path
from torch import nn
import lenetshift
torch.set_num_threads(1)

def resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))

kind, n = sys.argv[1], int(sys.argv[2])
if kind == "shared":
    images = torch.randint(0, 256, (n, 28, 28), dtype=torch.uint8)
    model = nn.Sequential(nn.Conv2d(1, 64, 1), nn.ReLU(), nn.MaxPool2d(7), nn.Flatten(),
                          nn.Linear(64 * 16, 10))
    grid = lenetshift.ShiftGrid()
elif kind == "padded":
    images = torch.randint(0, 256, (n, 28, 28), dtype=torch.uint8)
    model = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(),
                          nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
                          nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 196, 10))
    grid = lenetshift.ShiftGrid()
else:
    images = torch.randint(0, 256, (n, 3, 64, 64), dtype=torch.uint8)
    model = nn.Sequential(nn.Conv2d(3, 160, 1), nn.ReLU(), nn.MaxPool2d(8, padding=1), nn.Flatten(),
                          nn.Linear(160 * 64, 10))
    grid = lenetshift.ShiftGrid(range(-7, 8), range(-7, 8))
small = lenetshift.ShiftGrid(range(2), range(2))
method = "plain" if kind == "plain" else "shared"
lenetshift.predict_shifts(model, images[:2], small, method=method)
Path("/proc/self/clear_refs").write_text("5")
before = resident("VmRSS")
predictions = lenetshift.predict_shifts(model, images, grid, method=method)
print(resident("VmHWM") - before - predictions.nbytes / 2**20)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux measures it")
@pytest.mark.parametrize(("kind", "n"), [("shared", 2000), ("padded", 2500), ("plain", 1)])
def test_memory_is_bounded(kind: str, n: int) -> None:
    done = python("-c", MEMORY, kind, n)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert float(done.stdout) < 300  # MiB besides images and predictions
