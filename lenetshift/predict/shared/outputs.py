"""The logits among whatever a network returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def logits_of(output: Any) -> Any:
    """The logits in an output: its attribute or key ``logits`` (as Hugging Face's models and torchvision's
    InceptionOutputs have it), or the only item of a tuple or list. Any other output is returned as it is.

    >>> import torch
    >>> logits_of({"loss": None, "logits": torch.zeros(2, 10)}).shape
    torch.Size([2, 10])
    """
    if isinstance(output, Tensor):
        return output
    found = output.get("logits") if isinstance(output, Mapping) else None
    if found is None:
        found = getattr(output, "logits", None)
    if isinstance(output, (tuple, list)) and len(output) == 1:
        found = output[0] if found is None else found
        if not isinstance(found, Tensor) or found.dim() != 2:
            return output
    return found if isinstance(found, Tensor) else output
