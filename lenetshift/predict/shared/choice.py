"""Whether a network's features can be shared, and whether that saves anything."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .canvas import Frame
from .check import Plain, check
from .geometry import NotShared
from .recorder import record
from .way import SharedWay

LEAST_IMAGES = 2
"""Tried at once: what works for a single pattern only is no rule."""

MODEL_PREFIX = "model."
"""Where a network with a transform before it keeps the model."""


class _Transformed(nn.Module):
    """A transform and the model behind it, as one network."""

    def __init__(self, transform: Callable[[Tensor], Tensor], model: nn.Module) -> None:
        super().__init__()
        self.transform, self.model = transform, model
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.model(self.transform(x))
        return result


def shared_way(
    model: nn.Module,
    transform: Callable[[Tensor], Tensor] | None,
    frame: Frame,
    images: Tensor,
    ask: Plain,
    even_if_slower: bool,
) -> SharedWay:
    """The shared way of asking a model, tried and checked on some images.

    Args:
        model: in eval mode.
        transform: what stands before it.
        frame: of the images.
        images: floating ``[n, C, H, W]`` in 0..1, a sample of one or more.
        ask: the plain way.
        even_if_slower: whether to take it where it saves no multiplication.

    Raises:
        NotShared: why it is not to be taken.
    """
    _check_hooks("model", model)
    if isinstance(transform, nn.Module):
        _check_hooks("transform", transform)
    images = images.repeat(LEAST_IMAGES, 1, 1, 1) if len(images) < LEAST_IMAGES else images
    patterns = frame.patterns(images, *_three_patterns(frame, images))
    network = model if transform is None else _Transformed(transform, model)
    graph = record(network, patterns, prefix=MODEL_PREFIX)
    way = SharedWay(graph, frame, images)
    if not even_if_slower:
        _check_saving(way)
    check(graph, way, images, ask)
    return way


def _check_hooks(name: str, model: nn.Module) -> None:
    everywhere = nn.modules.module
    if (
        any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        or everywhere._global_forward_hooks
        or everywhere._global_forward_pre_hooks
    ):
        raise NotShared(f"the {name} has forward hooks, which are to see every pattern")


def _three_patterns(frame: Frame, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Three different ones: image, row and column of the grid."""
    n_dy, n_dx = frame.grid.shape
    n, i, j = [0, 1, len(images) - 1], [0, n_dy // 2, n_dy - 1], [0, n_dx // 2, n_dx - 1]
    return tuple(torch.tensor(at, device=images.device) for at in (n, i, j))  # type: ignore[return-value]


def _check_saving(way: SharedWay) -> None:
    tried = way.tried
    if tried.products < tried.plain_products:
        return
    cut = tried.cut.float().mean().item()
    if cut > 0.5:
        raise NotShared(
            f"around {cut:.0%} of the patterns lies something else than what the first layer pads "
            "them with, so sharing would save nothing"
        )
    raise NotShared("its convolutions have nothing that the shifts could share")
