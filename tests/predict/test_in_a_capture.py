"""In the capture of a CUDA graph, what would read a card's memory is refused in one line. The tests pretend
that there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import lenetshift
from lenetshift.checks.errors import ArgumentError, MethodError
from lenetshift.models import fused, train
from lenetshift.predict import evaluator

IMAGES = torch.arange(3 * 784).remainder(251).to(torch.uint8).view(3, 28, 28)


@pytest.fixture(autouse=True)
def captured(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (evaluator, fused, train):
        monkeypatch.setattr(module, "is_captured", lambda _: True)


def test_the_fused_method_answers_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lenetshift.build_model("lenet5", seed=0)
    in_capture = lenetshift.predict_shifts(model, IMAGES, return_logits=True)
    monkeypatch.undo()
    outside = lenetshift.predict_shifts(model, IMAGES, return_logits=True)
    assert all(torch.equal(a, b) for a, b in zip(in_capture, outside, strict=True))


def other_network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))


ONLY_FUSED = "but only a fused op can be captured in a CUDA graph"


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (other_network, {}, f"'auto', {ONLY_FUSED}, and only an unchanged float32 LeNet5"),
        (lenetshift.LeNet5, {"method": "plain"}, f"'plain', {ONLY_FUSED}"),
        (lenetshift.LeNet5, {"fill": 3}, f"'auto', {ONLY_FUSED}, and a fused op takes no crop"),
    ],
)
def test_other_methods_are_refused(
    model: Callable[[], torch.nn.Module], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(MethodError) as error:
        lenetshift.predict_shifts(model(), IMAGES, **options)
    assert str(error.value).startswith(f"method: got {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("images", "got"),
    [
        (IMAGES / 255, "float32 [3, 28, 28] on cpu"),
        (
            torch.empty(3, 28, 28, dtype=torch.uint8, device="meta"),
            "meta uint8 [3, 28, 28] on meta",
        ),
        (IMAGES.numpy(), "ndarray"),
    ],
)
def test_images_that_had_to_be_looked_at_or_copied_are_refused(images: Any, got: str) -> None:
    with pytest.raises(ArgumentError) as error:
        lenetshift.predict_shifts(lenetshift.LeNet5(), images)
    assert str(error.value) == (
        f"images: got {got}, expected uint8 on cpu in the capture of a CUDA graph"
    )


def test_train_is_refused() -> None:
    dataset = lenetshift.Dataset(IMAGES, torch.arange(3))
    with pytest.raises(MethodError, match="'fused', but train copies losses to the CPU"):
        lenetshift.train(
            lenetshift.LeNet5(), dataset, epochs=1, learning_rate=0.1, batch_size=2, seed=0
        )
