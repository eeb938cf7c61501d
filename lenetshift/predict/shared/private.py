"""A copy of a network to be run: what a forward pass keeps or counts stays in the copy."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor, nn

MOST_COPIED = 1 << 20
"""Bytes of an array or tensor in a module's list or dict that is copied; larger ones are shared."""


def private_copy(network: nn.Module) -> nn.Module:
    """The network with its modules, buffers and attributes copied, and the same parameters.

    Compiled modules are replaced by what they were compiled from. What cannot be copied (a lock, an
    open file) is shared. Parameters are shared to save memory: nothing may write to them.
    """
    memo = _tensors(network)
    try:
        copied = _copied(network, memo)
    except Exception:  # whatever an attribute's own __deepcopy__ raises
        memo = _tensors(network)
        _share_what_cannot_be_copied(network, memo)
        copied = _copied(network, memo)
    for module in copied.modules():
        if getattr(module, "_compiled_call_impl", None) is not None:
            module._compiled_call_impl = None
    return copied


def _tensors(network: nn.Module) -> dict[int, Any]:
    """For ``deepcopy``: copies of the network's tensors by id; parameters stay themselves."""
    memo: dict[int, Any] = {}
    for module in network.modules():
        groups = (vars(module), module._parameters, module._buffers)
        for value in (value for group in groups for value in group.values()):
            if isinstance(value, nn.Parameter):
                memo[id(value)] = value
            elif isinstance(value, Tensor):  # results of operations refuse a deepcopy
                memo[id(value)] = value.detach().clone()
        for value in _within(list(vars(module).values()), 3):
            if getattr(value, "nbytes", 0) > MOST_COPIED:  # nothing may write to it, either
                memo.setdefault(id(value), value)
    return memo


def _within(value: Any, depth: int) -> Iterator[Any]:
    """Tensors and arrays in lists, tuples and dicts nested up to ``depth``."""
    if isinstance(value, (Tensor, np.ndarray)):
        yield value
    elif isinstance(value, (list, tuple, dict)) and depth:
        for part in value.values() if isinstance(value, dict) else value:
            yield from _within(part, depth - 1)


def _share_what_cannot_be_copied(network: nn.Module, memo: dict[int, Any]) -> None:
    for module in network.modules():
        for name, value in vars(module).items():
            if name not in ("_parameters", "_buffers", "_modules") and id(value) not in memo:
                try:
                    copy.deepcopy(value, dict(memo))
                except Exception:
                    memo[id(value)] = value


def _copied(network: nn.Module, memo: dict[int, Any]) -> nn.Module:
    for module in network.modules():
        original = _compiled_from(module)
        if original is not None:
            memo[id(module)] = copy.deepcopy(original, memo)
    copied: nn.Module = copy.deepcopy(network, memo)
    return copied


def _compiled_from(module: nn.Module) -> nn.Module | None:
    """What a module was compiled from by torch.compile; None if it was not."""
    dynamo = sys.modules.get("torch._dynamo.eval_frame")  # imported by whatever compiles
    if dynamo is None or not isinstance(module, dynamo.OptimizedModule):
        return None
    original: nn.Module = module._orig_mod
    return original
