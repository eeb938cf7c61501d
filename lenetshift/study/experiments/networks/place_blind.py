"""From LeNet-5 to networks whose answers hardly depend on the place, one change at a time.

A border of b is b more pixels of black around LeNet-5's input than its own padding of 2.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from ....models.lenet5 import C3Conv
from ....ops.activations import ACTIVATION_LAYERS
from .borders import Bordered
from .lenet5 import Layers, after_c5, dense, max_blur, up_to_s4


def border_8(activation: str) -> nn.Module:
    """LeNet-5 with a border of 8: C5 is dense over all places of S4, [N, 16, 9, 9]."""
    layers = up_to_s4("average", 8, activation)
    return nn.Sequential(*layers, nn.Flatten(), *dense(16 * 9 * 9, activation))


def global_after_s4(pool: Callable[[int], nn.Module], activation: str) -> nn.Module:
    """LeNet-5 whose dense layers see one number of each S4 map, without its place."""
    layers = up_to_s4("average", 0, activation)
    return nn.Sequential(*layers, pool(1), nn.Flatten(), *dense(16, activation))


def _from_c5(pool: Callable[[int], nn.Module], activation: str) -> Layers:
    """The layers from a C5 that is a convolution; F6 sees one number of each of its maps."""
    c5 = [nn.Conv2d(16, 120, 5), ACTIVATION_LAYERS[activation](), pool(1), nn.Flatten()]
    return [*c5, *after_c5(activation)]


def global_after_c5(
    pool: Callable[[int], nn.Module], pooling: str, border: int, activation: str
) -> nn.Module:
    """LeNet-5 whose C5 has 1 + border / 2 places along each axis, 5x5 for a border of 8, and whose F6 sees
    one number of each C5 map."""
    layers = up_to_s4(pooling, border, activation)
    return nn.Sequential(*layers, *_from_c5(pool, activation))


def global_max_border_28(activation: str) -> nn.Module:
    """:func:`global_after_c5` with the largest value and a border of 28, which has every C5 unit, 15x15, that
    could see a pixel of the image."""
    act = ACTIVATION_LAYERS[activation]
    layers = {"c1": nn.Conv2d(1, 6, 5), "c3": C3Conv()}
    # In training S2 is 16x16, in black 26x26; S4 is 11x11, in black 19x19.
    s4 = Bordered(layers, act(), nn.AvgPool2d(2), border=30, near=(4, 5, 4))
    return nn.Sequential(s4, *_from_c5(nn.AdaptiveMaxPool2d, activation))


def circular(activation: str) -> nn.Module:
    """LeNet-5 whose C1 sees the opposite side of the image beyond an edge, where LeNet-5 sees black."""
    act = ACTIVATION_LAYERS[activation]
    s2 = [nn.CircularPad2d(2), nn.Conv2d(1, 6, 5), act(), nn.AvgPool2d(2)]
    s4 = [C3Conv(), act(), nn.AvgPool2d(2)]
    return nn.Sequential(*s2, *s4, nn.Flatten(), *dense(400, activation))


def global_max_padded(pad: Callable[[int], nn.Module], activation: str) -> nn.Module:
    """LeNet-5 with C1, C3 and C5 padded by 2: their maps have 28x28, 14x14 and 7x7 places. F6 sees the
    largest value of each C5 map."""
    act = ACTIVATION_LAYERS[activation]
    s2 = [pad(2), nn.Conv2d(1, 6, 5), act(), nn.AvgPool2d(2)]
    s4 = [pad(2), C3Conv(), act(), nn.AvgPool2d(2)]
    return nn.Sequential(*s2, *s4, pad(2), *_from_c5(nn.AdaptiveMaxPool2d, activation))


def place_blind(activation: str) -> nn.Module:
    """A network of LeNet-5's layers that cannot read the digit's place: no edge is near the digit, no
    padding marks one, and F6 sees only the largest value of each C5 map. It gives a digit that is moved by
    4 pixels the same logits; in between, max-BlurPool keeps them close. C5 has 3x3 kernels, because a digit
    of 20 x 20 pixels fits into what they see: 30 x 30 pixels, at every fourth place. The 28 pixels of black
    around the image are wide enough for every unit that could see a pixel of it."""
    act = ACTIVATION_LAYERS[activation]
    c1 = {"c1": nn.Conv2d(1, 6, 5)}
    # [N, 6, 39, 39]; in training 17x17 in black
    s2 = Bordered(c1, act(), nn.Sequential(*max_blur()), border=28, near=(6, 11))
    s4 = [C3Conv(), act(), *max_blur()]  # [N, 16, 16, 16]
    c5 = [nn.Conv2d(16, 120, 3), nn.AdaptiveMaxPool2d(1), act(), nn.Flatten()]
    return nn.Sequential(s2, *s4, *c5, *after_c5(activation))


_LARGEST = partial(global_after_c5, nn.AdaptiveMaxPool2d)

NETWORKS: dict[str, Callable[[str], nn.Module]] = {
    "lenet5_global_average_s4": partial(global_after_s4, nn.AdaptiveAvgPool2d),
    "lenet5_global_average_c5": partial(global_after_c5, nn.AdaptiveAvgPool2d, "average", 8),
    "lenet5_global_max_c5": partial(_LARGEST, "average", 8),
    "place_blind": place_blind,
    "lenet5_border_8": border_8,
    "lenet5_global_max_border_4": partial(_LARGEST, "average", 4),
    "lenet5_global_max_border_12": partial(_LARGEST, "average", 12),
    "lenet5_global_max_border_28": global_max_border_28,
    "lenet5_global_max_border_12_max": partial(_LARGEST, "max", 12),
    "lenet5_global_max_border_12_max_blur": partial(_LARGEST, "max_blur", 12),
    "lenet5_circular": circular,
    "lenet5_global_max_zero": partial(global_max_padded, nn.ZeroPad2d),
    "lenet5_global_max_circular": partial(global_max_padded, nn.CircularPad2d),
}

LADDER: dict[str, str] = {
    "lenet5": "LeNet-5",
    "lenet5_border_8": "8 more pixels of black around the image",
    "lenet5_global_max_c5": "C5 is a 5x5 convolution, F6 sees the largest value of each map",
    "lenet5_global_max_border_12": "12 more pixels of black instead of 8",
    "lenet5_global_max_border_12_max": "S2 and S4 are max pooling instead of average pooling",
    "lenet5_global_max_border_12_max_blur": "S2 and S4 are max-BlurPool instead of max pooling",
    "place_blind": "23 more pixels of black instead of 12, and C5 has 3x3 kernels",
}
"""Networks in order -> what differs from the network before. Only the last differs in two things."""

BESIDE_LADDER: dict[str, tuple[str, str]] = {
    "lenet5_global_max_border_4": ("lenet5_global_max_c5", "4 more pixels of black instead of 8"),
    "lenet5_global_max_border_28": (
        "lenet5_global_max_border_12",
        "28 more pixels of black instead of 12",
    ),
    "lenet5_circular": ("lenet5", "C1 is padded circularly instead of with zeros"),
    "lenet5_global_max_zero": (
        "lenet5_global_max_c5",
        "C1, C3 and C5 are padded by 2 zeros instead of a border of black",
    ),
    "lenet5_global_max_circular": (
        "lenet5_global_max_zero",
        "C1, C3 and C5 are padded circularly instead of with zeros",
    ),
}
"""Other networks -> the network from which each differs in one thing, and that thing."""
