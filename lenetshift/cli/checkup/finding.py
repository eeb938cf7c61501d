"""What a look comes to, and the advice that several give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OK, NOTE, WRONG = "ok", "note", "wrong"
REINSTALL = "install the package anew: pip install --force-reinstall --no-deps lenetshift"
BUILD = "build and install it with `pip install .` in the repository's root"  # as _native says
GET_TORCH = "install PyTorch for this machine, as pytorch.org/get-started/locally says"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what, in a word or two.
        state: "ok"; "note", all works, but something could be better; or "wrong".
        text: what was found, and why it is so.
        do: what to do about it; empty where there is nothing.
        facts: the same for a script.
    """

    name: str
    state: str
    text: str
    do: str = ""
    facts: Mapping[str, Any] | None = None


def size(n_bytes: float) -> str:
    """Bytes for people."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
