"""Data in the page: gzip in base64, each block with its length and checksum."""

from __future__ import annotations

import base64
import gzip
import zlib
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

MOST_BYTES = 9_000_000
"""Of all blocks in base64; the rest of the page is a few hundred kilobytes."""

_LEVEL = 6  # of zlib: level 9 saves 1 % more and takes three times as long
_NOISE_LEVEL = 1  # weights: all bits but the exponents are noise, level 6 saves no more


@dataclass(frozen=True)
class Block:
    """Bytes that the page unpacks.

    Attributes:
        name: the id of their element.
        length, crc32: of the unpacked bytes.
        packed: the bytes in gzip.
    """

    name: str
    length: int
    crc32: int
    packed: bytes

    @property
    def text(self) -> str:
        """The block in base64."""
        return base64.b64encode(self.packed).decode()


def block(name: str, data: bytes, level: int = _LEVEL) -> Block:
    """Pack some bytes."""
    packed = gzip.compress(data, level, mtime=0)
    return Block(name, len(data), zlib.crc32(data), packed)


def packed_block(name: str, packed: bytes) -> Block:
    """A block of bytes that are gzip already: their last eight are checksum and length."""
    crc32, length = (int.from_bytes(part, "little") for part in (packed[-8:-4], packed[-4:]))
    return Block(name, length, crc32, packed)


def array_block(name: str, values: NDArray[Any]) -> Block:
    """Pack an array of uint8 in C order."""
    return block(name, np.ascontiguousarray(values, dtype=np.uint8).tobytes())


def weights_block(name: str, state_dict: Mapping[str, Tensor]) -> Block:
    """Pack a network's parameters: float32, little-endian, in the order of ``state_dict``."""
    parts = [
        tensor.detach().cpu().numpy().astype("<f4").tobytes() for tensor in state_dict.values()
    ]
    return block(name, b"".join(parts), _NOISE_LEVEL)


def shapes(state_dict: Mapping[str, Tensor]) -> list[list[Any]]:
    """Name and shape of each parameter, in the order of ``weights_block``."""
    return [[name, list(tensor.shape)] for name, tensor in state_dict.items()]


def total(blocks: Sequence[Block]) -> int:
    """Bytes that the blocks take in a page."""
    return sum(4 * -(-len(item.packed) // 3) for item in blocks)
