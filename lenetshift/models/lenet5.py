"""LeNet-5 with the connection table of 1998, and the symmetric LeNet-5."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..c3_table import C3_TABLE, Table, n_connections, table_masks
from ..ops.activations import ACTIVATIONS
from .digit_model import DigitModel


class C3Conv(nn.Module):
    """5x5 convolution in which each output map sees only some input maps.

    ``[N, n_inputs, H, W]`` of any floating dtype -> ``[N, len(table), H - 4, W - 4]``, computed in
    float64 for float64, else in float32.

    Initialised like PyTorch's convolutions: weights and bias uniform in +-1/sqrt(fan_in), with each output
    map's own fan_in, 25 times the number of its inputs.

    Args:
        table: for each output map the ascending input maps that it sees.

    Attributes:
        weight: ``[n_connections(table), 5, 5]``, output-major, then by ascending input map.
        bias: ``[len(table)]``.

    Raises:
        ValueError: a malformed table.
    """

    def __init__(self, table: Table = C3_TABLE) -> None:
        super().__init__()
        self.masks = table_masks(table)
        self.table = tuple(tuple(inputs) for inputs in table)
        self.weight = nn.Parameter(torch.empty(n_connections(table), 5, 5))
        self.bias = nn.Parameter(torch.empty(len(table)))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw weight and bias anew, from ``generator`` or from torch's global one."""
        first, rows, columns = 0, *self.weight.shape[1:3]
        for output, inputs in enumerate(self.table):
            bound = 1 / math.sqrt(rows * columns * len(inputs))
            self.weight[first : first + len(inputs)].uniform_(-bound, bound, generator=generator)
            self.bias[output].uniform_(-bound, bound, generator=generator)
            first += len(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[N, len(table), H - 4, W - 4]`` of maps ``[N, n_inputs, H, W]``."""
        result: Tensor = torch.ops.lenetshift.c3_conv(x, self.weight, self.bias, self.masks)
        return result

    def extra_repr(self) -> str:
        """The table, in the module's printed form."""
        return f"table={self.table}"


class _LeNet(DigitModel):
    """LeNet-5 with a given layer C3."""

    def __init__(self, make_c3: Callable[[], nn.Module], activation: str) -> None:
        super().__init__(activation)
        self.c1 = nn.Conv2d(1, 6, 5, padding=2)
        self.c3 = make_c3()
        self.c5 = nn.Linear(400, 120)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[N, 10]`` of images ``[N, 1, 28, 28]`` in [0, 1]."""
        act = ACTIVATIONS[self.activation]
        x = F.avg_pool2d(act(self.c1(x)), 2)  # [N, 6, 28, 28] -> S2 [N, 6, 14, 14]
        x = F.avg_pool2d(act(self.c3(x)), 2)  # [N, 16, 10, 10] -> S4 [N, 16, 5, 5]
        x = act(self.c5(x.flatten(1)))  # [N, 400] -> [N, 120]
        x = act(self.f6(x))  # [N, 84]
        logits: Tensor = self.output(x)
        return logits


class LeNet5(_LeNet):
    """Model 0, LeNet-5 with the connection table of 1998: 60,806 parameters, 1,516 in C3.

    Args:
        activation: ``"tanh"`` or ``"relu"``; ValueError for any other.

    Example:
        >>> import lenetshift, torch
        >>> model = lenetshift.LeNet5()
        >>> sum(parameter.numel() for parameter in model.parameters())
        60806
        >>> model(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(self, activation: str = "tanh") -> None:
        super().__init__(C3Conv, activation)


class SymmetricLeNet5(_LeNet):
    """Model 2, LeNet-5 in which every C3 map sees every S2 map: 61,706 parameters, 2,416 in C3.

    Args:
        activation: ``"tanh"`` or ``"relu"``; ValueError for any other.

    Example:
        >>> import lenetshift
        >>> lenetshift.SymmetricLeNet5().c3
        Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1))
    """

    def __init__(self, activation: str = "tanh") -> None:
        super().__init__(lambda: nn.Conv2d(6, 16, 5), activation)
