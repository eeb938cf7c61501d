"""The parameters of each model's fused ops, and their check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lenetshift.checks.core import core
from lenetshift.checks.errors import ArgumentError
from lenetshift.checks.tensors import check_tensor

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class FusedModel:
    """How a model's fused ops are called.

    Attributes:
        name: the model's name, which ends the ops' names.
        kernel: the core's name for the kernels: two models share those of LeNet-5.
        c3_table: ``"sparse"`` or ``"dense"`` for the LeNets; None for the MLPs.
        shapes: those of the parameters, in the order of ``model.parameters()``; None: any size >= 1.
    """

    name: str
    kernel: str
    c3_table: str | None
    shapes: tuple[Shape, ...]

    def check_parameters(self, parameters: Sequence[Tensor], device: torch.device) -> None:
        """Raise ArgumentError unless these are contiguous float32 parameters of the model."""
        if len(parameters) != len(self.shapes):
            raise ArgumentError("parameters", f"{len(parameters)} tensors", str(len(self.shapes)))
        n_hidden = parameters[0].shape[0] if self.c3_table is None and parameters[0].dim() else None
        for i, (parameter, shape) in enumerate(zip(parameters, self.shapes, strict=True)):
            shape = tuple(n_hidden if n is None else n for n in shape)
            check_tensor(f"parameters[{i}]", parameter, (torch.float32,), shape, device)
            if not parameter.is_contiguous():
                raise ArgumentError(f"parameters[{i}]", "a strided tensor", "a contiguous one")
        if n_hidden == 0:
            raise ArgumentError("parameters[0]", "no hidden units", "at least 1")

    def for_core(self, parameters: Sequence[Tensor], activation: str) -> Any:
        """The model as the core's kernels take it: the addresses of its parameters."""
        addresses = [parameter.data_ptr() for parameter in parameters]
        activation = core.Activation[activation]
        if self.c3_table is None:
            return core.Mlp(parameters[0].shape[0], activation, *addresses)
        return core.Lenet5(core.C3Table[self.c3_table], activation, *addresses)


def _lenet5(name: str, c3_table: str, c3_shape: Shape) -> FusedModel:
    convolutions = ((6, 1, 5, 5), (6,), c3_shape, (16,))
    dense = ((120, 400), (120,), (84, 120), (84,), (10, 84), (10,))
    return FusedModel(name, "lenet5", c3_table, (*convolutions, *dense))


def _mlp(name: str, n_inputs: int) -> FusedModel:
    return FusedModel(name, name, None, ((None, n_inputs), (None,), (10, None), (10,)))


FUSED_MODELS = (
    _lenet5("lenet5", "sparse", (60, 5, 5)),
    _lenet5("symmetric_lenet5", "dense", (16, 6, 5, 5)),
    _mlp("mlp", 784),
    _mlp("pooled_mlp", 49),
)
