"""A model on its way to the workers of a cluster, with the code that they lack."""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...checks.describe import describe
from ...checks.errors import ArgumentError
from ...checks.text import in_a_line
from .own_code import is_own

if TYPE_CHECKING:
    from ..evaluator import ShiftEvaluator


def packed(evaluator: ShiftEvaluator, sample: Tensor, device: str) -> bytes:
    """An evaluator for another process. A person's own code goes along; of packages the names go, and the
    other process must have them.

    Args:
        evaluator: what is sent.
        sample: the images that it answers there first.
        device: where images are given to it.

    Raises:
        ArgumentError: the model holds something that cannot be sent.
    """
    import cloudpickle  # type: ignore[import-untyped]

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, torch.jit.ScriptModule):
                memory = io.BytesIO()
                with _undeprecated():
                    torch.jit.save(value, memory)
                return _scripted, (memory.getvalue(),)
            return super().reducer_override(value)

    memory = io.BytesIO()
    try:
        with _own_code_by_value():
            Pickler(memory, protocol=5).dump((evaluator, sample, device))
    except Exception as error:  # pickle can raise anything
        raise ArgumentError(
            "model", f"{describe(evaluator.model)} ({in_a_line(error)})", "one that can be pickled"
        ) from error
    return memory.getvalue()


def _scripted(contents: bytes) -> Any:
    with _undeprecated():
        return torch.jit.load(io.BytesIO(contents))


@contextlib.contextmanager
def _undeprecated() -> Iterator[None]:
    """Without the warning that TorchScript as such is deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@contextlib.contextmanager
def _own_code_by_value() -> Iterator[None]:
    import cloudpickle

    before = set(cloudpickle.list_registry_pickle_by_value())
    own = [
        module
        for name, module in list(sys.modules.items())
        if is_own(name) and name not in before and getattr(module, "__name__", None) == name
    ]
    with contextlib.ExitStack() as stack:
        for module in own:
            cloudpickle.register_pickle_by_value(module)
            stack.callback(cloudpickle.unregister_pickle_by_value, module)
        yield


class CannotLoad(Exception):
    """A worker lacks something that the model needs, in one line."""


class Sent:
    """An evaluator in a worker, made once for all of its shards.

    It is a value of Dask's: the worker keeps it for as long as the evaluation needs it, and gives the bytes,
    not the evaluator, to other workers.

    Args:
        contents: what :func:`packed` gave.

    Attributes:
        device: where images are given to the evaluator.
        warned: of what it warned when it answered the sample.
    """

    def __init__(self, contents: bytes) -> None:
        self._contents, self._lock = contents, threading.Lock()
        self._evaluator: ShiftEvaluator | None = None
        self.device = "cpu"
        self.warned: list[Warning] = []

    def __reduce__(self) -> tuple[type[Sent], tuple[bytes]]:
        """The bytes alone."""
        return Sent, (self._contents,)

    def __sizeof__(self) -> int:
        """The bytes twice: as they are, and loaded."""
        return 2 * len(self._contents)

    def evaluator(self) -> ShiftEvaluator:
        """The evaluator, which has answered the sample, so that it has chosen the method.

        Raises:
            CannotLoad: the contents cannot be unpickled here.
        """
        with self._lock:
            if self._evaluator is None:
                try:
                    made, sample, self.device = pickle.loads(self._contents)
                except Exception as error:  # whatever importing raises
                    raise CannotLoad(in_a_line(error)) from error
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    made.answer(sample.to(self.device))
                self.warned = [w.message for w in caught if isinstance(w.message, Warning)]
                self._evaluator = made
            return self._evaluator
