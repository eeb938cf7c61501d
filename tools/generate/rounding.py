"""Shared by the scripts here: float32 with the standard library alone."""

from __future__ import annotations

import struct


def float32(x: float) -> float:
    """The nearest float32."""
    value: float = struct.unpack("f", struct.pack("f", x))[0]
    return value


def c_float(x: float) -> str:
    """The shortest digits that C reads as the nearest float32 of x."""
    for digits in range(1, 10):
        text = f"{x:.{digits}g}"
        if float32(float(text)) == float32(x):
            break
    return text + ("f" if "." in text or "e" in text else ".0f")
