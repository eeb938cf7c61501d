"""What the report's models have in common.

All take images ``[N, 1, 28, 28]`` in [0, 1] and return logits ``[N, 10]``. The report (Tanaka 2024) leaves
some choices open. Here the activation is tanh as in LeNet-5 (or ReLU); the two MLPs have one hidden
layer of 512 units; pooling is a plain average, without the trainable coefficients of 1998; and the output
layer is linear, for cross-entropy.
"""

from __future__ import annotations

from torch import nn

from ..checks.types import check_choice
from ..ops.activations import ACTIVATIONS


class DigitModel(nn.Module):
    """A model with an activation that is known by its name."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        check_choice("activation", activation, ACTIVATIONS)
        self.activation = activation

    def extra_repr(self) -> str:
        """The activation, in the module's printed form."""
        return f"activation={self.activation!r}"
