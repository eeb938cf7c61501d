"""Checks of what facts are computed from."""

from __future__ import annotations

import torch
from torch import Tensor

from ...checks.errors import ArgumentError
from ...checks.tensors import check_tensor


def check_several_images(name: str, images: Tensor) -> None:
    """Raise ArgumentError unless these are two or more digits, uint8 ``[N, 28, 28]``."""
    check_tensor(name, images, (torch.uint8,), (None, 28, 28))
    if len(images) < 2:
        raise ArgumentError(name, f"{len(images)} of them", "2 or more")
