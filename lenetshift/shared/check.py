"""The comparison of the shared with the plain way, before the first is trusted."""

from __future__ import annotations

import torch
from torch import Tensor

from ..shifts import ShiftGrid
from .canvas import Frame
from .network import agreeing
from .way import Ask, SharedAnswers

RANDOM = 4
"""Patterns of each image that are drawn at random, and as many of those that were cut."""


def difference(frame: Frame, images: Tensor, answers: SharedAnswers, ask: Ask) -> str | None:
    """Compare some patterns of some images: unmoved, the corners, some that were cut, at random.

    Args:
        frame: of the images.
        images: floating ``[n, C, H, W]`` in 0..1.
        answers: to them, by the shared way.
        ask: the plain way.

    Returns:
        The worst difference in words, or None where all agree but for rounding.
    """
    n, i, j = _chosen(frame.grid, answers.cut).to(images.device).unbind(1)
    shared = answers.logits[n, i, j]
    plain = ask(frame.patterns(images, n, i, j))
    if shared.shape != plain.shape:
        return f"it gives {shared.shape[1]} numbers a pattern, the model {plain.shape[1]}"
    agreed, allowed = agreeing(shared, plain)
    agree = agreed.all(1)
    if agree.all():
        return None
    differences = (shared - plain).abs().amax(1).nan_to_num(torch.inf).masked_fill(agree, -1)
    worst = int(differences.argmax())
    dy, dx = frame.grid.dy[int(i[worst])], frame.grid.dx[int(j[worst])]
    return (
        f"moved by (dx, dy) = ({dx}, {dy}), logits differ by {differences[worst]:.1e}, "
        f"expected at most {allowed:.1e}"
    )


def _chosen(grid: ShiftGrid, cut: Tensor) -> Tensor:
    """The patterns to compare: rows (image, row and column of the grid), int64 ``[m, 3]``."""
    n, n_dy, n_dx = cut.shape
    middle = (_nearest_to_0(grid.dy), _nearest_to_0(grid.dx))
    corners = [(i, j) for i in (0, n_dy - 1) for j in (0, n_dx - 1)]
    fixed = [(k, *place) for k in range(n) for place in (middle, *corners)]
    generator = torch.Generator("cpu").manual_seed(0)
    cut = cut.cpu()
    drawn = []
    for places in (torch.ones_like(cut).nonzero(), cut.nonzero()):
        order = torch.randperm(len(places), generator=generator, device="cpu")
        drawn.append(places[order[: RANDOM * n]])
    chosen: Tensor = torch.cat([torch.tensor(fixed, device="cpu"), *drawn]).unique(dim=0)
    return chosen


def _nearest_to_0(shifts: range) -> int:
    return min(range(len(shifts)), key=lambda k: abs(shifts[k]))
