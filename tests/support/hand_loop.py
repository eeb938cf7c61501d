"""The logits of a network under every shift: in a loop written out, and by the package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lenetshift import ShiftGrid
from lenetshift.predict.evaluator import ShiftEvaluator


def hand_loop(
    model: nn.Module,
    images: Tensor,
    grid: ShiftGrid,
    *,
    fill: float | Sequence[float] | str = 0,
    crop: tuple[int, int] | None = None,
    transform: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Move all images by each shift, by definition, and run the network on them.

    Args:
        images: floating ``[N, C, H, W]``, as the network takes them; uint8 ``[N, H, W]`` are taken as
            float32 in 0..1.

    Returns:
        ``[N, n_dy, n_dx, K]``.
    """
    if images.dtype == torch.uint8:
        images = images.unsqueeze(1) / 255
    _, channels, height, width = images.shape
    h, w = crop or (height, width)
    # as torchvision.transforms.functional.center_crop
    top, left = round((height - h) / 2.0), round((width - w) / 2.0)
    logits = []
    for dx, dy in grid.shifts().tolist():
        rows, columns = torch.arange(height) - dy, torch.arange(width) - dx
        moved = images[:, :, rows[:, None] % height, columns % width]
        if fill != "circular":
            outside = ((rows < 0) | (rows >= height))[:, None] | (columns < 0) | (columns >= width)
            blank = torch.tensor(fill, dtype=images.dtype).expand(channels).view(-1, 1, 1)
            moved = torch.where(outside, blank, moved)
        seen = moved[:, :, top : top + h, left : left + w].clone()
        with torch.no_grad():
            logits.append(model(transform(seen) if transform else seen))
    return torch.stack(logits, dim=1).unflatten(1, grid.shape)


def logits_by(
    method: str, model: nn.Module, images: Tensor, grid: ShiftGrid | None = None, **settings: Any
) -> Tensor:
    """The package's logits: ``[N, n_dy, n_dx, K]``."""
    evaluator = ShiftEvaluator(model, grid or ShiftGrid(), method=method, **settings)
    logits = evaluator.answer(images, return_logits=True).logits
    assert logits is not None
    return logits
