"""One function of a network, as a rule is given it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """A function of the network as it stands.

    Attributes:
        function: takes what the function takes.
        shape: of its result for a batch of two images; empty unless that is a tensor.
    """

    function: Callable[..., Any]
    shape: tuple[int, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        return self.function(*args, **kwargs)
