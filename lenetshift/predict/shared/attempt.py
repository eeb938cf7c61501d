"""The attempts to share a network's features or to rewrite it: whether they work, and save anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from .canvas import Frame, channels_last
from .comparison import compare
from .geometry import NotShared
from .graph import Graph
from .model import SharedModel
from .network import LAYOUTS, as_function
from .recorder import record
from .rewriting import is_convolution, rewritten
from .runtimes import BatchFunction

Answering = TypeVar("Answering", bound=Callable[[Tensor], Tensor])

LEAST_IMAGES = 2
"""Tried at once: a single image would not show how the images of a batch affect each other."""

LEAST_SAVING = 1.15
"""How many times fewer multiplications a network must need if its features are shared: all windows of an
image go through it at once, which is slower than in small batches."""

MODEL_PREFIX = "model."
"""The beginning of the modules' names in a network that transforms its input first."""


class SharesByItself(nn.Module):
    """A network that moves its images by itself and shares features between them: it is run as it is."""


class _Transformed(nn.Module):
    """A transform and the model after it, as one network."""

    def __init__(self, transform: Callable[[Tensor], Tensor], model: nn.Module) -> None:
        super().__init__()
        self.transform, self.model = transform, model
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.model(self.transform(x))
        return result


def recorded(
    model: nn.Module,
    transform: Callable[[Tensor], Tensor] | None,
    frame: Frame,
    images: Tensor,
) -> Graph:
    """A model and the transform before it as a graph.

    Args:
        model: in eval mode.
        transform: applied to the patterns first; None is nothing.
        frame: what the network sees of moved images.
        images: floating-point ``[n, C, H, W]`` in 0..1, a sample of one or more.

    Raises:
        NotShared: why it cannot be recorded.
    """
    _check_hooks("model", model)
    if isinstance(transform, nn.Module):
        _check_hooks("transform", transform)
    for module in model.modules():
        if isinstance(module, SharesByItself):
            raise NotShared(
                f"{type(module).__name__} moves its images and shares their features by itself"
            )
    images = _several(images)
    patterns = frame.patterns(images, *_three_patterns(frame, images))
    network = model if transform is None else _Transformed(transform, model)
    return record(network, patterns, prefix=MODEL_PREFIX)


def try_sharing(
    graph: Graph,
    frame: Frame,
    images: Tensor,
    plain: Callable[[Tensor], Tensor],
    even_if_slower: bool,
) -> SharedModel:
    """The shared model of a network, tried on some images and compared with the plain method.

    Args:
        graph: the network.
        frame: what it sees of moved images.
        images: as for :func:`recorded`.
        plain: the logits of patterns by the plain method.
        even_if_slower: whether features are shared even if that saves no multiplication.

    Raises:
        NotShared: why features are not shared.
    """
    images = _several(images)
    shared = SharedModel(graph, frame, images)
    if not even_if_slower:
        _check_saving(shared)

    def logits(network: Graph, frame: Frame, images: Tensor, chosen: Tensor) -> Tensor:
        model = shared if network is graph else SharedModel(network, frame, images)
        return model.tried.logits[tuple(chosen.unbind(1))]

    compare("shared features give", logits, graph, frame, images[: shared.n_tried], plain)
    return shared


def try_rewriting(
    graph: Graph,
    frame: Frame,
    images: Tensor,
    plain: Callable[[Tensor], Tensor],
    how: str,
    in_batches: Callable[[BatchFunction], Answering],
    batch_size: int,
) -> Answering:
    """A network rewritten for patterns one by one, compared with the plain method.

    Args:
        graph, frame, images, plain: as for :func:`try_sharing`.
        how: the memory layout or the runtime, as for :func:`~.network.as_function`.
        in_batches: makes a function of any number of patterns from one of ``batch_size``.
        batch_size: patterns per batch.

    Raises:
        NotShared: why that would not help, or is not possible.
    """
    if how in LAYOUTS and not any(is_convolution(node) for node in graph.nodes):
        raise NotShared("it has no convolution to rewrite")
    images = _several(images)
    first = frame.patterns(images, *torch.zeros(3, 1, device=images.device).long())
    example = first.repeat(batch_size, 1, 1, 1)
    network = in_batches(as_function(rewritten(graph), how, example))

    def logits(compared: Graph, frame: Frame, images: Tensor, chosen: Tensor) -> Tensor:
        patterns = frame.patterns(images, *chosen.unbind(1))
        if compared is graph:
            return network(patterns)
        return rewritten(compared).run(channels_last(patterns))  # in float64

    compare("the rewritten network gives", logits, graph, frame, images, plain)
    return network


def _several(images: Tensor) -> Tensor:
    """The images, or a single one several times."""
    return images.repeat(LEAST_IMAGES, 1, 1, 1) if len(images) < LEAST_IMAGES else images


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
    if tried.products < tried.plain_products < LEAST_SAVING * tried.products:
        part = 1 - tried.products / tried.plain_products
        far = f", as far as {tried.end}" if tried.end else ""
        raise NotShared(f"sharing saves {part:.1%} of its multiplications{far}")
    if tried.products >= tried.plain_products:
        slower = "its convolutions would be slower if the shifts shared them"
        nothing = "its convolutions have nothing that the shifts could share"
        raise NotShared(
            tried.end.replace(", which ", " ", 1)
            or (slower if tried.products > tried.plain_products else nothing)
        )
