"""The batch of a rewritten network grows with its weights, if it has a single convolution."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lenetshift.predict.shared import ordinary
from lenetshift.predict.shared.recorder import record

N_WEIGHTS = 2 * 9 + 2 + 2 * 36 * 10 + 10


@pytest.mark.parametrize(("times", "size"), [(0.9, 4), (1.1, 8), (1.9, 8), (2.1, 16), (100, 16)])
def test_more_weights_take_larger_batches(monkeypatch, times, size) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 10)).eval()
    graph = record(model, torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    monkeypatch.setattr(ordinary, "MANY_WEIGHTS", round(N_WEIGHTS / times))
    assert ordinary.batch_size_for(graph, 4) == size
