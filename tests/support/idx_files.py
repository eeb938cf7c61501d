"""IDX files to write, and the message when a folder of them is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lenetshift.checks.errors import DataError
from lenetshift.data.load import load_mnist


def header(*shape: int, code: int = 8) -> bytes:
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def message(folder: Path | str) -> str:
    with pytest.raises(DataError) as caught:
        load_mnist(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)
