"""What the report did (Tanaka 2024, "Characteristics of convolutional neural networks"), and what tests
what it claims, a file an experiment: what is varied, what is measured, what decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import (
    convolution,
    place_blind,
    pooling,
    position_bias,
    settings_grid,
    symmetry,
    table,
)
from .runs import Run

EXPERIMENTS: dict[str, Callable[[Sequence[int], bool], list[Run]]] = {
    "table": table.runs,
    "convolution": convolution.runs,
    "pooling": pooling.runs,
    "symmetry": symmetry.runs,
    "settings_grid": settings_grid.runs,
    "position_bias": position_bias.runs,
    "place_blind": place_blind.runs,
}
"""Name of a study's experiment -> its runs for some seeds, all or a quick look's."""
