"""Whether two results differ by rounding only."""

from __future__ import annotations

import torch
from torch import Tensor


def agree(first: Tensor, second: Tensor, relative: float) -> Tensor:
    """Which logits ``[n, K]`` of two results differ by at most a fraction ``relative``.

    It is a fraction of the logit itself, or of what is large among the pattern's logits and among all. A
    column that is the same for all patterns, such as a class that is masked by -1e9, does not count as large
    for the others.
    """
    if first.shape != second.shape or first.dtype != second.dtype:
        return torch.zeros((), dtype=torch.bool)
    if not first.is_floating_point():
        return first == second
    first, second = first.double(), second.double()
    size = second.nan_to_num(0, 0, 0).abs()
    varying = (second != second[:1]).any(0)
    large = size[:, varying] if len(second) > 1 and varying.any() else size
    if not large.numel():
        return first == second
    usual = large.quantile(0.75) if large.numel() < 1 << 20 else large.max()
    allowed = relative * torch.maximum(size, large.amax(1, keepdim=True).clamp(max=4 * usual))
    allowed = allowed.maximum(relative * usual)
    return (
        ((first - second).abs() <= allowed) | (first == second) | (first.isnan() & second.isnan())
    )
