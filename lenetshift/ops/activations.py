"""The activations of the models and the fused ops."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lenetshift.checks import choices

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    name: getattr(torch, name) for name in choices.ACTIVATIONS
}
"""Name -> function."""

ACTIVATION_LAYERS: dict[str, Callable[[], nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}
"""Name -> what makes a layer."""
