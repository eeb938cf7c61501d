"""One operation of a network, as a rule receives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """An operation of the network.

    Attributes:
        function: runs it.
        name: without overload, and for ATen without namespace.
        parameters: the names of its parameters.
        shape: the shape of its result for two images; empty unless the result is one tensor.
        clamp: the bounds that its result is to be clamped to; None if it is not.
        kept: what a rule keeps between passes.
    """

    function: Callable[..., Any]
    name: str
    parameters: tuple[str, ...]
    shape: tuple[int, ...] = ()
    clamp: tuple[float, float] | None = None
    kept: dict[str, Any] = field(default_factory=dict)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        result = self.function(*args, **kwargs)
        return result if self.clamp is None else result.clamp_(*self.clamp)

    def argument(self, name: str, args: Any, kwargs: Any, default: Any = None) -> Any:
        """One of its arguments by name; the default if it is not given."""
        at = self.parameters.index(name) if name in self.parameters else len(args)
        return args[at] if at < len(args) else kwargs.get(name, default)
