"""The table of variants, and the network of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....checks.describe import shown
from ....checks.errors import ArgumentError
from ....checks.numbers import check_seed
from ....checks.types import check_choice
from ....data.seeds import generator
from ....models.build import MODEL_NAMES, build_model
from ....ops.activations import ACTIVATION_LAYERS
from . import initial_weights
from .networks import RawPixels, with_sigmoid, with_trainable_pooling


def _cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(outputs, labels)


def _cross_entropy_of_softmax(outputs: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(F.softmax(outputs, dim=1), labels)


def _squared_error(outputs: Tensor, labels: Tensor) -> Tensor:
    return F.mse_loss(outputs, F.one_hot(labels, outputs.shape[1]).to(outputs.dtype))


@dataclass(frozen=True)
class Variant:
    """A training that differs from the package's own in one thing; by default, in nothing.

    Attributes:
        title: a few words, for tables.
        differs: a sentence that says what is different.
        models: the names of the models that it is for.
        activations: those of their activations.
        network: makes the network of a model with its weights, and of the name of its activation.
        draw: draws the initial weights of the model anew, from a generator.
        loss: the loss of a step, given outputs ``[B, 10]`` and labels ``[B]``.
        momentum: of the gradient descent.
        shuffles: whether each epoch has a random order of its own.
    """

    title: str
    differs: str
    models: tuple[str, ...] = MODEL_NAMES
    activations: tuple[str, ...] = tuple(ACTIVATION_LAYERS)
    network: Callable[[nn.Module, str], nn.Module] | None = None
    draw: Callable[[nn.Module, torch.Generator], None] | None = None
    loss: Callable[[Tensor, Tensor], Tensor] = _cross_entropy
    momentum: float = 0.0
    shuffles: bool = True


VARIANTS: dict[str, Variant] = {
    "": Variant("the package's own", "Nothing differs from lenetshift.train."),
    "no_shuffling": Variant(
        "no shuffling",
        "Every epoch takes the images in the order of the data set, instead of a random order of its own.",
        shuffles=False,
    ),
    "sigmoid": Variant(
        "sigmoid",
        "The activation is the sigmoid 1 / (1 + exp(-x)) instead of tanh.",
        activations=("tanh",),
        network=with_sigmoid,
    ),
    "softmax_before_loss": Variant(
        "softmax before the loss",
        "The cross-entropy, which has a softmax of its own, gets the softmax of the outputs as if it were "
        "logits, instead of the outputs.",
        loss=_cross_entropy_of_softmax,
    ),
    "mse": Variant(
        "mean squared error",
        "The loss is the mean squared difference, over images and outputs, between the ten outputs and 1 for "
        "the right digit, 0 for the others, instead of the cross-entropy.",
        loss=_squared_error,
    ),
    "momentum": Variant(
        "momentum of 0.9", "The gradient descent has a momentum of 0.9 instead of 0.", momentum=0.9
    ),
    "trainable_pooling": Variant(
        "trainable pooling",
        "S2 and S4 are those of 1998 instead of plain averages: each map's average is multiplied by a "
        "trainable coefficient, 1 at first, a trainable bias, 0 at first, is added, and the activation "
        "follows.",
        models=("lenet5", "symmetric_lenet5"),
        network=with_trainable_pooling,
    ),
    "raw_pixels": Variant(
        "raw pixels",
        "The network sees pixels in 0..255 instead of 0..1, in training and in evaluation.",
        network=lambda model, activation: RawPixels(model),
    ),
    "init_xavier": Variant(
        "Xavier initial weights",
        "The initial weights are uniform in +-sqrt(6 / (fan_in + fan_out)) and the biases 0, instead of "
        "PyTorch's own, both uniform in +-1/sqrt(fan_in).",
        draw=initial_weights.xavier,
    ),
    "init_lecun": Variant(
        "LeCun initial weights",
        "The initial weights are normal with standard deviation 1/sqrt(fan_in) and the biases 0, instead of "
        "PyTorch's own, both uniform in +-1/sqrt(fan_in).",
        draw=initial_weights.lecun,
    ),
    "init_1998": Variant(
        "initial weights of 1998",
        "The initial weights and biases are uniform in +-2.4/fan_in, instead of PyTorch's own, uniform in "
        "+-1/sqrt(fan_in).",
        draw=initial_weights.of_1998,
    ),
}
"""Name -> variant; ``""`` is the package's own training.

PyTorch's initial weights are no variant: :func:`lenetshift.build_model` draws them. C3's units have their own
fan_in there, 75 to 150, as in 16 convolutions of PyTorch, one for each map.
"""


def build(variant: str, network_name: str, activation: str, seed: int) -> nn.Module:
    """The network to train and to evaluate, with weights that the arguments alone determine.

    Args:
        variant: a name in :data:`VARIANTS`.
        network_name: one of the report's models that the variant is for.
        activation: ``"tanh"`` or ``"relu"``; for ``"sigmoid"``, which takes the place of tanh, ``"tanh"``.
        seed: 0..2**32 - 1.

    Returns:
        A network that takes images ``[N, 1, 28, 28]`` in [0, 1] and gives outputs ``[N, 10]``.

    Raises:
        ValueError: an unknown variant, a model or an activation that the variant is not for, or a seed out
            of range.
    """
    chosen = variant_named(variant)
    _check_is_for(variant, "network_name", network_name, chosen.models)
    _check_is_for(variant, "activation", activation, chosen.activations)
    seed = check_seed(seed)
    model = build_model(network_name, activation, seed=seed)
    if chosen.draw is not None:
        chosen.draw(model, generator(seed))
    return model if chosen.network is None else chosen.network(model, activation)


def _check_is_for(variant: str, argument: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ArgumentError unless a value is one of those that the variant is for."""
    if not isinstance(value, str) or value not in choices:
        for_variant = f" for the variant {variant!r}" if variant else ""
        expected = " or ".join(map(repr, choices))
        raise ArgumentError(argument, f"{shown(value)}{for_variant}", expected)


def variant_named(name: str) -> Variant:
    """The variant of a name; ArgumentError if there is none."""
    check_choice("variant", name, VARIANTS)
    return VARIANTS[name]
