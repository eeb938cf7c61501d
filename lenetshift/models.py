"""The report's four models (Tanaka 2024), as ordinary ``torch.nn.Module``s.

All take images ``[N, 1, 28, 28]`` in [0, 1] and give logits ``[N, 10]``. What the report leaves
open is settled so: the activation is tanh, LeNet-5's own kind (ReLU on request); the two
perceptrons have one hidden layer of 512 units; pooling is a plain average, without the trainable
coefficients of 1998, and the output layer is linear, for cross-entropy.

``torch.ops.lenetshift``, which C3 calls, is registered when the package is imported.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks

from . import names
from .activations import ACTIVATIONS
from .c3_table import C3_TABLE, Table, n_connections, table_masks
from .checks import check_choice, check_seed, shown
from .seeds import generator


class C3Conv(nn.Module):
    """5x5 convolution in which each output map sees only some input maps.

    ``[N, n_inputs, H, W]`` of any floating dtype -> ``[N, len(table), H - 4, W - 4]``, computed in
    float64 for float64, else in float32.

    Initialised as PyTorch initialises its convolutions: weights and bias uniform in
    +-1/sqrt(fan_in), with each output map's own fan_in, 25 times the number of its inputs.

    Args:
        table: for each output map the ascending input maps that it sees.

    Attributes:
        weight: ``[n_connections(table), 5, 5]``, output-major, then by ascending input map.
        bias: ``[len(table)]``.
    """

    def __init__(self, table: Table = C3_TABLE) -> None:
        """Make the layer and draw its weights; ValueError for a malformed table."""
        super().__init__()
        self.masks = table_masks(table)
        self.table = tuple(tuple(inputs) for inputs in table)
        self.weight = nn.Parameter(torch.empty(n_connections(table), 5, 5))
        self.bias = nn.Parameter(torch.empty(len(table)))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw weight and bias anew, from ``generator`` or from torch's global one."""
        first = 0
        for output, inputs in enumerate(self.table):
            bound = 1 / math.sqrt(25 * len(inputs))
            self.weight[first : first + len(inputs)].uniform_(-bound, bound, generator=generator)
            self.bias[output].uniform_(-bound, bound, generator=generator)
            first += len(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[N, len(table), H - 4, W - 4]`` of maps ``[N, n_inputs, H, W]``."""
        result: Tensor = torch.ops.lenetshift.c3_conv(x, self.weight, self.bias, self.masks)
        return result

    def extra_repr(self) -> str:
        """The table, in the module's printed form."""
        return f"table={self.table}"


class _DigitModel(nn.Module):
    """What the four models share: an activation known by name."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        check_choice("activation", activation, ACTIVATIONS)
        self.activation = activation

    def extra_repr(self) -> str:
        return f"activation={self.activation!r}"


class _LeNet(_DigitModel):
    """LeNet-5 around a given third layer."""

    def __init__(self, make_c3: Callable[[], nn.Module], activation: str) -> None:
        super().__init__(activation)
        self.c1 = nn.Conv2d(1, 6, 5, padding=2)
        self.c3 = make_c3()
        self.c5 = nn.Linear(400, 120)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[N, 10]`` of images ``[N, 1, 28, 28]`` in [0, 1]."""
        act = ACTIVATIONS[self.activation]
        x = F.avg_pool2d(act(self.c1(x)), 2)  # [N, 6, 28, 28] -> S2 [N, 6, 14, 14]
        x = F.avg_pool2d(act(self.c3(x)), 2)  # [N, 16, 10, 10] -> S4 [N, 16, 5, 5]
        x = act(self.c5(x.flatten(1)))  # [N, 400] -> [N, 120]
        x = act(self.f6(x))  # [N, 84]
        logits: Tensor = self.output(x)
        return logits


class LeNet5(_LeNet):
    """Model 0, LeNet-5 with the connection table of 1998: 60,806 parameters, 1,516 in C3.

    Args:
        activation: ``"tanh"`` or ``"relu"``.
    """

    def __init__(self, activation: str = "tanh") -> None:
        """Make the layers and draw their weights; ValueError for an unknown activation."""
        super().__init__(C3Conv, activation)


class SymmetricLeNet5(_LeNet):
    """Model 2, LeNet-5 in which every C3 map sees every S2 map: 61,706 parameters, 2,416 in C3.

    Args:
        activation: ``"tanh"`` or ``"relu"``.
    """

    def __init__(self, activation: str = "tanh") -> None:
        """Make the layers and draw their weights; ValueError for an unknown activation."""
        super().__init__(lambda: nn.Conv2d(6, 16, 5), activation)


class MLP(_DigitModel):
    """Model 1, a perceptron with one hidden layer of 512 units: 407,050 parameters.

    Args:
        activation: ``"tanh"`` or ``"relu"``.
    """

    def __init__(self, activation: str = "tanh") -> None:
        """Make the layers and draw their weights; ValueError for an unknown activation."""
        super().__init__(activation)
        self.hidden = nn.Linear(784, 512)
        self.output = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[N, 10]`` of images ``[N, 1, 28, 28]`` in [0, 1]."""
        logits: Tensor = self.output(ACTIVATIONS[self.activation](self.hidden(x.flatten(1))))
        return logits


class PooledMLP(_DigitModel):
    """Model 3, 4x4 average pooling before a perceptron of 512 hidden units: 30,730 parameters.

    Args:
        activation: ``"tanh"`` or ``"relu"``.
    """

    def __init__(self, activation: str = "tanh") -> None:
        """Make the layers and draw their weights; ValueError for an unknown activation."""
        super().__init__(activation)
        self.hidden = nn.Linear(49, 512)
        self.output = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[N, 10]`` of images ``[N, 1, 28, 28]`` in [0, 1]."""
        x = F.avg_pool2d(x, 4).flatten(1)  # [N, 49]
        logits: Tensor = self.output(ACTIVATIONS[self.activation](self.hidden(x)))
        return logits


MODELS: dict[str, Callable[[str], _DigitModel]] = {
    spec.name: globals()[spec.made_by] for spec in names.NETWORKS
}
"""Name -> class, in the order of :data:`lenetshift.names.ALL_MODELS`."""

MODEL_NAMES: tuple[str, ...] = tuple(MODELS)


_METHODS = {
    layer: {
        name: getattr(layer, name)
        for name in ("__call__", "forward", "_conv_forward")
        if hasattr(layer, name)
    }
    for layer in (*MODELS.values(), C3Conv, nn.Conv2d, nn.Linear)
}
"""What the classes compute with: replaced in a class, the fused ops would overlook it."""


def build_model(name: str, activation: str = "tanh", *, seed: int | None = None) -> nn.Module:
    """A new model with random weights.

    Args:
        name: one of ``MODEL_NAMES``.
        activation: ``"tanh"`` or ``"relu"``.
        seed: 0..2**32 - 1; the weights are then a function of name and seed only, drawn on the
            CPU from a generator of their own. None draws from torch's global generator.

    Raises:
        ValueError: an unknown name or activation, or a seed out of range.
    """
    if not isinstance(name, str) or name not in MODELS:
        raise ValueError(f"name: got {shown(name)}, expected one of {', '.join(MODEL_NAMES)}")
    if seed is None:
        return MODELS[name](activation)
    seed = check_seed(seed)
    model = _without_weights(name, activation).to_empty(device="cpu")
    draw_weights(model, generator(seed))
    return model


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
    if name is not None and not names.BY_NAME[name].has_fused_ops:
        return None
    kinds = {(parameter.dtype, parameter.device) for parameter in model.parameters()}
    if name is None or len(kinds) != 1:
        return None
    dtype, device = kinds.pop()
    return name if dtype == torch.float32 and device.type in ("cpu", "cuda") else None


def device_of(model: nn.Module) -> torch.device:
    """Where a model expects its input: where its first floating parameter or buffer is; the CPU for a model
    without any."""
    return next((tensor.device for tensor in _floating(model)), torch.device("cpu"))


def dtype_of(model: nn.Module) -> torch.dtype:
    """The dtype of its first floating parameter or buffer; float32 for a model without any."""
    return next((tensor.dtype for tensor in _floating(model)), torch.float32)


def input_dtypes(model: nn.Module) -> list[torch.dtype]:
    """The floating dtypes in which a model may expect its input, the likeliest first.

    Float32 or float64 where all parameters and buffers have it. A model of several, or of half precision
    alone, may convert what it is given: float32 first, then its own dtypes in the order of their first use.
    """
    own = list(dict.fromkeys(tensor.dtype for tensor in _floating(model)))
    if not own:
        return [torch.float32]
    return (
        own
        if own in ([torch.float32], [torch.float64])
        else list(dict.fromkeys([torch.float32, *(d for d in own if d.itemsize > 1)]))
    )


def _floating(model: nn.Module) -> Iterator[Tensor]:
    for group in (model.parameters(), model.buffers()):
        yield from (tensor for tensor in group if tensor.is_floating_point())


def _without_weights(name: str, activation: str) -> nn.Module:
    """A model on the meta device: shapes only, no memory, no random numbers."""
    with torch.device("meta"):
        return MODELS[name](activation)


_built = functools.cache(_without_weights)  # to compare with, never handed out


def draw_weights(model: nn.Module, generator: torch.Generator) -> None:
    """Draw what the layers draw when they are made, in the same order."""
    for layer in model.modules():
        if isinstance(layer, C3Conv):
            layer.reset_parameters(generator)
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):  # as in their own reset_parameters
            assert layer.bias is not None
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            bound = 1 / math.sqrt(layer.weight[0].numel())
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


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
