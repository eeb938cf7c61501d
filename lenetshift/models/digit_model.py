"""What the report's four models share.

All take images ``[N, 1, 28, 28]`` in [0, 1] and give logits ``[N, 10]``. The report (Tanaka 2024) leaves
some choices open. Here the activation is tanh, LeNet-5's own kind (ReLU on request); the two perceptrons
have one hidden layer of 512 units; pooling is a plain average, without the trainable coefficients of 1998;
and the output layer is linear, for cross-entropy.
"""

from __future__ import annotations

from torch import nn

from ..checks.types import check_choice
from ..ops.activations import ACTIVATIONS


class DigitModel(nn.Module):
    """What the four models share: an activation known by name."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        check_choice("activation", activation, ACTIVATIONS)
        self.activation = activation

    def extra_repr(self) -> str:
        """The activation, in the module's printed form."""
        return f"activation={self.activation!r}"
