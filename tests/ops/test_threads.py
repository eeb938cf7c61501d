"""Several threads use one model: each sees eval mode, and the model's mode is restored."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor, nn

from lenetshift.predict.predict_shifts import predict_shifts
from lenetshift.shifts import ShiftGrid


class Recorder(nn.Module):
    """Records its mode for each thread, and blocks the thread until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Dropout().eval()
        self.modes: dict[str, list[bool]] = {"first": [], "second": []}
        self.entered = {name: threading.Event() for name in self.modes}
        self.go_on = {name: threading.Event() for name in self.modes}

    def forward(self, x: Tensor) -> Tensor:
        name = threading.current_thread().name
        self.modes[name].append(self.training)
        self.entered[name].set()
        assert self.go_on[name].wait(60)
        return torch.zeros(len(x), 10)


def test_the_first_to_finish_does_not_end_the_others_eval_mode() -> None:
    model, images = Recorder(), torch.zeros(2, 28, 28, dtype=torch.uint8)
    assert model.training
    grid = ShiftGrid(range(1), range(1))
    ask = partial(predict_shifts, model, images, grid, method="plain", batch_size=1)
    threads = {name: threading.Thread(target=ask, name=name) for name in model.modes}
    for name, thread in threads.items():
        thread.start()
        assert model.entered[name].wait(60)
    for name, thread in threads.items():
        model.go_on[name].set()
        thread.join(60)
    assert model.modes == {"first": [False, False], "second": [False, False]}
    assert model.training
    assert not model.frozen.training


def test_right_answers_for_each_of_four_threads() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))
    images = torch.randint(0, 256, (4, 28, 28), dtype=torch.uint8)
    expected = predict_shifts(model, images)
    with ThreadPoolExecutor(4) as threads:
        for got in threads.map(lambda _: predict_shifts(model, images, batch_size=20), range(80)):
            assert torch.equal(got, expected)
    assert all(module.training for module in model.modules())
