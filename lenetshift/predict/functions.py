"""Functions in place of modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..checks.describe import describe
from ..checks.errors import ArgumentError

Model = nn.Module | Callable[[Tensor], Any]
"""What gives logits: a module, or a function, whose modules are run in the mode that they are in."""


class FunctionModel(nn.Module):
    """A function as a module, without parameters and always in eval mode."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function
        self.training = False

    def forward(self, x: Tensor) -> Any:
        """Call the function."""
        return self.function(x)


def as_module(model: object) -> nn.Module:
    """The module itself, or a function as a module; ArgumentError for anything else."""
    if isinstance(model, nn.Module):
        return model
    if isinstance(model, type):
        expected = f"a Module or a function, such as {model.__name__}()"
        raise ArgumentError("model", describe(model), expected)
    if not callable(model):
        raise ArgumentError("model", describe(model), "a Module or a function")
    return FunctionModel(model)
