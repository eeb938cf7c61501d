"""LeNet-5 with another pooling, with other kernels, with another size of S2."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from ....models.lenet5 import C3Conv
from ....ops.activations import ACTIVATION_LAYERS
from ....remedies.blur import BlurPool2d, MaxBlurPool2d
from .layers import TableConv2d

Layers = list[nn.Module]


def max_blur() -> Layers:
    """The largest of 2x2 at every place, then the blur: two layers, as the names of stored weights count."""
    return [*MaxBlurPool2d(2, padding_mode="none").children()]


POOLINGS: dict[str, tuple[Callable[[], Layers], int]] = {
    "average": (lambda: [nn.AvgPool2d(2)], 2),
    "subsampling": (lambda: [nn.AvgPool2d(1, 2)], 2),
    "max": (lambda: [nn.MaxPool2d(2)], 2),
    "blur": (lambda: [BlurPool2d(padding_mode="none")], 4),
    "max_blur": (max_blur, 5),
}
"""Ways to halve rows and columns: the mean of 2x2, their first pixel, their largest, BlurPool, and
max-BlurPool (:mod:`lenetshift.remedies`), both without padding. Next to each is the black border, in pixels,
that the image needs to end in an S4 of 5x5: BlurPool looks beyond its 2x2, and sees more of the image here
where Zhang reflects."""


def after_c5(activation: str) -> Layers:
    """The layers from F6 to the output."""
    return [nn.Linear(120, 84), ACTIVATION_LAYERS[activation](), nn.Linear(84, 10)]


def dense(n_inputs: int, activation: str) -> Layers:
    """The layers from C5 to the output."""
    return [nn.Linear(n_inputs, 120), ACTIVATION_LAYERS[activation](), *after_c5(activation)]


def up_to_s4(pooling: str, border: int, activation: str) -> Layers:
    """[N, 1, 28, 28] -> S4, [N, 16, 5, 5] without a border: pixels of black around LeNet-5's input, besides
    those that the pooling needs."""
    act = ACTIVATION_LAYERS[activation]
    pool, own = POOLINGS[pooling]
    return [nn.Conv2d(1, 6, 5, padding=own + border), act(), *pool(), C3Conv(), act(), *pool()]


def of_pooling(pooling: str, activation: str) -> nn.Module:
    """LeNet-5 with another pooling."""
    return nn.Sequential(*up_to_s4(pooling, 0, activation), nn.Flatten(), *dense(400, activation))


KERNELS = (3, 7, 9)
"""Rows and columns of C1's and C3's kernels where they are not LeNet-5's 5."""


def of_kernels(side: int, activation: str) -> nn.Module:
    """LeNet-5 with larger or smaller kernels in C1 and C3. S2 is padded or cropped, so that a kernel of 5x5
    in the middle of a larger one, all else 0, gives LeNet-5's maps, which have the same sizes."""
    act = ACTIVATION_LAYERS[activation]
    s2 = [nn.Conv2d(1, 6, side, padding=side // 2), act(), nn.AvgPool2d(2)]
    s4 = [nn.ZeroPad2d((side - 5) // 2), TableConv2d(side), act(), nn.AvgPool2d(2)]
    return nn.Sequential(*s2, *s4, nn.Flatten(), *dense(400, activation))


S2_SIDES = (12, 11, 7)
"""Rows and columns of S2 where they are not LeNet-5's 14. 6 x 11 x 11 is about a sixth of C1's 4704."""


def of_s2(side: int, activation: str) -> nn.Module:
    """LeNet-5 with another size of S2. C3 has 4 rows fewer, and S4 half of that, rounded up: S4's windows
    overlap where C3's rows are odd in number, so that none is left out."""
    act = ACTIVATION_LAYERS[activation]
    s4_side = -(-(side - 4) // 2)
    s2 = [nn.Conv2d(1, 6, 5, padding=2), act(), nn.AdaptiveAvgPool2d(side)]
    s4 = [C3Conv(), act(), nn.AdaptiveAvgPool2d(s4_side)]
    return nn.Sequential(*s2, *s4, nn.Flatten(), *dense(16 * s4_side**2, activation))


NETWORKS: dict[str, Callable[[str], nn.Module]] = {
    **{f"lenet5_{pooling}": partial(of_pooling, pooling) for pooling in POOLINGS},
    **{f"lenet5_kernel_{side}": partial(of_kernels, side) for side in KERNELS},
    **{f"lenet5_s2_{side}": partial(of_s2, side) for side in S2_SIDES},
}
