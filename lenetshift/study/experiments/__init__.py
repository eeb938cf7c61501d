"""What the report did (Tanaka 2024, "Characteristics of convolutional neural networks"), and what tests
its claims. Each experiment has its own file: what is varied, what is measured, what decides.

:data:`EXPERIMENTS` is the one list of them: everything else about an experiment (its runs, its figure,
the parts of claims that it decides) is in its ``EXPERIMENT``.
"""

from __future__ import annotations

from . import (
    convolution,
    place_blind,
    pooling,
    position_bias,
    settings_grid,
    symmetry,
    table,
)
from .experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        table,
        convolution,
        pooling,
        symmetry,
        settings_grid,
        position_bias,
        place_blind,
    )
}
"""The experiments of a study, by name."""
