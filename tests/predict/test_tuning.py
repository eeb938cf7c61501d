"""``tune=True`` uses the fastest of the methods that work; a stand-in for the clock says which that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import refused
from hand_loop import logits_by
from torch import nn

from lenetshift import LeNet5, ShiftGrid
from lenetshift.predict import sharing, tuning
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.predict.shared import NotShared

pytestmark = pytest.mark.usefixtures("one_thread")

GRID = ShiftGrid(range(-2, 3), range(-1, 2))
IMAGES = torch.rand(3, 2, 12, 12, generator=torch.Generator().manual_seed(0))

ORDER = ("shared", "rewritten channels last", "rewritten contiguous", "plain")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(400, 3))
    ).eval()


def timed_as(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> list[int]:
    """Let the methods take these times for each image; returns a list that gets how many are timed."""
    counts: list[int] = []

    def per_image(runs: list[Callable[[], float]]) -> list[float]:
        counts.append(len(runs))
        assert all(run() > 0 for run in runs)
        return list(seconds[: len(runs)])

    monkeypatch.setattr(sharing, "seconds_per_image", per_image)
    return counts


@pytest.mark.parametrize("fastest", range(4))
def test_the_fastest_is_used_and_answers_as_the_plain_method(
    monkeypatch: pytest.MonkeyPatch, fastest: int
) -> None:
    seconds = [0.5, 0.25, 0.125, 0.0625]
    seconds[fastest] = 0.0019
    counts = timed_as(monkeypatch, *seconds)
    evaluator = ShiftEvaluator(network(), GRID, tune=True)
    answers = evaluator.answer(IMAGES, return_logits=True)
    method, *layout = ORDER[fastest].split(" ", 1)
    assert answers.method == method
    others = sorted((s, name) for s, name in zip(seconds, ORDER, strict=True) if s != 0.0019)
    slower = ", ".join(f"{name} {tuning._milliseconds(s)}" for s, name in others)
    how = {
        "shared": "; all 15 windows of a 14 x 16 canvas at once; 1 BatchNorm folded",
        "rewritten": f"; 1 BatchNorm folded, {''.join(layout)}",
        "plain": "",
    }
    expected = f"{method}: fastest of four as timed: 1.9 ms an image, {slower}{how[method]}"
    assert answers.reason == expected
    assert answers.logits is not None
    torch.testing.assert_close(answers.logits, logits_by("plain", network(), IMAGES, GRID))
    evaluator.answer(IMAGES)
    assert counts == [4]  # once for each size and dtype of images


def test_methods_that_do_not_work_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = timed_as(monkeypatch, 0.002, 0.003, 0.004)

    def fails(*_: Any) -> Any:
        raise NotShared("by design")

    monkeypatch.setattr(sharing, "try_sharing", fails)
    reason = ShiftEvaluator(network(), GRID, tune=True).answer(IMAGES).reason
    assert reason.startswith(
        "rewritten: fastest of three as timed: 2 ms an image, rewritten contig"
    )
    monkeypatch.setattr(sharing, "try_rewriting", fails)
    answers = ShiftEvaluator(network(), GRID, tune=True).answer(IMAGES)
    assert (answers.method, answers.reason) == ("plain", "plain: by design")
    assert counts == [3]
    drawing = nn.Sequential(network(), nn.Dropout()).train()
    drawing.eval = lambda: drawing  # type: ignore[method-assign]
    drawing[1].train = lambda mode: drawing[1]  # type: ignore[method-assign, assignment]
    assert "random" in ShiftEvaluator(drawing, GRID, tune=True).answer(IMAGES).reason


def test_the_rewritten_method_times_its_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = timed_as(monkeypatch, 0.3, 0.2)
    evaluator = ShiftEvaluator(network(), GRID, tune=True, method="rewritten")
    reason = evaluator.answer(IMAGES).reason
    assert reason == (
        "rewritten: fastest of two as timed: 200 ms an image, rewritten channels last 300; "
        "1 BatchNorm folded, contiguous"
    )
    assert counts == [2]


def test_a_fused_op_is_used_without_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = timed_as(monkeypatch)
    digits = torch.zeros(2, 28, 28, dtype=torch.uint8)
    assert ShiftEvaluator(LeNet5(), GRID, tune=True).answer(digits).method == "fused"
    assert not counts


def test_methods_without_a_choice_are_refused() -> None:
    for method in ("fused", "shared", "plain"):
        expected = "expected False, unless the method is 'auto' or 'rewritten'"
        with refused(f"tune: got True with method='{method}', {expected}"):
            ShiftEvaluator(network(), GRID, tune=True, method=method)
    with refused("tune: got str, expected True or False"):
        ShiftEvaluator(network(), GRID, tune="yes")  # type: ignore[arg-type]


class Clock:
    """A clock that moves on by what each run takes."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def taking(self, seconds: list[float], n_images: int) -> Callable[[], float]:
        def run() -> float:
            self.now += seconds.pop(0)
            return n_images

        return run


def test_times_are_the_least_of_rounds_in_turn() -> None:
    clock = Clock()
    runs = [clock.taking([0.9, 0.2, 0.4], 2), clock.taking([0.3, 0.5, 0.6], 1)]
    assert tuning.seconds_per_image(runs, clock) == pytest.approx([0.1, 0.3])


def test_slow_methods_run_once() -> None:
    clock = Clock()
    runs = [clock.taking([2.0], 1), clock.taking([2.0], 1)]
    assert tuning.seconds_per_image(runs, clock) == pytest.approx([2, 2])


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0019, "1.9"),
        (0.01234, "12"),
        (0.1234, "123"),
        (0.000123, "0.12"),
        (0.0996, "100"),
        (0.00996, "10"),
    ],
)
def test_times_in_words(seconds: float, shown: str) -> None:
    assert tuning.as_timed(["plain"], [seconds]) == (
        f"fastest of one as timed: {shown} ms an image"
    )
