"""The two multilayer perceptrons: the MLP on pixels, the pooled MLP behind 4 x 4 average pooling."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.activations import ACTIVATIONS
from .digit_model import DigitModel


class MLP(DigitModel):
    """Model 1, a multilayer perceptron with one hidden layer of 512 units: 407,050 parameters.

    Args:
        activation: ``"tanh"`` or ``"relu"``; ValueError for any other.

    Example:
        >>> import lenetshift
        >>> lenetshift.MLP("relu")
        MLP(
          activation='relu'
          (hidden): Linear(in_features=784, out_features=512, bias=True)
          (output): Linear(in_features=512, out_features=10, bias=True)
        )
    """

    def __init__(self, activation: str = "tanh") -> None:
        super().__init__(activation)
        self.hidden = nn.Linear(784, 512)
        self.output = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[N, 10]`` of images ``[N, 1, 28, 28]`` in [0, 1]."""
        logits: Tensor = self.output(ACTIVATIONS[self.activation](self.hidden(x.flatten(1))))
        return logits


class PooledMLP(DigitModel):
    """Model 3, the pooled MLP: 4 x 4 average pooling before an MLP of 512 hidden units; 30,730 parameters.

    Args:
        activation: ``"tanh"`` or ``"relu"``; ValueError for any other.

    Example:
        >>> import lenetshift
        >>> sum(parameter.numel() for parameter in lenetshift.PooledMLP().parameters())
        30730
    """

    def __init__(self, activation: str = "tanh") -> None:
        super().__init__(activation)
        self.hidden = nn.Linear(49, 512)
        self.output = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[N, 10]`` of images ``[N, 1, 28, 28]`` in [0, 1]."""
        x = F.avg_pool2d(x, 4).flatten(1)  # [N, 49]
        logits: Tensor = self.output(ACTIVATIONS[self.activation](self.hidden(x)))
        return logits
