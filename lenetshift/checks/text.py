"""Text from outside (paths, other libraries' errors, names in files), made safe to show and to write.

A path may hold line ends, escape sequences that a terminal obeys, and bytes that are not UTF-8. Python keeps
each of these bytes as a lone surrogate (PEP 383), which no encoding of Unicode can hold. This file needs no
torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_MOST = 300
"""Most characters that are shown of another library's error."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def one_line(text: object) -> str:
    r"""Text as a message shows it: one line, in which characters that cannot be printed are escaped, a line
    end as ``\n`` and a byte that is not UTF-8 as ``\xff``."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else _escaped(c) for c in shown)


def encodable(text: str) -> str:
    r"""Text that UTF-8 can hold: a byte of a path that is not UTF-8 becomes ``\xff``, four characters. Line
    ends and everything else stay as they are."""
    return _SURROGATE.sub(lambda found: _escaped(found.group()), text)


def json_value(value: Any) -> Any:
    """A value that strict JSON can hold: None for a float that is not finite, and text as
    :func:`encodable` returns it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {json_value(key): json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item) for item in value]
    return value


def in_a_line(error: BaseException) -> str:
    """An error that other code raised, in one line: its class and message, without addresses of objects."""
    try:
        text = re.sub(r" at 0x[0-9a-f]+", "", " ".join(str(error).split()))
    except Exception:  # its __str__ may raise
        text = ""
    shown = text if len(text) <= _MOST else text[:_MOST] + " ..."
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte, as os.fsdecode keeps it
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
