"""Which models have fused ops, and the parameters that those take."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks

from ..checks.types import check_choice
from ..ops.activations import ACTIVATIONS
from .build import MODELS, without_weights
from .lenet5 import C3Conv
from .table import BY_NAME

LARGEST_SUM = 1e30
"""Where the bound of a model's sums ends. What is left up to float32's largest number, 3.4e38, is
for the factors of the kernels' Toom-Cook forms, below 1e3 for each layer."""

_METHODS = {
    layer: {
        name: getattr(layer, name)
        for name in ("__call__", "forward", "_conv_forward")
        if hasattr(layer, name)
    }
    for layer in (*MODELS.values(), C3Conv, nn.Conv2d, nn.Linear)
}
"""What the classes compute with: replaced in a class, the fused ops would overlook it."""


def own_name(model: nn.Module) -> str | None:
    """Name of the model of this package that ``model`` still is, or None.

    Exactly the four classes above have one, and only while the model computes what its class
    builds, in whatever dtype: no replaced layer, setting, table or ``forward`` (of the object or of
    a class), no parametrization, no forward hook, be it registered for every module.
    """
    name = next((name for name, made in MODELS.items() if type(model) is made), None)
    if name is None or _global_forward_hooks or _global_forward_pre_hooks:
        return None
    activation: str = getattr(model, "activation", "")
    check_choice("activation", activation, ACTIVATIONS)
    built = _built(name, activation)
    unchanged = (
        [layer for layer, _ in model.named_modules()]
        == [layer for layer, _ in built.named_modules()]
        and all(map(_is_as_built, model.modules(), built.modules()))
        and [p.shape for p in model.parameters()] == [p.shape for p in built.parameters()]
        and all(type(p) is nn.Parameter for p in model.parameters())
        and not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    )
    return name if unchanged else None


def fused_name(model: nn.Module) -> str | None:
    """Name of the model's fused ops, or None if it has none.

    The ops read parameters and activation only, so ``own_name`` must know the model, and all
    parameters must be float32 on one CPU or CUDA device.
    """
    name = own_name(model)
    if name is not None and not BY_NAME[name].has_fused_ops:
        return None
    kinds = {(parameter.dtype, parameter.device) for parameter in model.parameters()}
    if name is None or len(kinds) != 1:
        return None
    dtype, device = kinds.pop()
    return name if dtype == torch.float32 and device.type in ("cpu", "cuda") else None


def packed_parameters(model: nn.Module) -> list[Tensor]:
    """A model's parameters as the ops take them: without graph and contiguous, which those of a
    channels_last model are not, so that they come as copies."""
    return [parameter.detach().contiguous() for parameter in model.parameters()]


def sums_stay_finite(parameters: Sequence[Tensor]) -> bool:
    """Whether all weights are finite, and no sum that a forward pass makes can overflow.

    Otherwise PyTorch's answers are its own infinities and NaNs (0 * inf, inf - inf), which kernels
    that skip blank pixels and add up otherwise do not repeat.

    Args:
        parameters: weight and bias of each layer in turn, as in ``model.parameters()``.
    """
    largest = _largest(parameters)
    bound = 1.0  # of what the first layer sees: pixels
    for i in range(0, len(parameters), 2):
        bound = max(bound, 1.0) * parameters[i].numel() * largest[i] + largest[i + 1]
    return bound <= LARGEST_SUM


def _largest(parameters: Sequence[Tensor]) -> list[float]:
    """The largest magnitude in each parameter; NaN where it has one."""
    if parameters[0].device.type == "cpu":  # in NumPy: torch's threads hang in a forked child
        arrays = [parameter.numpy() for parameter in parameters]
        return [float(max(array.max(), -array.min())) for array in arrays]
    largest: list[float] = torch.stack([p.abs().amax() for p in parameters]).tolist()
    return largest  # the device was waited for once


_built = functools.cache(without_weights)  # to compare with, never handed out


def _is_as_built(layer: nn.Module, built: nn.Module) -> bool:
    """Whether a layer, or a model without its layers, has what its class puts into it, and the
    methods that the class had at import."""
    methods = _METHODS.get(type(layer), {})
    return (
        type(layer) is type(built)
        and all(_equal(vars(layer).get(key), vars(built)[key]) for key in _settings(built))
        and not any(name in vars(layer) for name in methods)
        and all(getattr(type(layer), name) is method for name, method in methods.items())
    )


def _settings(layer: nn.Module) -> set[str]:
    """The attributes that a layer has beyond those of every module: sizes, padding, table, ..."""
    return vars(layer).keys() - vars(nn.Module()).keys()


def _equal(setting: object, expected: object) -> bool:
    return type(setting) is type(expected) and setting == expected
