"""The comparison of shared features with the plain method, before they are used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ...shifts import ShiftGrid
from .canvas import Frame
from .geometry import NotShared
from .graph import NO_FAULT, Graph
from .model import SharedModel
from .rounding import agree

RANDOM = 2
"""Patterns per image that are drawn at random, and as many again from those that were cut."""

FEW = 3
"""Images for which the graph is also run without sharing, in its own dtype and in float64."""

AT_ONCE = 4
"""Patterns that the graph is run on at once, to save memory."""


class LogitsDiffer(NotShared):
    """Shared features give other logits than the plain method for the first images."""


def compare(shared: SharedModel, images: Tensor, plain: Callable[[Tensor], Tensor]) -> None:
    """Compare the logits of some patterns: unmoved, at the grid's corners, cut, and at random.

    Three comparisons, each as strict as rounding permits: the graph without sharing against the model, that
    is the same operations on the same patterns; shared features against the graph without sharing, in
    float64, where rounding hides no fault; and shared features against the model in the model's dtype.

    Args:
        shared: tried on the images.
        images: floating-point ``[n, C, H, W]`` in 0..1.
        plain: the logits of patterns by the plain method.

    Raises:
        LogitsDiffer: shared features give wrong logits.
        NotShared: that cannot be decided.
    """
    frame, graph = shared.frame, shared.graph
    chosen = _chosen(frame.grid, shared.tried.cut).to(images.device)
    n, i, j = chosen.unbind(1)
    patterns = frame.patterns(images, n, i, j)
    expected = plain(patterns.clone())
    few = n < FEW
    alone = torch.cat([graph.run(part) for part in patterns[few].split(AT_ONCE)])
    if not agree(alone, expected[few], _same_operations(graph, expected.dtype)).all():
        raise NotShared("the operations recorded for two images give different answers for a batch")
    wide = graph.in_float64()
    try:
        exact = torch.cat([wide.run(part.double()) for part in patterns[few].split(AT_ONCE)])
        rounded = replace(frame, fill=_as_filled(frame.fill, images.dtype))
        wide_logits = SharedModel(wide, rounded, images[:FEW].double()).tried.logits
    except NotShared:
        raise
    except Exception as error:
        raise NotShared(f"it cannot be checked in float64 ({type(error).__name__})") from error
    _check_logits(frame, wide_logits[n[few], i[few], j[few]], exact, chosen[few], NO_FAULT)
    logits, relative = shared.tried.logits[n, i, j], graph.rounding(expected.dtype)
    _check_logits(frame, logits, expected, chosen, relative)


def _same_operations(graph: Graph, dtype: torch.dtype) -> float:
    """The relative difference allowed for the same operations: a compiled network may sum in another order.
    In half precision the last rounding hides that."""
    if not dtype.is_floating_point:
        return 0.0
    return 2 * torch.finfo(dtype).eps if dtype.itemsize < 4 else graph.rounding(dtype)


def _as_filled(fill: Tensor | str, dtype: torch.dtype) -> Tensor | str:
    """The fill as images of a dtype represent it, in float64."""
    return fill if isinstance(fill, str) else fill.to(dtype).double()


def _check_logits(
    frame: Frame, shared: Tensor, plain: Tensor, chosen: Tensor, relative: float
) -> None:
    if shared.shape != plain.shape:
        raise LogitsDiffer(
            f"shared features give {shared.shape[1]} numbers per pattern, the model {plain.shape[1]}"
        )
    agreed = agree(shared, plain, relative).expand(shared.shape).all(1)
    if agreed.all():
        return
    differences = (shared.double() - plain.double()).abs().amax(1).nan_to_num(torch.inf)
    worst = int(differences.masked_fill(agreed, -1).argmax())
    _, i, j = chosen[worst].tolist()
    largest = plain.double().nan_to_num(0, 0, 0).abs().max().item()
    raise LogitsDiffer(
        f"shared features give different answers: moved by (dx, dy) = ({frame.grid.dx[j]}, "
        f"{frame.grid.dy[i]}), logits differ by {differences[worst]:.1e}, "
        f"expected at most {relative * largest:.1e}"
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
