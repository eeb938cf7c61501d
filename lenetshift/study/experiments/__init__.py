"""What the report did (Tanaka 2024, "Characteristics of convolutional neural networks"), and what tests
its claims. Each experiment has its own file: what is varied, what is measured, what decides.

Everything about an experiment (its runs, its figure, the parts of claims that it decides) is in the
``EXPERIMENT`` of its file.
"""

from __future__ import annotations

from importlib import import_module

from ...checks.choices import EXPERIMENTS as NAMES
from .experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    name: import_module(f".{name}", __name__).EXPERIMENT for name in NAMES
}
"""The experiments of a study, by name."""
