"""The networks of those variants that change a part of one of the report's models."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....models.lenet5 import LeNet5, SymmetricLeNet5
from ....models.perceptrons import MLP, PooledMLP
from ....ops.activations import ACTIVATION_LAYERS

MakeLayer = Callable[[], nn.Module]


class TrainableAverage(nn.Module):
    """S2 and S4 of 1998: the mean of 2x2, times a coefficient, plus a bias, which each map has for itself.

    ``[N, n_maps, H, W]`` -> ``[N, n_maps, H // 2, W // 2]``. The coefficients are 1 at first and the biases
    0. (1998 has the sum of the four pixels; a coefficient here is four times as large as there.)
    """

    def __init__(self, n_maps: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.ones(n_maps))
        self.bias = nn.Parameter(torch.zeros(n_maps))

    def forward(self, maps: Tensor) -> Tensor:
        """The maps with half of their rows and columns."""
        means = F.avg_pool2d(maps, 2)
        return means * self.coefficient[:, None, None] + self.bias[:, None, None]


class RawPixels(nn.Module):
    """A model that sees pixels in 0..255: images ``[N, 1, 28, 28]`` in [0, 1] -> logits ``[N, 10]``."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.model(images * 255)
        return logits


def recomposed(
    model: nn.Module, activation: MakeLayer, pooling: Callable[[int], list[nn.Module]]
) -> nn.Module:
    """The layers of one of the report's models, with their weights, and other layers between them.

    Args:
        model: as :func:`lenetshift.build_model` makes it; its layers are not copied.
        activation: makes a layer.
        pooling: the layers of S2 or S4, given the number of maps. The pooled MLP keeps its own pooling.
    """
    if isinstance(model, (LeNet5, SymmetricLeNet5)):
        s2 = [model.c1, activation(), *pooling(6)]
        s4 = [model.c3, activation(), *pooling(16)]
        dense = [model.c5, activation(), model.f6, activation(), model.output]
        return nn.Sequential(*s2, *s4, nn.Flatten(), *dense)
    assert isinstance(model, (MLP, PooledMLP))
    pools = [nn.AvgPool2d(4)] if isinstance(model, PooledMLP) else []
    return nn.Sequential(*pools, nn.Flatten(), model.hidden, activation(), model.output)


def with_sigmoid(model: nn.Module, activation: str) -> nn.Module:
    """The model with the sigmoid as its activation, whatever it was."""
    return recomposed(model, nn.Sigmoid, lambda _: [nn.AvgPool2d(2)])


def with_trainable_pooling(model: nn.Module, activation: str) -> nn.Module:
    """The LeNet with a coefficient and a bias for each map of S2 and S4, which the activation follows."""
    act = ACTIVATION_LAYERS[activation]
    return recomposed(model, act, lambda n_maps: [TrainableAverage(n_maps), act()])
