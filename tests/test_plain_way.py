"""The plain way's batch size: what is tried, what is kept, and how much memory decides."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lenetshift import plain
from lenetshift.evaluate import ShiftEvaluator
from lenetshift.plain import BATCH_SIZES, ROUNDS, TURNS, Pace
from lenetshift.shifts import ShiftGrid

SIZES = BATCH_SIZES["cpu"]


class Noting(nn.Module):
    """Notes how many patterns it is given at once."""

    def __init__(self, n_hidden: int = 4) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(784, n_hidden), nn.Linear(n_hidden, 10)
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        return self.out(x.flatten(1) @ self.hidden.weight.t())


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (60, 28, 28), dtype=torch.uint8)


def chosen(seconds: dict[int, tuple[float, float]]) -> int:
    """What a pace takes where a pattern costs so much: in a trial, and in the long run."""
    pace = Pace(None)
    pace._seconds = {size: [] for size in seconds}
    pace._trials = list(seconds) * ROUNDS
    for _ in range(len(seconds) * ROUNDS + 2 * TURNS):
        size, trial = pace.next()
        pace.took(size, seconds[size][0 if trial else 1])
    assert pace.next() == pace.next()
    return pace.next()[0]


@pytest.mark.parametrize("fastest", SIZES)
def test_the_fastest_is_taken(fastest) -> None:
    assert chosen({size: (1, 1) if size == fastest else (2, 2) for size in SIZES}) == fastest


def test_the_long_run_decides_between_the_two_fastest() -> None:
    assert chosen({128: (2, 2), 64: (1, 3), 512: (3, 1)}) == 128


@pytest.mark.parametrize(("n_hidden", "n_images"), [(12_000, 60), (4, 50_000)])
def test_only_what_a_pattern_adds_counts(n_hidden, n_images) -> None:
    """Weights and images, here of 38 MB, are there anyway; a forward pass sees views of them."""
    model = Noting(n_hidden)
    images = torch.zeros(n_images, 28, 28, dtype=torch.uint8)[:60]
    ShiftEvaluator(model, ShiftGrid(), method="plain").answer(images)
    assert max(model.seen) > sorted(SIZES)[-2]


def test_memory_bounds_the_batch(images, monkeypatch) -> None:
    monkeypatch.setattr(plain, "MOST_BYTES", 100 * (12_000 + 10) * 4)
    model = Noting(12_000)
    ShiftEvaluator(model, ShiftGrid(), method="plain").answer(images)
    assert 64 <= max(model.seen) <= 100


def test_batches_of_one_evaluation_share_the_search(images) -> None:
    """A loader's batches are smaller than the search: it goes on where it was, once."""
    model = Noting()
    evaluator = ShiftEvaluator(model, ShiftGrid(), method="plain")
    seen = []
    for part in images.repeat(10, 1, 1).split(10):
        model.seen.clear()
        evaluator.answer(part)
        seen.append(max(model.seen))
    assert len(set(seen[-20:])) == 1
    assert len(set(seen)) > 1
