"""Digests of a model: of its code with all its settings, and of its weights.

Pickled bytes would not do: they differ from process to process. Of a person's own classes and functions the
digest has the bytecode, and that of whatever they call; of those of packages it has the names.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ...checks.describe import describe
from ...checks.errors import ArgumentError
from .own_code import is_own

_PLAIN = (
    *(type(None), bool, int, float, complex, str, range, slice),
    *(np.generic, torch.dtype, torch.device),
)

_IMMUTABLE = (tuple, frozenset, CodeType)
"""What Python may keep once or several times, as it likes."""

_WITHOUT_STATE = (object, type(threading.Lock()), type(threading.RLock()), ContextVar)
"""Types of values that change no answers."""

_COUNTED = re.compile(r"\.___torch_mangle_\d+| #.*")
"""Parts of the names in a TorchScript graph that count up, and comments."""

_NO_EFFECT = (
    *(
        "training",
        "__module__",
        "__doc__",
        "__dict__",
        "__weakref__",
        "__annotations__",
        "_abc_impl",
    ),
    *(
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__orig_bases__",
        "__parameters__",
    ),
    *("__firstlineno__", "__static_attributes__"),
)
"""Attributes that do not change answers."""


def fingerprint(*values: object) -> tuple[str, str]:
    """The SHA-256 of the code and settings of some values, such as modules and functions, and that of their
    tensors and arrays; the same in another process.

    A class may name attributes that are left out, as others say the same, in ``not_in_fingerprint``.

    Raises:
        ArgumentError: a value within holds settings that cannot be read.
    """
    walk = _Walk()
    for value in values:
        walk.feed(value)
    return walk.code.hexdigest(), walk.weights.hexdigest()


class _Walk:
    """Goes through values, each once."""

    def __init__(self) -> None:
        self.code, self.weights = hashlib.sha256(), hashlib.sha256()
        self._seen: dict[
            int, tuple[int, object]
        ] = {}  # keeps the objects, so that no id is used again

    def feed(self, value: Any) -> None:
        """Add a value."""
        if isinstance(value, _PLAIN):
            self._put(type(value).__name__, repr(value))
        elif isinstance(value, _IMMUTABLE):
            self._feed_once(value)
        elif id(value) in self._seen:
            self._put("again", str(self._seen[id(value)][0]))
        else:
            self._seen[id(value)] = len(self._seen), value
            self._feed_once(value)

    def _put(self, *texts: str) -> None:
        for text in texts:
            contents = text.encode("utf-8", "surrogatepass")
            self.code.update(b"%d:" % len(contents) + contents)

    def _feed_once(self, value: Any) -> None:
        if isinstance(value, (Tensor, np.ndarray)):
            self._feed_array(value)
        elif isinstance(value, (bytes, bytearray)):
            self.weights.update(b"%d:" % len(value) + value)
        elif isinstance(value, Mapping):
            self._feed_all("mapping", [part for item in value.items() for part in item])
        elif isinstance(value, (list, tuple)):
            self._feed_all("sequence", value)
        elif isinstance(value, (set, frozenset)):
            self._feed_all("set", sorted(value, key=repr))
        elif isinstance(value, type):
            self._feed_class(value)
        elif isinstance(value, FunctionType):
            self._feed_function(value)
        elif isinstance(value, CodeType):
            self._feed_code(value)
        elif isinstance(value, functools.partial):
            self._feed_all("partial", (value.func, value.args, value.keywords))
        elif isinstance(value, MethodType):
            self._feed_all("method", (value.__func__, value.__self__))
        elif isinstance(value, (staticmethod, classmethod)):
            self._feed_all(type(value).__name__, (value.__func__,))
        elif isinstance(value, property):
            self._feed_all("property", (value.fget,))
        elif isinstance(value, (BuiltinFunctionType, ModuleType)):
            self._put("named", str(value.__name__))
        elif isinstance(value, RemovableHandle):  # its number counts up through the whole process
            self._put("handle")
        else:
            self._feed_object(value)

    def _feed_all(self, kind: str, values: Any) -> None:
        self._put(kind, str(len(values)))
        for value in values:
            self.feed(value)

    def _feed_array(self, value: Tensor | np.ndarray[Any, Any]) -> None:
        array = value.detach().cpu().contiguous() if isinstance(value, Tensor) else value
        self.weights.update(f"{array.dtype} {list(array.shape)};".encode())
        if isinstance(array, Tensor):
            array = array.resolve_conj().resolve_neg().flatten().view(torch.uint8).numpy()
        self.weights.update(np.ascontiguousarray(array).data)

    def _feed_object(self, value: Any) -> None:
        self._feed_class(type(value))
        slots = dict(_slots(value))
        if slots:
            self.feed(slots)
        if isinstance(value, (torch.jit.ScriptModule, torch.jit.ScriptFunction)):
            self._put(_COUNTED.sub("", str(value.inlined_graph)))
            if isinstance(value, torch.jit.ScriptModule):
                self.feed(dict(value.state_dict()))
        elif isinstance(value, nn.Module):
            self._feed_module(value)
        elif hasattr(value, "__dict__"):
            self.feed({k: v for k, v in vars(value).items() if k not in _NO_EFFECT})
        elif isinstance(value, weakref.ref):
            self.feed(value())
        elif not slots and type(value) not in _WITHOUT_STATE:
            self._feed_opaque(value)

    def _feed_opaque(self, value: Any) -> None:
        """A value without attributes: what it looks like, or else what pickle makes it of."""
        text = repr(value)
        if " at 0x" not in text:
            self._put(text)
            return
        try:
            made_of = value.__reduce_ex__(2)
        except Exception as error:  # whatever the class raises
            raise ArgumentError(
                "answers",
                f"a model with {describe(value)}, whose settings cannot be read",
                "a model without it, as kept answers must not be mixed with another's",
            ) from error
        self.feed(made_of)

    def _feed_module(self, value: nn.Module) -> None:
        if "_orig_mod" in value._modules:  # what torch.compile was given
            self.feed(value._modules["_orig_mod"])
        elif isinstance(value, torch.fx.GraphModule):
            self._put(value.code)
            self.feed({**value._parameters, **value._buffers, **value._modules})
        else:  # the keys of hooks count up through the whole process
            self.feed(
                {
                    name: list(part.values()) if name.endswith("_hooks") else part
                    for name, part in vars(value).items()
                    if name not in (*_NO_EFFECT, *getattr(value, "not_in_fingerprint", ()))
                }
            )

    def _feed_class(self, value: type) -> None:
        for each in value.__mro__[:-1]:
            self._put("class", each.__module__, each.__qualname__)
            if is_own(each.__module__):
                self.feed({k: v for k, v in vars(each).items() if k not in _NO_EFFECT})

    def _feed_function(self, value: FunctionType) -> None:
        self._put("function", value.__module__ or "", value.__qualname__)
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        self._feed_all("inside", (value.__defaults__, value.__kwdefaults__, *cells))
        if is_own(value.__module__):
            self.feed(value.__code__)
            for name in sorted(set(_names(value.__code__))):
                self._feed_global(name, value.__globals__.get(name), value.__code__)

    def _feed_global(self, name: str, value: object, code: CodeType) -> None:
        """What a function finds under a name of its module, or in a module of that name."""
        self._put(name)
        if not isinstance(value, ModuleType):
            self.feed(value)
        elif is_own(value.__name__) and value.__name__ in sys.modules:
            inside = {n: vars(value)[n] for n in sorted(set(_names(code))) if n in vars(value)}
            self.feed(inside)

    def _feed_code(self, value: CodeType) -> None:
        self._put("code", value.co_code.hex(), *value.co_names, *value.co_varnames)
        self._feed_all("constants", value.co_consts)


def _slots(value: object) -> Iterator[tuple[str, Any]]:
    """The attributes for which classes have ``__slots__``."""
    for each in type(value).__mro__:
        if "__slots__" not in vars(each):
            continue
        for name, member in vars(each).items():
            if isinstance(member, MemberDescriptorType) and hasattr(value, member.__name__):
                yield f"{each.__qualname__}.{name}", member.__get__(value)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  it raises ValueError if empty
    except ValueError:
        return False
    return True
