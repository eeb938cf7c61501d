"""The activations that the models and the fused ops know."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}
"""Name -> function."""


def check_activation(activation: str) -> None:
    """Raise ValueError unless ``activation`` is one of ``ACTIVATIONS``."""
    if activation not in ACTIVATIONS:
        known = " or ".join(repr(name) for name in ACTIVATIONS)
        raise ValueError(f"activation: got {activation!r}, expected {known}")
