"""The comparison of another method with the plain one, before its answers are used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ...data.memory import trim_if_grown
from ...shifts import ShiftGrid
from .canvas import Frame
from .geometry import NotShared
from .graph import NO_FAULT, Graph
from .rounding import agree

RANDOM = 4
"""Patterns per image that are drawn at random."""

FEW = 1
"""Images for which the graph is also run without sharing, in its own dtype and in float64."""

AT_ONCE = 4
"""Patterns that the graph is run on at once, to save memory."""


LogitsOf = Callable[[Graph, Frame, Tensor, Tensor], Tensor]
"""What is compared: a graph, a frame, images and the indices of patterns ``[m, 3]`` -> logits ``[m, K]``."""


class LogitsDiffer(NotShared):
    """A method gives other logits than the plain one for the first images."""


def compare(
    what: str,
    logits_of: LogitsOf,
    graph: Graph,
    frame: Frame,
    images: Tensor,
    plain: Callable[[Tensor], Tensor],
) -> None:
    """Compare the logits of some patterns: unmoved, at the grid's corners, and at random.

    Three comparisons, each as strict as rounding permits: the graph, operation by operation, against the
    model, that is the same operations on the same patterns; the method against the graph in float64, where
    rounding hides no fault; and the method against the model in the model's dtype.

    Args:
        what: the beginning of messages, such as "shared features give".
        logits_of: the method.
        graph: the network as it was recorded.
        frame: what it sees of moved images.
        images: floating-point ``[n, C, H, W]`` in 0..1.
        plain: the logits of patterns by the plain method.

    Raises:
        LogitsDiffer: the method gives wrong logits.
        NotShared: that cannot be decided.
    """
    chosen = _chosen(frame.grid, len(images)).to(images.device)
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
        trim_if_grown(always=True)
        wide_logits = logits_of(wide, rounded, images[:FEW].double(), chosen[few])
    except NotShared:
        raise
    except Exception as error:
        raise NotShared(f"it cannot be checked in float64 ({type(error).__name__})") from error
    trim_if_grown(always=True)
    _check_logits(what, frame, wide_logits, exact, chosen[few], NO_FAULT)
    logits, relative = logits_of(graph, frame, images, chosen), graph.rounding(expected.dtype)
    _check_logits(what, frame, logits, expected, chosen, relative)


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
    what: str, frame: Frame, logits: Tensor, plain: Tensor, chosen: Tensor, relative: float
) -> None:
    if logits.shape != plain.shape:
        raise LogitsDiffer(
            f"{what} {logits.shape[1]} numbers per pattern, the model {plain.shape[1]}"
        )
    agreed = agree(logits, plain, relative).expand(logits.shape).all(1)
    if agreed.all():
        return
    differences = (logits.double() - plain.double()).abs().amax(1).nan_to_num(torch.inf)
    worst = int(differences.masked_fill(agreed, -1).argmax())
    _, i, j = chosen[worst].tolist()
    largest = plain.double().nan_to_num(0, 0, 0).abs().max().item()
    raise LogitsDiffer(
        f"{what} different answers: moved by (dx, dy) = ({frame.grid.dx[j]}, "
        f"{frame.grid.dy[i]}), logits differ by {differences[worst]:.1e}, "
        f"expected at most {relative * largest:.1e}"
    )


def _chosen(grid: ShiftGrid, n: int) -> Tensor:
    """The patterns to compare: rows (image, row and column of the grid), int64 ``[m, 3]``."""
    n_dy, n_dx = grid.shape
    middle = (_nearest_to_0(grid.dy), _nearest_to_0(grid.dx))
    corners = [(i, j) for i in (0, n_dy - 1) for j in (0, n_dx - 1)]
    fixed = [(k, *place) for k in range(n) for place in (middle, *corners)]
    generator = torch.Generator("cpu").manual_seed(0)
    order = torch.randperm(n * n_dy * n_dx, generator=generator, device="cpu")[: RANDOM * n]
    drawn = torch.stack(torch.unravel_index(order, (n, n_dy, n_dx)), 1)
    chosen: Tensor = torch.cat([torch.tensor(fixed, device="cpu"), drawn]).unique(dim=0)
    return chosen


def _nearest_to_0(shifts: range) -> int:
    return min(range(len(shifts)), key=lambda k: abs(shifts[k]))
