"""LeNet-5 and the MLP without something that convolutions are said to make use of: neighbouring
pixels, weights shared between places, filters that are learned."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ....models.lenet5 import C3Conv
from ....ops.activations import ACTIVATION_LAYERS
from .layers import PermutedPixels, UntiedConv2d
from .lenet5 import dense, of_pooling
from .perceptrons import perceptron


def lenet5_permuted(activation: str) -> nn.Module:
    """LeNet-5 behind a fixed permutation of all pixels."""
    return nn.Sequential(PermutedPixels(), of_pooling("average", activation))


def mlp_permuted(activation: str) -> nn.Module:
    """The MLP behind the same permutation."""
    return perceptron(PermutedPixels(), 784, activation)


def lenet5_untied(activation: str) -> nn.Module:
    """LeNet-5 whose C1 and C3 have weights of their own at every place: 122,304 and 151,600."""
    act = ACTIVATION_LAYERS[activation]
    s2 = [nn.ZeroPad2d(2), UntiedConv2d(28, [[0]] * 6), act(), nn.AvgPool2d(2)]
    s4 = [UntiedConv2d(10), act(), nn.AvgPool2d(2)]
    return nn.Sequential(*s2, *s4, nn.Flatten(), *dense(400, activation))


def lenet5_random_filters(activation: str) -> nn.Module:
    """LeNet-5 whose C1 and C3 stay as they are drawn: only the dense layers are trained."""
    network = of_pooling("average", activation)
    for layer in network.children():
        if isinstance(layer, (nn.Conv2d, C3Conv)):
            layer.requires_grad_(False)
    return network


NETWORKS: dict[str, Callable[[str], nn.Module]] = {
    "lenet5_permuted": lenet5_permuted,
    "mlp_permuted": mlp_permuted,
    "lenet5_untied": lenet5_untied,
    "lenet5_random_filters": lenet5_random_filters,
}
