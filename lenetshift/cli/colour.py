"""Colour, where a terminal takes it: never in a file or a pipe, under ``TERM=dumb``, or if ``NO_COLOR`` is
set (https://no-color.org). Nothing is said by colour alone."""

from __future__ import annotations

import os
from typing import Any

RED, YELLOW = 31, 33


def painted(text: str, colour: int, stream: Any) -> str:
    """A text in a colour if the stream takes colours, in bold; else the text itself."""
    return f"\x1b[1;{colour}m{text}\x1b[0m" if _takes_colours(stream) else text


def _takes_colours(stream: Any) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        return bool(stream.isatty())
    except (AttributeError, OSError, ValueError):  # closed, or without the methods of a stream
        return False
