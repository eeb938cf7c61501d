"""Evaluations of a small network on a few digits."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from lenetshift import Evaluation, ShiftGrid, evaluate_shifts, load_mnist

GRID = ShiftGrid(range(-2, 3), range(-1, 2))
DIGITS = load_mnist()[1].subset(50)


def network(n_classes: int = 10, n_channels: int = 1, size: int = 28) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(n_channels, 3, 5, padding=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(3 * size**2, n_classes),
        )


def evaluate(*arguments: Any, **settings: Any) -> Evaluation:
    return evaluate_shifts(network(), *arguments, grid=GRID, **settings)
