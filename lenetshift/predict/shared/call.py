"""One operation of a network, as a rule is given it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """An operation of the network.

    Attributes:
        function: it.
        name: of ATen without namespace and overload, of another library with its namespace.
        parameters: the names of its arguments.
        shape: of its result for a batch of two images; empty unless that is one tensor.
    """

    function: Callable[..., Any]
    name: str
    parameters: tuple[str, ...]
    shape: tuple[int, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        return self.function(*args, **kwargs)

    def argument(self, name: str, args: Any, kwargs: Any, default: Any = None) -> Any:
        """One of its arguments by name, the default where it is not given."""
        at = self.parameters.index(name) if name in self.parameters else len(args)
        return args[at] if at < len(args) else kwargs.get(name, default)
