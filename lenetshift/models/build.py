"""Makes a model by its name, with random weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from ..checks.describe import shown
from ..checks.errors import ArgumentError
from ..checks.numbers import check_seed
from ..data.seeds import generator
from . import lenet5, perceptrons
from .digit_model import DigitModel
from .lenet5 import C3Conv
from .table import BASE_MODELS

MODELS: dict[str, Callable[[str], DigitModel]] = {
    spec.name: getattr(lenet5, spec.made_by, None) or getattr(perceptrons, spec.made_by)
    for spec in BASE_MODELS
}
"""Name -> class, in the order of :data:`lenetshift.models.table.ALL_MODELS`."""

MODEL_NAMES: tuple[str, ...] = tuple(MODELS)


def build_model(name: str, activation: str = "tanh", *, seed: int | None = None) -> nn.Module:
    """A new model with random weights.

    Args:
        name: one of ``MODEL_NAMES``.
        activation: ``"tanh"`` or ``"relu"``.
        seed: 0..2**32 - 1; the weights then depend on name and seed only, and are drawn on the CPU from
            their own generator. None draws from torch's global generator.

    Raises:
        ValueError: an unknown name or activation, or a seed out of range.

    Example:
        >>> import lenetshift
        >>> model = lenetshift.build_model("pooled_mlp", "relu", seed=0)
        >>> model
        PooledMLP(
          activation='relu'
          (hidden): Linear(in_features=49, out_features=512, bias=True)
          (output): Linear(in_features=512, out_features=10, bias=True)
        )
    """
    if not isinstance(name, str) or name not in MODELS:
        raise ArgumentError("name", shown(name), f"one of {', '.join(MODEL_NAMES)}")
    if seed is None:
        return MODELS[name](activation)
    seed = check_seed(seed)
    model = without_weights(name, activation).to_empty(device="cpu")
    draw_weights(model, generator(seed))
    return model


def without_weights(name: str, activation: str) -> nn.Module:
    """A model on the meta device: it has shapes, but no memory, and draws no random numbers."""
    with torch.device("meta"):
        return MODELS[name](activation)


def draw_weights(model: nn.Module, generator: torch.Generator) -> None:
    """Draw the initial weights that the layers draw when they are made, in the same order."""
    for layer in model.modules():
        if isinstance(layer, C3Conv):
            layer.reset_parameters(generator)
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):  # as in their own reset_parameters
            assert layer.bias is not None
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            bound = 1 / math.sqrt(layer.weight[0].numel())
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
