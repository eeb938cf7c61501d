"""Which models have fused ops, and the parameters that those take."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks

from ..checks.captures import is_captured
from ..checks.types import check_choice
from ..ops.activations import ACTIVATIONS
from .build import MODELS, without_weights
from .lenet5 import C3Conv
from .table import BY_NAME

LARGEST_SUM = 1e30
"""The largest bound of a model's sums. The room up to float32's largest number, 3.4e38, is for the
factors of the kernels' Toom-Cook forms, below 1e3 for each layer."""

_METHODS = ("__call__", "forward", "_conv_forward")

_AT_IMPORT = {
    layer: [getattr(layer, method, None) for method in _METHODS]
    for layer in (*MODELS.values(), C3Conv, nn.Conv2d, nn.Linear)
}
"""The methods that the classes compute with: the fused ops would ignore one that is replaced later."""


def own_name(model: nn.Module) -> str | None:
    """The name of the model of this package that ``model`` still is, or None.

    Only objects of exactly the classes in ``MODELS`` have one, and only while they compute what their class
    builds, in whatever dtype: no replaced layer, setting, table or ``forward`` (of the object or of
    a class), no parametrization, and no forward hook, not even one registered for every module.
    """
    name = next((name for name, made in MODELS.items() if type(model) is made), None)
    if name is None or _global_forward_hooks or _global_forward_pre_hooks:
        return None
    activation: str = getattr(model, "activation", "")
    check_choice("activation", activation, ACTIVATIONS)
    layers, built = list(model.named_modules()), _built(name, activation)
    unchanged = len(layers) == len(built) and all(
        _state(path, layer, settings) == expected
        for (path, layer), (settings, expected) in zip(layers, built, strict=True)
    )
    return name if unchanged else None


@functools.cache
def _built(name: str, activation: str) -> list[tuple[list[str], list[object]]]:
    """Of each layer of a new model the names of its settings, and its state with the methods at import."""
    built, every_module = [], vars(nn.Module()).keys()
    for path, layer in without_weights(name, activation).named_modules():
        settings = [*(vars(layer).keys() - every_module), *_METHODS]  # which an object may hide
        built.append((settings, _state(path, layer, settings, _AT_IMPORT.get(type(layer)))))
    return built


def _state(
    path: str, layer: nn.Module, settings: list[str], methods: list[object] | None = None
) -> list[object]:
    """What a layer computes with, except the values of its parameters and the layers in it."""
    kind, own = type(layer), vars(layer)
    return [
        path,
        kind,
        methods or [getattr(kind, method, None) for method in _METHODS],
        [(type(own.get(setting)), own.get(setting)) for setting in settings],
        [type(p) is nn.Parameter and p.shape for p in layer._parameters.values()],
        bool(layer._forward_hooks or layer._forward_pre_hooks),
    ]


def fused_name(model: nn.Module) -> str | None:
    """The name of the model's fused ops, or None if it has none.

    The ops read only parameters and activation, so the model must have an :func:`own_name`, and all
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
    """A model's parameters as the ops take them: without graph and contiguous. Those of a channels_last model
    are copied."""
    return [parameter.detach().contiguous() for parameter in model.parameters()]


def sums_stay_finite(parameters: Sequence[Tensor]) -> bool:
    """Whether all weights are finite and no sum of a forward pass can overflow.

    Otherwise PyTorch's outputs have infinities and NaNs (0 * inf, inf - inf) that the kernels do not
    reproduce, because they skip blank pixels and add in another order.

    In the capture of a CUDA graph the answer is true: the check becomes a part of the graph, and if a replay
    finds other weights, ``torch.cuda.synchronize()`` raises.

    Args:
        parameters: weight and bias of each layer in turn, as in ``model.parameters()``.
    """
    if is_captured(parameters[0].device):
        torch._assert_async(
            _bound_on_card(parameters) <= LARGEST_SUM,
            "model: expected finite weights, of which no sum can overflow",
        )
        return True
    largest = _largest(parameters)
    bound = 1.0  # of the first layer's input, pixels
    for i in range(0, len(parameters), 2):
        bound = max(bound, 1.0) * parameters[i].numel() * largest[i] + largest[i + 1]
    return bound <= LARGEST_SUM


def _bound_on_card(parameters: Sequence[Tensor]) -> Tensor:
    """The bound of :func:`sums_stay_finite`, without waiting for the device."""
    largest = [p.abs().amax().double() for p in parameters]
    bound = torch.ones_like(largest[0])
    for i in range(0, len(parameters), 2):
        bound = bound.clamp(min=1) * parameters[i].numel() * largest[i] + largest[i + 1]
    return bound


def _largest(parameters: Sequence[Tensor]) -> list[float]:
    """The largest magnitude in each parameter; NaN if it contains one."""
    if parameters[0].device.type == "cpu":  # with NumPy: torch's threads hang in a forked child
        arrays = [parameter.numpy() for parameter in parameters]
        return [float(max(array.max(), -array.min())) for array in arrays]
    largest: list[float] = torch.stack([p.abs().amax() for p in parameters]).tolist()
    return largest  # waits for the device once
