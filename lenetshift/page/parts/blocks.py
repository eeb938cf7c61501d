"""Data in the page: gzip in base64, each block with its length and checksum."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

MOST_IMAGES = 10_000
MOST_ANSWERS = 10_000 * 55
"""The most images, and answers of one model, in a page: those of a full run. From larger test sets and
grids images are drawn evenly, so that the page stays as small and as fast."""

MOST_BYTES = 7_500_000
"""Of all blocks in base64; the rest of the page is a few hundred kilobytes."""

_LEVEL = 6  # of zlib: level 9 saves 1 % more and takes three times as long
_NOISE_LEVEL = 1  # weights: all bits but the exponents are noise, level 6 saves no more


@dataclass(frozen=True)
class Block:
    """Bytes that the page unpacks.

    Attributes:
        name: the id of their element.
        packed: the bytes in gzip, whose last eight are checksum and length of the unpacked bytes.
    """

    name: str
    packed: bytes

    @property
    def crc32(self) -> int:
        """The checksum of the unpacked bytes."""
        return int.from_bytes(self.packed[-8:-4], "little")

    @property
    def length(self) -> int:
        """The number of the unpacked bytes."""
        return int.from_bytes(self.packed[-4:], "little")

    @property
    def text(self) -> str:
        """The block in base64."""
        return base64.b64encode(self.packed).decode()


def block(name: str, data: bytes, level: int = _LEVEL) -> Block:
    """Pack some bytes."""
    return Block(name, gzip.compress(data, level, mtime=0))


def array_block(name: str, values: NDArray[Any]) -> Block:
    """Pack an array of uint8 in C order."""
    return block(name, np.ascontiguousarray(values, dtype=np.uint8).tobytes())


def weights_block(name: str, state_dict: Mapping[str, Tensor]) -> Block:
    """Pack a network's parameters: float32, little-endian, in the order of ``state_dict``."""
    parts = [
        tensor.detach().cpu().numpy().astype("<f4").tobytes() for tensor in state_dict.values()
    ]
    return block(name, b"".join(parts), _NOISE_LEVEL)


def total(blocks: Sequence[Block]) -> int:
    """Bytes that the blocks take in a page."""
    return sum(4 * -(-len(item.packed) // 3) for item in blocks)
