"""One thing that ``doctor`` looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OK, NOTE, WRONG = "ok", "note", "wrong"


@dataclass
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what, in a word or two.
        text: what was found, and why it is so.
        do: what to do about it; empty if there is nothing to do.
        facts: the same for a script.
        state: "ok"; "note", everything works, but something could be better; or "wrong". By default wrong if
            there is something to do.
    """

    name: str
    text: str
    do: str = ""
    facts: Mapping[str, Any] | None = None
    state: str = ""

    def __post_init__(self) -> None:
        """Fill in the state."""
        self.state = self.state or (WRONG if self.do else OK)


def size(n_bytes: float) -> str:
    """A number of bytes for people."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
