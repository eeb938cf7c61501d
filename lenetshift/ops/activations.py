"""The activations of the models and the fused ops."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lenetshift.checks import choices

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    name: getattr(torch, name) for name in choices.ACTIVATIONS
}
"""Name -> function."""
