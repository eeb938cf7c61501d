"""Which rule an ATen operation has. An operation without a rule cannot be shared.

A rule receives the operation and its arguments, with maps in place of images. It returns a map, a flattened
map, or a row for each window. It raises NotShared if that is impossible, and TakenApart if the operation must
run on each window by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ... import ops as _ops  # noqa: F401 (registers c3_conv)
from . import kernels, places, whole
from .whole import over_places

Rule = Callable[..., Any]

_EACH_PLACE = """
    abs neg sign sgn square sqrt rsqrt exp exp2 expm1 log log2 log10 log1p reciprocal pow sin cos
    tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh erf erfc erfinv round floor ceil trunc
    frac sigmoid log_sigmoid_forward relu relu6 leaky_relu elu celu selu gelu silu mish softplus
    softshrink hardshrink hardtanh hardsigmoid hardswish threshold _prelu_kernel clamp clamp_min
    clamp_max add sub rsub mul div remainder fmod floor_divide maximum minimum fmax fmin lerp
    addcmul addcdiv where eq ne lt le gt ge logical_and logical_or logical_not logical_xor
    bitwise_and bitwise_or bitwise_not bitwise_xor nan_to_num isnan isinf copysign hypot masked_fill
    heaviside xlogy _to_copy fill zero zeros_like ones_like full_like empty_like deg2rad rad2deg sinc
"""
EACH_PLACE = frozenset(_EACH_PLACE.split())
"""Operations whose result depends on the values at the same place."""

_ALONG = """
    flip roll cumsum cumprod logsumexp var std prod argmax argmin any all norm linalg_vector_norm
    max min count_nonzero topk sort median index_select glu logcumsumexp
"""
# They work along dimensions that they name: along features at each place, else window by window.

RULES: dict[str, Rule] = {
    **dict.fromkeys(EACH_PLACE, places.each_place),
    **dict.fromkeys(_ALONG.split(), places.along),
    **dict.fromkeys(
        ("clone", "alias", "detach", "lift_fresh", "lift_fresh_copy"), places.unchanged
    ),
    **dict.fromkeys(("_softmax", "_log_softmax"), places.softmax),
    **dict.fromkeys(("split", "split_with_sizes", "unbind", "select"), places.in_pieces),
    **dict.fromkeys(("cat", "stack"), places.joined_features),
    **dict.fromkeys(("permute", "transpose"), places.moved_dims),
    **dict.fromkeys(("new_zeros", "new_ones", "new_full", "new_empty"), places.constant_like),
    **dict.fromkeys(("native_layer_norm", "native_group_norm"), places.over_window),
    **dict.fromkeys(
        ("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"), places.batch_norm
    ),
    "copy": places.copied,
    "repeat": places.repeated,
    "expand": places.expanded,
    **dict.fromkeys(("convolution", "_convolution"), kernels.convolution),
    "lenetshift::c3_conv": kernels.c3_convolution,
    "max_pool2d_with_indices": kernels.max_pool2d,
    "avg_pool2d": kernels.avg_pool2d,
    "adaptive_max_pool2d": kernels.adaptive_max_pool2d,
    "_adaptive_avg_pool2d": kernels.adaptive_avg_pool2d,
    "avg_pool3d": kernels.pool_features,
    "constant_pad_nd": kernels.constant_padding,
    **dict.fromkeys(
        (
            "reflection_pad2d",
            "replication_pad2d",
            "upsample_nearest2d",
            "_upsample_nearest_exact2d",
        ),
        kernels.moved_values,
    ),
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze"), whole.viewed),
    "addmm": whole.addmm,
    "mm": whole.mm,
    "linear": whole.linear,
    "slice": whole.sliced,
    "index": whole.indexed,
    **dict.fromkeys(("slice_scatter", "select_scatter"), whole.scattered),
    "sum": over_places(torch.add),
    "mean": over_places(torch.add, average=True),
    "amax": over_places(torch.maximum),
    "amin": over_places(torch.minimum),
}
