"""Eval mode while a model is evaluated, and its own modes and values after that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_in_use: dict[int, tuple[int, bool]] = {}  # id of a module -> calls that now use it, its own mode
_saved: dict[int, list[tuple[Tensor, Tensor]]] = {}  # id of a model -> its values, and copies
_lock = threading.RLock()  # of _in_use and the modes; a module's own eval() may evaluate it too


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """A context in which the model is in eval mode; when the last thread leaves, every module has its own
    mode.

    A module that is in eval mode already, or has no modes (a frozen or an exported one), is left alone. If
    ``train(mode)`` has an effect, such as merging weights, it is called to enter and to leave, and values
    that it rounds are restored to the bit.
    """
    modules = [module for module in model.modules() if hasattr(module, "training")]
    with _lock:
        switches = any(module.training for module in modules)
        if switches and _has_effect(modules):
            _saved.setdefault(id(model), _values(model))
        for module in modules:
            n_calls, training = _in_use.get(id(module), (0, module.training))
            _in_use[id(module)] = (n_calls + 1, training)
    try:
        if switches:
            with _lock:
                _switch(modules, dict.fromkeys(map(id, modules), False))
        yield
    finally:
        with _lock:
            own = {}
            for module in modules:
                n_calls, training = _in_use.pop(id(module))
                if n_calls > 1:
                    _in_use[id(module)] = (n_calls - 1, training)
                else:
                    own[id(module)] = training
            try:
                _switch(modules, own)
            finally:
                if len(own) == len(modules):
                    _restore(_saved.pop(id(model), []))


def _switch(modules: list[nn.Module], wanted: dict[int, bool]) -> None:
    """Put each module into its wanted mode by ``train(mode)``: parents first, since that changes their
    children too."""
    for module in modules:
        mode = wanted.get(id(module), module.training)
        if module.training != mode:
            try:
                module.train(mode)
            except NotImplementedError:  # an exported module in it has no modes
                module.training = mode


def _has_effect(modules: list[nn.Module]) -> bool:
    """Whether ``train(mode)`` of a module does more than PyTorch's."""
    return any(
        type(m).train is not nn.Module.train and not type(m).__module__.startswith("torch.")
        for m in modules
    )


def _values(model: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Parameters and buffers, and copies of them."""
    return [(tensor, tensor.detach().clone()) for tensor in (*model.parameters(), *model.buffers())]


def _restore(values: list[tuple[Tensor, Tensor]]) -> None:
    for tensor, before in values:
        if tensor.shape == before.shape and not torch.equal(tensor, before):
            with torch.no_grad():
                tensor.copy_(before)
