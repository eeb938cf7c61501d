"""The rewritten method: an equal network, made from what a network recorded of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import refused
from hand_loop import logits_by
from random_networks import Lambda
from torch import Tensor, nn

from lenetshift import Normalize, ShiftGrid
from lenetshift.predict import sharing
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.predict.shared import NotShared, attempt
from lenetshift.predict.shared.graph import Graph
from lenetshift.predict.shared.rewriting import rewritten

GRID = ShiftGrid(range(-2, 3), range(-1, 2))
IMAGES = torch.randint(0, 256, (5, 3, 12, 12), generator=torch.Generator().manual_seed(0)).byte()


def not_shared(*_: Any) -> Any:
    raise NotShared("by design")


def network() -> nn.Sequential:
    """Batch normalizations with statistics of their own, after convolutions and elsewhere."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, 2, 1, groups=2), nn.BatchNorm2d(8), nn.ReLU6()),
        *(nn.Flatten(), nn.Linear(288, 10)),
    )
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
    return layers.eval()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"transform": Normalize([0.4] * 3, [0.2] * 3)},
        {"fill": 9, "crop": (8, 9)},
        {"batch_size": 7},
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_answers_as_the_plain_method(dtype: torch.dtype, settings: dict[str, Any]) -> None:
    model = network().to(dtype)
    if "crop" in settings:
        model[-1] = nn.Linear(8 * 4 * 5, 10).to(dtype)
    grid = ShiftGrid(range(-1, 2), range(-2, 3)) if "crop" in settings else GRID
    plain, new = (
        ShiftEvaluator(model, grid, method=method, **settings).answer(IMAGES, return_logits=True)
        for method in ("plain", "rewritten")
    )
    assert new.method == "rewritten"
    expected = "rewritten: as requested; 2 BatchNorms folded, channels last"
    assert new.reason.removesuffix(", in float64") == expected
    # One rounding for each of the 27, 36 and 288 terms of a sum adds up to its root; four covers both sides.
    terms = 27**0.5 + 36**0.5 + 288**0.5
    largest = plain.logits.abs().max().item()
    bound = 4 * terms * torch.finfo(dtype).eps * largest
    torch.testing.assert_close(new.logits, plain.logits, rtol=0, atol=bound)


def test_a_network_whose_features_cannot_be_shared_is_rewritten() -> None:
    torch.manual_seed(0)
    mixing = Lambda(lambda x: F.interpolate(x, size=9, mode="bilinear"))
    model = nn.Sequential(
        mixing, nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(196, 3)
    ).eval()
    answers = ShiftEvaluator(model, GRID).answer(IMAGES, return_logits=True)
    assert answers.method == "rewritten"
    assert "upsample_bilinear2d" in answers.reason or "interpolate" in answers.reason
    plain = logits_by("plain", model, IMAGES, GRID)
    torch.testing.assert_close(answers.logits, plain, rtol=1e-5, atol=1e-5)


def test_nothing_to_rewrite() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(432, 3)).eval()
    with refused("method: got 'rewritten', but it has no convolution to rewrite"):
        ShiftEvaluator(model, GRID, method="rewritten").answer(IMAGES)
    assert ShiftEvaluator(model, GRID).answer(IMAGES).method == "plain"


def test_a_network_that_is_rewritten_wrongly_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    plain = ShiftEvaluator(model, GRID, method="plain").answer(IMAGES)

    def wrong(graph: Graph) -> Graph:
        nodes = [replace(node, clamp=None) for node in rewritten(graph).nodes]
        return replace(rewritten(graph), nodes=tuple(nodes))

    monkeypatch.setattr(attempt, "rewritten", wrong)
    said = "the rewritten network gives different answers: moved by"
    with refused(f"method: got 'rewritten', but {said}"):
        ShiftEvaluator(model, GRID, method="rewritten").answer(IMAGES)
    monkeypatch.setattr(sharing, "try_sharing", not_shared)
    evaluator = ShiftEvaluator(model, GRID)
    with pytest.warns(RuntimeWarning, match=said):
        answers = evaluator.answer(IMAGES)
    assert answers.method == "plain"
    assert torch.equal(answers.predictions, plain.predictions)


def test_a_rewritten_network_that_fails_later_is_replaced_by_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, images = network(), IMAGES.repeat(40, 1, 1, 1)
    plain = logits_by("plain", model, images, GRID)
    calls = []
    run = Graph.run

    def third_fails(self: Graph, batch: Tensor) -> Tensor:
        calls.append(len(batch))
        if len(calls) == 3:
            raise RuntimeError("by design")
        return run(self, batch)

    monkeypatch.setattr(sharing, "try_sharing", not_shared)
    evaluator = ShiftEvaluator(model, GRID)
    assert evaluator.answer(images[:2]).method == "rewritten"
    monkeypatch.setattr(Graph, "run", third_fails)
    done: list[int] = []
    answers = evaluator.answer(images, return_logits=True, on_progress=done.append)
    assert answers.reason == "plain: the rewritten network failed (RuntimeError: by design)"
    assert torch.equal(answers.logits, plain)
    assert sum(done) == len(images)
