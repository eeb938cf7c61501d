"""The layers of the report's networks, as one forward pass computes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...checks.errors import ArgumentError
from ...data.dataset import as_input
from ...models.digit_model import DigitModel
from ...models.lenet5 import LeNet5, SymmetricLeNet5
from ...models.perceptrons import MLP, PooledMLP
from ...ops.activations import ACTIVATIONS

Layers = dict[str, Tensor]
"""A layer's name -> its activations for N images, ``[N, ...]``, in the order of the network."""


class _Call(NamedTuple):
    """What went into one module, and what came out."""

    input: Tensor
    output: Tensor


_Calls = dict[str, _Call]


def _of_lenet5(calls: _Calls, activation: Callable[[Tensor], Tensor]) -> Layers:
    return {
        "C1": activation(calls["c1"].output),
        "S2": calls["c3"].input,
        "C3": activation(calls["c3"].output),
        "S4": calls["c5"].input.unflatten(1, (16, 5, 5)),
        "C5": calls["f6"].input,
        "F6": calls["output"].input,
    }


def _of_mlp(calls: _Calls, _: Callable[[Tensor], Tensor]) -> Layers:
    return {"hidden": calls["output"].input}


def _of_pooled_mlp(calls: _Calls, _: Callable[[Tensor], Tensor]) -> Layers:
    return {"pooled": calls["hidden"].input, "hidden": calls["output"].input}


_READERS: dict[type[DigitModel], Callable[[_Calls, Callable[[Tensor], Tensor]], Layers]] = {
    LeNet5: _of_lenet5,
    SymmetricLeNet5: _of_lenet5,
    MLP: _of_mlp,
    PooledMLP: _of_pooled_mlp,
}


def layers(network: nn.Module, images: Tensor) -> Layers:
    """The activations of every layer of one of the report's networks.

    Args:
        network: as :func:`lenetshift.build_model` makes it.
        images: uint8 ``[N, 28, 28]``, on the network's device.

    Returns:
        Of LeNet-5 and the symmetric LeNet-5: ``pixels`` [N, 1, 28, 28] in 0..1, ``C1`` [N, 6, 28, 28],
        ``S2`` [N, 6, 14, 14], ``C3`` [N, 16, 10, 10], ``S4`` [N, 16, 5, 5], ``C5`` [N, 120], ``F6``
        [N, 84], ``logits`` [N, 10]; of the MLPs: ``pixels``, ``pooled`` [N, 49] if there is one,
        ``hidden`` [N, 512], ``logits``. C1, C3, C5, F6 and hidden are after the activation.

    Raises:
        ArgumentError: another network.
    """
    reader = _READERS.get(type(network))  # type: ignore[arg-type]
    if reader is None:
        names = ", ".join(known.__name__ for known in _READERS)
        raise ArgumentError("network", type(network).__name__, f"one of {names}")
    assert isinstance(network, DigitModel)
    pixels = as_input(images, next(network.parameters()).dtype)
    calls, logits = _run(network, pixels)
    return {"pixels": pixels, **reader(calls, ACTIVATIONS[network.activation]), "logits": logits}


@torch.no_grad()
def _run(network: nn.Module, pixels: Tensor) -> tuple[_Calls, Tensor]:
    """Run the network; the calls of its modules by their names, and its logits."""
    calls: _Calls = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
        def hook(_: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            calls[name] = _Call(inputs[0], output)

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in network.named_children()]
    try:
        return calls, network(pixels)
    finally:
        for hook in hooks:
            hook.remove()
