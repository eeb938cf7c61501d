"""The comparison of the shared with the plain way, before the first is trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ...shifts import ShiftGrid
from .canvas import Frame
from .geometry import NotShared
from .graph import NO_FAULT, Graph
from .recorder import agree
from .way import SharedWay

RANDOM = 2
"""Patterns of each image that are drawn at random, and as many of those that were cut."""

FEW = 3
"""Images on which the graph without sharing is asked, as it is and in float64."""

AT_ONCE = 4
"""Of their patterns, for the sake of memory."""

Plain = Callable[[Tensor], Tensor]
"""What the model answers to patterns."""


class Differs(NotShared):
    """The shared way gave different answers from the plain one on the first images."""


def check(graph: Graph, way: SharedWay, images: Tensor, ask: Plain) -> None:
    """Compare some patterns of some images: unmoved, the corners, some that were cut, at random.

    Three comparisons, each as sharp as rounding admits. The graph without sharing against the model: the
    same operations on the same patterns. Shared features against the graph without sharing, in float64, in
    which rounding hides nothing. And the shared way against the model as they are.

    Args:
        graph: of the network.
        way: the shared way, tried on the images.
        images: floating ``[n, C, H, W]`` in 0..1.
        ask: the plain way.

    Raises:
        Differs: the shared way is wrong.
        NotShared: or cannot be told from wrong.
    """
    frame = way.frame
    chosen = _chosen(frame.grid, way.tried.cut).to(images.device)
    n, i, j = chosen.unbind(1)
    patterns = frame.patterns(images, n, i, j)
    plain = ask(patterns.clone())
    few = n < FEW
    alone = torch.cat([graph.run(part) for part in patterns[few].split(AT_ONCE)])
    if not agree(alone, plain[few], _same_operations(graph, plain.dtype)).all():
        raise NotShared("what it runs for two images gives different answers for a batch")
    wide = graph.in_float64()
    try:
        exact = torch.cat([wide.run(part.double()) for part in patterns[few].split(AT_ONCE)])
        rounded = replace(frame, fill=_as_filled(frame.fill, images.dtype))
        shared = SharedWay(wide, rounded, images[:FEW].double()).tried.logits
    except NotShared:
        raise
    except Exception as error:
        raise NotShared(f"it cannot be checked in float64 ({type(error).__name__})") from error
    _compare(frame, shared[n[few], i[few], j[few]], exact, chosen[few], NO_FAULT)
    _compare(frame, way.tried.logits[n, i, j], plain, chosen, graph.rounding(plain.dtype))


def _same_operations(graph: Graph, dtype: torch.dtype) -> float:
    """How far the same operations may differ: a compiled network may sum in another order; in half precision
    that is not seen behind the last rounding."""
    if not dtype.is_floating_point:
        return 0.0
    return 2 * torch.finfo(dtype).eps if dtype.itemsize < 4 else graph.rounding(dtype)


def _as_filled(fill: Tensor | str, dtype: torch.dtype) -> Tensor | str:
    """The fill as images of a dtype hold it."""
    return fill if isinstance(fill, str) else fill.to(dtype).double()


def _compare(frame: Frame, shared: Tensor, plain: Tensor, chosen: Tensor, relative: float) -> None:
    if shared.shape != plain.shape:
        raise Differs(
            f"shared features give {shared.shape[1]} numbers a pattern, the model {plain.shape[1]}"
        )
    agreed = agree(shared, plain, relative).expand(shared.shape).all(1)
    if agreed.all():
        return
    differences = (shared.double() - plain.double()).abs().amax(1).nan_to_num(torch.inf)
    worst = int(differences.masked_fill(agreed, -1).argmax())
    _, i, j = chosen[worst].tolist()
    largest = plain.double().nan_to_num(0, 0, 0).abs().max().item()
    raise Differs(
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
