"""The attempt to share a network's features: whether it works, and whether it saves anything."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .canvas import Frame
from .comparison import compare
from .geometry import NotShared
from .model import SharedModel
from .recorder import record

LEAST_IMAGES = 2
"""Tried at once: a single image would not show how the images of a batch affect each other."""

MODEL_PREFIX = "model."
"""The beginning of the modules' names in a network that transforms its input first."""


class _Transformed(nn.Module):
    """A transform and the model after it, as one network."""

    def __init__(self, transform: Callable[[Tensor], Tensor], model: nn.Module) -> None:
        super().__init__()
        self.transform, self.model = transform, model
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.model(self.transform(x))
        return result


def try_sharing(
    model: nn.Module,
    transform: Callable[[Tensor], Tensor] | None,
    frame: Frame,
    images: Tensor,
    plain: Callable[[Tensor], Tensor],
    even_if_slower: bool,
) -> SharedModel:
    """The shared model of a model, tried on some images and compared with the plain method.

    Args:
        model: in eval mode.
        transform: applied to the patterns first; None is nothing.
        frame: what the network sees of moved images.
        images: floating-point ``[n, C, H, W]`` in 0..1, a sample of one or more.
        plain: the logits of patterns by the plain method.
        even_if_slower: whether features are shared even if that saves no multiplication.

    Raises:
        NotShared: why features are not shared.
    """
    _check_hooks("model", model)
    if isinstance(transform, nn.Module):
        _check_hooks("transform", transform)
    images = images.repeat(LEAST_IMAGES, 1, 1, 1) if len(images) < LEAST_IMAGES else images
    patterns = frame.patterns(images, *_three_patterns(frame, images))
    network = model if transform is None else _Transformed(transform, model)
    graph = record(network, patterns, prefix=MODEL_PREFIX)
    shared = SharedModel(graph, frame, images)
    if not even_if_slower:
        _check_saving(shared)
    compare(shared, images, plain)
    return shared


def _check_hooks(name: str, model: nn.Module) -> None:
    everywhere = nn.modules.module
    if (
        any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        or everywhere._global_forward_hooks
        or everywhere._global_forward_pre_hooks
    ):
        raise NotShared(f"the {name} has forward hooks, which must see every pattern")


def _three_patterns(frame: Frame, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The indices of three different patterns: image, row and column of the grid."""
    n_dy, n_dx = frame.grid.shape
    n, i, j = [0, 1, len(images) - 1], [0, n_dy // 2, n_dy - 1], [0, n_dx // 2, n_dx - 1]
    return tuple(torch.tensor(at, device=images.device) for at in (n, i, j))  # type: ignore[return-value]


def _check_saving(shared: SharedModel) -> None:
    tried = shared.tried
    if tried.products < tried.plain_products:
        return
    cut = tried.cut.float().mean().item()
    if cut > 0.5:
        raise NotShared(
            f"{cut:.0%} of the patterns have something around them other than the first layer's "
            "padding, so sharing would save nothing"
        )
    raise NotShared("its convolutions have nothing that the shifts could share")
