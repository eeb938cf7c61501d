"""Perceptrons of 512 hidden units behind a pooling of the image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from ....ops.activations import ACTIVATION_LAYERS

MLP_POOLINGS: dict[str, Callable[[int], nn.Module]] = {
    "average": nn.AvgPool2d,
    "max": nn.MaxPool2d,
    "subsampling": lambda k: nn.AvgPool2d(1, k),
}
MLP_FOLDS = (1, 2, 4, 7)
"""Pixels along each axis that a perceptron's pooling turns into one."""


def perceptron(before: nn.Module, n_inputs: int, activation: str) -> nn.Module:
    """A perceptron of 512 hidden units behind another layer."""
    layers = [nn.Linear(n_inputs, 512), ACTIVATION_LAYERS[activation](), nn.Linear(512, 10)]
    return nn.Sequential(before, nn.Flatten(), *layers)


def pooled_mlp(pooling: str, fold: int, activation: str) -> nn.Module:
    """A perceptron behind a pooling of the image."""
    return perceptron(MLP_POOLINGS[pooling](fold), (28 // fold) ** 2, activation)


NETWORKS: dict[str, Callable[[str], nn.Module]] = {
    f"mlp_{pooling}_{fold}": partial(pooled_mlp, pooling, fold)
    for pooling in MLP_POOLINGS
    for fold in MLP_FOLDS[1:]
}
