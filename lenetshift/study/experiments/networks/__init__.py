"""The experiments' networks besides the report's four models: small compositions of PyTorch's modules.

Each takes [N, 1, 28, 28] and gives [N, 10], and draws its weights in the order of its layers: a network
whose layers have the shapes of LeNet-5's has the weights of :class:`lenetshift.LeNet5` of the same seed.

- ``lenet5``: LeNet-5 with another pooling, other kernels, another size of S2;
- ``place_blind``: from LeNet-5 to networks whose answers hardly depend on the place, one change at a time
  (:data:`LADDER`);
- ``perceptrons``: perceptrons behind a pooling;
- ``controls``: LeNet-5 and the perceptron without what convolutions are said to give;
- ``layers``, ``borders``: layers that PyTorch lacks.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ....checks.numbers import check_seed
from ....checks.types import check_choice
from ....data.seeds import generator
from ....models.build import MODEL_NAMES, build_model, draw_weights
from ....ops.activations import ACTIVATION_LAYERS
from . import controls, lenet5, perceptrons, place_blind
from .lenet5 import POOLINGS
from .perceptrons import MLP_FOLDS, MLP_POOLINGS
from .place_blind import BESIDE_LADDER, LADDER

__all__ = [
    "BESIDE_LADDER",
    "LADDER",
    "MLP_FOLDS",
    "MLP_POOLINGS",
    "NETWORKS",
    "POOLINGS",
    "build_network",
    "trained_parameters",
]

NETWORKS: dict[str, Callable[[str], nn.Module]] = {
    **lenet5.NETWORKS,
    **place_blind.NETWORKS,
    **perceptrons.NETWORKS,
    **controls.NETWORKS,
}
"""Name -> network, given an activation; all except the report's own four."""


def build_network(name: str, activation: str, seed: int) -> nn.Module:
    """One of the report's models or of :data:`NETWORKS`, with weights that depend on name and seed alone.

    Raises:
        ValueError: an unknown name or activation, or a seed out of range.
    """
    check_choice("network", name, (*MODEL_NAMES, *NETWORKS))
    if name in MODEL_NAMES:
        return build_model(name, activation, seed=seed)
    check_choice("activation", activation, tuple(ACTIVATION_LAYERS))
    seed = check_seed(seed)
    network = NETWORKS[name](activation)
    draw_weights(network, generator(seed))
    return network


def trained_parameters(network: nn.Module) -> int:
    """How many numbers training changes: all parameters that are not frozen."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
