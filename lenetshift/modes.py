"""Eval mode while a model is asked, and its own modes after that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

_asked: dict[int, tuple[int, bool]] = {}  # id of a module -> calls that now ask it, its own mode
_lock = threading.RLock()  # of _asked and the modes; an eval() of another's module may ask, too


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode within; after the last of the threads that ask it every module has its own back."""
    modules = list(model.modules())
    with _lock:
        for module in modules:
            n_calls, training = _asked.get(id(module), (0, module.training))
            _asked[id(module)] = (n_calls + 1, training)
        model.eval()
    try:
        yield
    finally:
        with _lock:
            for module in modules:
                n_calls, training = _asked.pop(id(module))
                if n_calls > 1:
                    _asked[id(module)] = (n_calls - 1, training)
                else:
                    module.training = training
