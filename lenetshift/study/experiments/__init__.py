"""What the report did (Tanaka 2024, "Characteristics of convolutional neural networks"), and what tests
its claims. Each experiment has its own file: what is varied, what is measured, what decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from ...checks.choices import EXPERIMENTS as NAMES
from .runs import Run

EXPERIMENTS: dict[str, Callable[[Sequence[int], bool], list[Run]]] = {
    name: import_module(f".{name}", __name__).runs for name in NAMES
}
"""Name of a study's experiment -> its runs for some seeds, all or those of a quick look."""
