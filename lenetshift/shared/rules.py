"""Which rule a function, method or module of PyTorch has. What has none cannot be shared."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .. import ops as _ops  # noqa: F401 (registers c3_conv)
from ..normalize import Normalize
from . import kernels, places, whole
from .geometry import NotShared
from .whole import over_places

Rule = Callable[..., Any]

_EACH_PLACE = """
    abs absolute neg negative sign square sqrt rsqrt exp exp2 expm1 log log2 log10 log1p reciprocal
    pow sin cos tan asin acos atan sinh cosh erf erfc round floor ceil trunc frac sigmoid tanh
    logsigmoid relu relu6 leaky_relu elu selu celu gelu silu mish softplus softsign tanhshrink
    hardtanh hardsigmoid hardswish hardshrink softshrink threshold _threshold clamp clip clamp_min
    clamp_max add sub subtract rsub mul multiply div divide true_divide truediv floordiv floor_divide
    maximum minimum lerp addcmul addcdiv where eq ne lt le gt ge logical_and logical_or logical_not
    nan_to_num isnan float double half bfloat16 to type type_as clone detach iadd isub imul itruediv
    ipow radd rmul local_response_norm
"""
# Functions whose every value is made of the values at the same place (and of other channels).

_WHOLE = """
    std var norm logsumexp prod median argmax argmin any all count_nonzero unflatten
    squeeze cumsum topk sort permute transpose movedim
"""
# Functions of a whole window, as near the end of networks.

NAMES: dict[str, Rule] = {
    **dict.fromkeys(_EACH_PLACE.split(), places.each_place),
    **dict.fromkeys(_WHOLE.split(), whole.of_windows),
    **dict.fromkeys(("softmax", "log_softmax", "softmin", "glu"), places.along_channels),
    **dict.fromkeys(("chunk", "split"), places.in_pieces),
    **dict.fromkeys(("cat", "concat", "concatenate"), places.concatenated),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "alpha_dropout"), places.dropout),
    "feature_alpha_dropout": places.dropout,
    **dict.fromkeys(("layer_norm", "group_norm", "instance_norm"), places.over_window),
    "contiguous": places.unchanged,
    **dict.fromkeys(("max", "min"), whole.extreme),
    "prelu": places.by_channel,
    "batch_norm": places.batch_norm,
    "conv2d": kernels.convolution,
    "max_pool2d": kernels.max_pool2d,
    "avg_pool2d": kernels.avg_pool2d,
    "adaptive_max_pool2d": kernels.adaptive_max_pool2d,
    "adaptive_avg_pool2d": kernels.adaptive_avg_pool2d,
    "pad": kernels.padding,
    **dict.fromkeys(("flatten", "view", "reshape"), whole.flattened),
    "linear": whole.linear,
    "getitem": whole.indexed,
    "sum": over_places(torch.add),
    "mean": over_places(torch.add, average=True),
    "amax": over_places(torch.maximum),
    "amin": over_places(torch.minimum),
}


def _functions() -> dict[Any, Rule]:
    found: dict[Any, Rule] = {torch.ops.lenetshift.c3_conv: kernels.c3_convolution}
    for name, rule in NAMES.items():
        for space in (torch, F, operator):
            for spelling in (name, f"{name}_"):
                function = getattr(space, spelling, None)
                if callable(function):
                    found[function] = rule
    return found


FUNCTIONS = _functions()


TAKES_FLAT = (whole.linear, whole.flattened, places.dropout, places.unchanged)
"""The rules that know what to do with a flattened map; for others its windows are taken apart."""

Bound = tuple[Rule, tuple[Any, ...]]
"""A rule, and its arguments after the images."""


def _convolution(m: Any) -> Bound:
    if m.padding_mode != "zeros" and m.padding not in ("valid", (0, 0)):
        raise NotShared(kernels.PADS)
    settings = (m.weight, m.bias, m.stride, m.padding, m.dilation, m.groups)
    return kernels.convolution, settings


def _max_pooling(m: Any) -> Bound:
    settings = (m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices)
    return kernels.max_pool2d, settings


def _avg_pooling(m: Any) -> Bound:
    settings = (m.kernel_size, m.stride, m.padding, m.ceil_mode, True, m.divisor_override)
    return kernels.avg_pool2d, settings


def _batch_norm(m: Any) -> Bound:
    if m.training or m.running_mean is None:
        raise NotShared("normalises by its batch")
    return places.by_channel, ()


def _each_place(m: Any) -> Bound:
    return places.each_place, ()


def _dropout(m: Any) -> Bound:
    return places.dropout, (0.5, m.training)


MODULES: dict[type[nn.Module], Callable[[Any], Bound]] = {
    nn.Conv2d: _convolution,
    nn.MaxPool2d: _max_pooling,
    nn.AvgPool2d: _avg_pooling,
    nn.AdaptiveMaxPool2d: lambda m: (
        kernels.adaptive_max_pool2d,
        (m.output_size, m.return_indices),
    ),
    nn.AdaptiveAvgPool2d: lambda m: (kernels.adaptive_avg_pool2d, (m.output_size,)),
    nn.ConstantPad2d: lambda m: (kernels.padding, (m.padding, "constant", m.value)),
    nn.ZeroPad2d: lambda m: (kernels.padding, (m.padding,)),
    nn.Linear: lambda m: (whole.linear, (m.weight, m.bias)),
    nn.Flatten: lambda m: (whole.flattened, ()),
    nn.BatchNorm2d: _batch_norm,
    nn.PReLU: lambda m: (places.by_channel, ()),
    nn.Softmax: lambda m: (places.softmax_module, (m.dim,)),
    nn.LogSoftmax: lambda m: (places.softmax_module, (m.dim,)),
    nn.Identity: lambda m: (places.unchanged, ()),
    **dict.fromkeys(
        (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d), lambda m: (places.over_window, ())
    ),
    Normalize: _each_place,
}
_MODULES_OF_EACH_PLACE = """
    ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Softplus Softsign Tanh Tanhshrink Sigmoid
    LogSigmoid Hardtanh Hardsigmoid Hardswish Hardshrink Softshrink Threshold RReLU Softmax2d
    LocalResponseNorm
"""
_DROPOUTS = "Dropout Dropout1d Dropout2d AlphaDropout FeatureAlphaDropout"
MODULES.update({getattr(nn, name): _each_place for name in _MODULES_OF_EACH_PLACE.split()})
MODULES.update({getattr(nn, name): _dropout for name in _DROPOUTS.split()})


def of_module(module: nn.Module) -> Bound | None:
    """The rule of a module of PyTorch's that still does what its class does."""
    for kind in type(module).__mro__:
        if kind in MODULES:
            same = type(module).forward is kind.forward and "forward" not in vars(module)
            return MODULES[kind](module) if same else None
    return None
