"""Whether a CUDA graph is being captured: nothing may read a card's memory then."""

from __future__ import annotations

import torch


def is_captured(device: torch.device) -> bool:
    """Whether a CUDA graph is being captured on a device's current stream."""
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return torch.cuda.is_current_stream_capturing()
