"""The fused method: one op call for a model of the package."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..models.fused import fused_name, packed_parameters
from ..shifts import ShiftGrid
from .answers import Answers

PATTERNS_AT_ONCE = 1 << 22
"""The most patterns per op call if a grid with steps uses only some of them."""


def answers(model: nn.Module, images: Tensor, grid: ShiftGrid, return_logits: bool) -> Answers:
    """The answers of a model that has a fused op to uint8 images of 28x28.

    The op computes every shift between the grid's first and last; a grid with steps selects from them.
    """
    parameters = packed_parameters(model)
    predict = getattr(torch.ops.lenetshift, f"predict_shifts_{fused_name(model)}")
    digits = images.reshape(-1, 28, 28).to(parameters[0].device)
    dx, dy = ([shifts[0], shifts[-1] + 1] for shifts in (grid.dx, grid.dy))
    n_shifts = (dx[1] - dx[0]) * (dy[1] - dy[0])
    at_once = len(digits) if n_shifts == len(grid) else PATTERNS_AT_ONCE // n_shifts
    predictions, logits = [], []
    for part in digits.split(max(1, at_once)):
        every = predict(
            part.contiguous(),
            dx,
            dy,
            parameters,
            activation=model.activation,
            return_logits=return_logits,
        )
        predictions.append(every[0][:, :: grid.dy.step, :: grid.dx.step])
        if return_logits:
            logits.append(every[1][:, :: grid.dy.step, :: grid.dx.step])
    return Answers(
        _joined(predictions).to(images.device),
        _joined(logits).to(images.device) if return_logits else None,
        "fused",
        f"fused: {type(model).__name__} has its own op",
        len(parameters[-1]) if len(images) else 0,  # the output layer's bias
        0,  # weights whose sums may overflow are not taken
    )


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0].contiguous() if len(parts) == 1 else torch.cat(list(parts))
