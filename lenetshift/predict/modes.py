"""Eval mode while a model is asked, and its own modes and values after that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_asked: dict[int, tuple[int, bool]] = {}  # id of a module -> calls that now ask it, its own mode
_saved: dict[int, list[tuple[Tensor, Tensor]]] = {}  # id of a model -> its values, and copies
_lock = threading.RLock()  # of _asked and the modes; an eval() of another's module may ask, too


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode within; after the last of the threads that ask it every module has its own back.

    A module in eval mode already, or one without modes (a frozen or an exported one), is left alone. Where
    ``train(mode)`` has an effect, such as merging weights, it has it both ways, and what it rounds is put
    back to the bit.
    """
    modules = [module for module in model.modules() if hasattr(module, "training")]
    with _lock:
        switches = any(module.training for module in modules)
        if switches and _has_effect(modules):
            _saved.setdefault(id(model), _values(model))
        for module in modules:
            n_calls, training = _asked.get(id(module), (0, module.training))
            _asked[id(module)] = (n_calls + 1, training)
    try:
        if switches:
            with _lock:
                _switch(modules, dict.fromkeys(map(id, modules), False))
        yield
    finally:
        with _lock:
            own = {}
            for module in modules:
                n_calls, training = _asked.pop(id(module))
                if n_calls > 1:
                    _asked[id(module)] = (n_calls - 1, training)
                else:
                    own[id(module)] = training
            try:
                _switch(modules, own)
            finally:
                if len(own) == len(modules):
                    _put_back(_saved.pop(id(model), []))


def _switch(modules: list[nn.Module], wanted: dict[int, bool]) -> None:
    """Each module in its wanted mode, by ``train(mode)`` where it differs: parents first, since that
    changes their children, too."""
    for module in modules:
        mode = wanted.get(id(module), module.training)
        if module.training != mode:
            try:
                module.train(mode)
            except NotImplementedError:  # an exported module within has no modes
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


def _put_back(values: list[tuple[Tensor, Tensor]]) -> None:
    for tensor, before in values:
        if tensor.shape == before.shape and not torch.equal(tensor, before):
            with torch.no_grad():
                tensor.copy_(before)
