"""What settles the answers besides the images, as values of JSON."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import torch

from ...models.dtypes import device_of
from ...ops import isa
from ...shifts import ShiftGrid
from ...version import __version__
from .fingerprint import fingerprint

if TYPE_CHECKING:
    from ..evaluator import ShiftEvaluator


def ground(device: torch.device) -> dict[str, Any]:
    """What settles the answers of a model on a device besides the evaluator, in this process.

    Args:
        device: the model's; of a GPU, the name of that card counts.
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "lenetshift": __version__,
        "torch": str(torch.__version__),
        "isa": isa(),
        "device": name,
        "python": ".".join(platform.python_version_tuple()[:2]),  # for its bytecode
    }


def settings_of(evaluator: ShiftEvaluator, return_logits: bool) -> dict[str, Any]:
    """Everything but the images that settles the answers: plain values as they are, others by the
    beginnings of their SHA-256."""
    code, weights = fingerprint(evaluator.model)
    settings = {"code": code[:16], "weights": weights[:16], "scores": return_logits}
    for name, value in vars(evaluator).items():
        if name != "model" and not name.startswith("_"):
            settings[name] = _as_json(value)
    return {**settings, **ground(device_of(evaluator.model))}


def _as_json(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if isinstance(value, ShiftGrid):
        return {"dx": list(value.dx), "dy": list(value.dy)}
    code, weights = fingerprint(value)
    return f"{code[:16]} {weights[:16]}"
