"""Passes in several threads: the same answers, and PyTorch's number of threads as it was."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

from lenetshift import ShiftGrid
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.predict.shared import model as shared_model
from lenetshift.predict.shared.workers import in_threads


@pytest.fixture(autouse=True)
def three_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_every_piece_is_worked_on_by_one_thread_without_gradients() -> None:
    together = threading.Barrier(3)

    def work(piece: int) -> tuple[int, int, bool, bool, int]:
        together.wait(60)  # three at once
        state = (
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
        )
        return piece, *state, threading.get_ident()

    with torch.inference_mode():
        results = in_threads(work, range(6), 3)
    assert [result[:4] for result in results] == [(piece, 1, False, False) for piece in range(6)]
    assert len({ident for *_, ident in results}) == 3
    assert torch.get_num_threads() == 3


def test_an_error_ends_the_work() -> None:
    done = []

    def work(piece: int) -> None:
        done.append(piece)
        if piece == 0:
            raise MemoryError

    with pytest.raises(MemoryError):
        in_threads(work, range(1000), 2)
    assert len(done) < 1000
    assert torch.get_num_threads() == 3


def test_answers_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.Flatten()
    model = nn.Sequential(*layers, nn.Linear(8 * 144, 5)).eval()
    images = torch.rand(23, 12, 12)
    monkeypatch.setattr(shared_model, "WORK_BYTES", 1 << 20)  # several chunks
    answers: list[Tensor] = []
    for n_threads in (1, 2, 3):
        torch.set_num_threads(n_threads)
        evaluator = ShiftEvaluator(model, ShiftGrid(range(-2, 3), range(2)), method="shared")
        result = evaluator.answer(images, return_logits=True)
        assert torch.get_num_threads() == n_threads
        answers.append(result.logits)
    for other in answers[1:]:
        torch.testing.assert_close(other, answers[0], rtol=1e-5, atol=1e-5)
        assert torch.equal(other.argmax(-1), answers[0].argmax(-1))
