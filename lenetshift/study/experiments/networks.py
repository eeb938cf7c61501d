"""The experiments' networks besides the report's four models: small compositions of PyTorch's modules.

Each is evaluated with shared features and draws its weights in the order of its layers: the LeNet-5
with average pooling has the same weights as :class:`lenetshift.LeNet5`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from ...checks.numbers import check_seed
from ...checks.types import check_choice
from ...data.seeds import generator
from ...models.build import MODEL_NAMES, build_model, draw_weights
from ...models.lenet5 import C3Conv
from ...remedies.blur import BlurPool2d, MaxBlurPool2d

ACTIVATION_LAYERS: dict[str, Callable[[], nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}

Layers = list[nn.Module]


def _max_blur() -> Layers:
    """The largest of 2x2 at every place, then the blur: two layers, as the names of stored weights count."""
    return [*MaxBlurPool2d(2, padding_mode="none").children()]


POOLINGS: dict[str, tuple[Callable[[], Layers], int]] = {
    "average": (lambda: [nn.AvgPool2d(2)], 2),
    "subsampling": (lambda: [nn.AvgPool2d(1, 2)], 2),
    "max": (lambda: [nn.MaxPool2d(2)], 2),
    "blur": (lambda: [BlurPool2d(padding_mode="none")], 4),
    "max_blur": (_max_blur, 5),
}
"""Ways to halve rows and columns: the mean of 2x2, their first pixel, their largest, BlurPool, and
max-BlurPool (:mod:`lenetshift.remedies`), both without padding. Next to each is the black border, in pixels,
that the image needs to end in an S4 of 5x5: BlurPool looks beyond its 2x2, and sees more of the image here
where Zhang reflects."""


def _after_c5(activation: str) -> Layers:
    return [nn.Linear(120, 84), ACTIVATION_LAYERS[activation](), nn.Linear(84, 10)]


def _dense(n_inputs: int, activation: str) -> Layers:
    """The layers from C5 to the output."""
    return [nn.Linear(n_inputs, 120), ACTIVATION_LAYERS[activation](), *_after_c5(activation)]


def _up_to_s4(pool: Callable[[], Layers], border: int, activation: str) -> Layers:
    """[N, 1, 28, 28] -> S4; [N, 16, 5, 5] with the pooling's own border."""
    act = ACTIVATION_LAYERS[activation]
    return [nn.Conv2d(1, 6, 5, padding=border), act(), *pool(), C3Conv(), act(), *pool()]


def lenet5(pooling: str, activation: str) -> nn.Module:
    """LeNet-5 with another pooling."""
    layers = _up_to_s4(*POOLINGS[pooling], activation)
    return nn.Sequential(*layers, nn.Flatten(), *_dense(400, activation))


def global_after_s4(pool: Callable[[int], nn.Module], activation: str) -> nn.Module:
    """LeNet-5 whose dense layers see one number of each S4 map: they cannot read the place."""
    layers = _up_to_s4(*POOLINGS["average"], activation)
    return nn.Sequential(*layers, pool(1), nn.Flatten(), *_dense(16, activation))


def global_after_c5(pool: Callable[[int], nn.Module], activation: str) -> nn.Module:
    """LeNet-5 whose C5 has 5x5 places, and whose F6 sees one number of each C5 map."""
    average, _ = POOLINGS["average"]
    c5 = [nn.Conv2d(16, 120, 5), ACTIVATION_LAYERS[activation](), pool(1), nn.Flatten()]
    layers = _up_to_s4(average, 10, activation)  # S4: [N, 16, 9, 9]
    return nn.Sequential(*layers, *c5, *_after_c5(activation))


BORDER = 28
"""Pixels of black around the image of the place-blind network. Its C5 has a unit at every fourth place,
which sees 30 x 30 pixels; this border is wide enough for every unit that could see a pixel of the image."""

NEAR = 6
"""Pixels of that border that S2's units see together with the image; farther out they see only black."""


class _BorderedS2(nn.Module):
    """C1 to S2 of the image in its border, [N, 1, 28, 28] -> [N, 6, 39, 39]. In training, only the units
    that see the image are computed, [N, 6, 17, 17], and padded with what black gives, in half of a step's
    time. Both ways give the same; sharing features needs the one without padding in between."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.activation = activation
        self.pooling = nn.Sequential(*_max_blur())

    def forward(self, images: Tensor) -> Tensor:
        """S2, computed in the way of the mode."""
        border = NEAR if self.training else BORDER
        maps = self.activation(self.c1(F.pad(images, [border] * 4)))
        s2: Tensor = self.pooling(maps)
        if border == BORDER:
            return s2
        black: Tensor = self.activation(self.c1.bias)[:, None, None]
        return F.pad(s2 - black, [(BORDER - NEAR) // 2] * 4) + black


def place_blind(activation: str) -> nn.Module:
    """A network of LeNet-5's layers that cannot read the digit's place: no edge is near the digit, no
    padding marks one, and F6 sees only the largest value of each C5 map. It gives a digit that is moved by
    4 pixels the same logits; in between, max-BlurPool keeps them close. C5 has 3x3 kernels, because a digit
    of 20 x 20 pixels fits into what they see."""
    act = ACTIVATION_LAYERS[activation]
    s4 = [C3Conv(), act(), *_max_blur()]  # [N, 16, 16, 16]
    c5 = [nn.Conv2d(16, 120, 3), nn.AdaptiveMaxPool2d(1), act(), nn.Flatten()]
    return nn.Sequential(_BorderedS2(act()), *s4, *c5, *_after_c5(activation))


MLP_POOLINGS: dict[str, Callable[[int], nn.Module]] = {
    "average": nn.AvgPool2d,
    "max": nn.MaxPool2d,
    "subsampling": lambda k: nn.AvgPool2d(1, k),
}
MLP_FOLDS = (1, 2, 4, 7)
"""Pixels along each axis that a perceptron's pooling turns into one."""


def pooled_mlp(pooling: str, fold: int, activation: str) -> nn.Module:
    """A perceptron of 512 hidden units behind a pooling of the image."""
    act = ACTIVATION_LAYERS[activation]
    layers = [nn.Linear((28 // fold) ** 2, 512), act(), nn.Linear(512, 10)]
    return nn.Sequential(MLP_POOLINGS[pooling](fold), nn.Flatten(), *layers)


NETWORKS: dict[str, Callable[[str], nn.Module]] = {
    **{f"lenet5_{pooling}": partial(lenet5, pooling) for pooling in POOLINGS},
    "lenet5_global_average_s4": partial(global_after_s4, nn.AdaptiveAvgPool2d),
    "lenet5_global_average_c5": partial(global_after_c5, nn.AdaptiveAvgPool2d),
    "lenet5_global_max_c5": partial(global_after_c5, nn.AdaptiveMaxPool2d),
    "place_blind": place_blind,
    **{
        f"mlp_{pooling}_{fold}": partial(pooled_mlp, pooling, fold)
        for pooling in MLP_POOLINGS
        for fold in MLP_FOLDS[1:]
    },
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
