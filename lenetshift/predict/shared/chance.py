"""Operations that may draw random numbers: whether a call does, and what is recorded for one that does not.

PyTorch marks attention, dropout, RReLU and recurrent layers as random whatever their arguments are.
"""

from __future__ import annotations

from typing import Any

import torch

from .graph import kind_of, named_arguments

ATEN = torch.ops.aten

CHANCES = ("dropout_p", "dropout")
"""Parameters that hold the probability of a dropout."""

DROPOUTS = ("native_dropout", "_fused_dropout", "dropout", "feature_dropout", "alpha_dropout")
"""Operations whose ``p`` does, too."""

ATTENTIONS = (
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)
"""What ``scaled_dot_product_attention`` runs; the choice depends on device, dtype and shapes."""


def draws_random_numbers(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether a call of an operation draws random numbers that its result depends on."""
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return False
    call = named_arguments(func, args, kwargs)
    if call.get("training", call.get("train")) is False:
        return False
    names = ("p",) if kind_of(func) in DROPOUTS else CHANCES
    chances = [call[name] for name in names if name in call]
    return chances != [0]


def without_chance(func: Any, args: Any, kwargs: Any, result: Any) -> tuple[Any, Any, Any, Any]:
    """An operation that gives the first result of one that draws no numbers here, and is never random.

    Returns:
        The operation, its arguments and its result; those that were given unless it is an attention or RReLU.
    """
    kind = kind_of(func)
    if kind in ATTENTIONS:
        call = named_arguments(func, args, kwargs)
        mask = call.get("attn_mask", call.get("attn_bias"))
        settings = {"scale": call["scale"]} if call.get("scale") is not None else {}
        given = (*args[:3], mask, 0.0, call["is_causal"])
        return ATEN.scaled_dot_product_attention.default, given, settings, result[0]
    if kind == "rrelu_with_noise":
        call = named_arguments(func, args, kwargs)
        slope = (call["lower"] + call["upper"]) / 2
        return ATEN.leaky_relu.default, (args[0], slope), {}, result
    return func, args, kwargs, result
