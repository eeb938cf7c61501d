"""Initial weights in other ways than the package's own, which is PyTorch's: :func:`draw_weights` in
``models/build.py`` draws weights and biases uniform in +-1/sqrt(fan_in).

fan_in is the number of a unit's inputs, without its bias; fan_out is the number of units that an input of the
layer feeds. As in :mod:`torch.nn.init`, edges and strides are not taken into account.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ....models.lenet5 import C3Conv

KERNEL = 25
"""Weights of a 5x5 kernel."""


@dataclass(frozen=True)
class Units:
    """Units with the same fans: those of a layer, or those of one map of :class:`lenetshift.C3Conv`.

    Attributes:
        weight, bias: the layer's own memory, without gradients.
    """

    weight: Tensor
    bias: Tensor
    fan_in: int
    fan_out: int


def xavier(model: nn.Module, generator: torch.Generator) -> None:
    """Weights uniform in +-sqrt(6 / (fan_in + fan_out)), biases 0 (Glorot and Bengio 2010, equation 16)."""
    for units in _units(model):
        bound = math.sqrt(6 / (units.fan_in + units.fan_out))
        units.weight.uniform_(-bound, bound, generator=generator)
        units.bias.zero_()


def lecun(model: nn.Module, generator: torch.Generator) -> None:
    """Weights normal with standard deviation 1/sqrt(fan_in), biases 0 (LeCun, Bottou, Orr and Müller 1998,
    "Efficient BackProp", section 4.6)."""
    for units in _units(model):
        units.weight.normal_(0, 1 / math.sqrt(units.fan_in), generator=generator)
        units.bias.zero_()


def of_1998(model: nn.Module, generator: torch.Generator) -> None:
    """Weights and biases uniform in +-2.4/fan_in (LeCun, Bottou, Bengio and Haffner 1998, appendix A)."""
    for units in _units(model):
        bound = 2.4 / units.fan_in
        units.weight.uniform_(-bound, bound, generator=generator)
        units.bias.uniform_(-bound, bound, generator=generator)


def _units(model: nn.Module) -> Iterator[Units]:
    """All units, in the order of the layers and of their maps."""
    for layer in model.modules():
        if isinstance(layer, C3Conv):
            yield from _units_of_c3(layer)
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):
            assert layer.bias is not None
            weight = layer.weight.detach()
            yield Units(weight, layer.bias.detach(), weight[0].numel(), weight[:, 0].numel())


def _units_of_c3(layer: C3Conv) -> Iterator[Units]:
    n_inputs = [len(inputs) for inputs in layer.table]
    kernels = layer.weight.detach().split(n_inputs)
    biases = layer.bias.detach().split(1)
    n_fed = sum(0 in inputs for inputs in layer.table)  # the same for every S2 map
    for n, weight, bias in zip(n_inputs, kernels, biases, strict=True):
        yield Units(weight, bias, KERNEL * n, KERNEL * n_fed)
