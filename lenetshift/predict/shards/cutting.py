"""The images of an evaluation in shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

MOST_IMAGES = 1000
"""The most images of a shard: an interruption costs the answers to at most one."""

MOST_BYTES = 8 << 20
"""The most bytes of its images, which travel to a worker; Dask warns from 10 MB on."""

MOST_PATTERNS = 1 << 17
"""The most patterns: with 1000 classes their logits take 500 MB. The number of classes
is not known here."""


@dataclass(frozen=True, eq=False)
class Shard:
    """Images that are answered together.

    Attributes:
        number: 0, 1, ... in the order of the images.
        first: the number of its first image.
        images: ``[n, H, W]`` or ``[n, C, H, W]``, n >= 1.
    """

    number: int
    first: int
    images: Tensor

    def __str__(self) -> str:
        """As messages name it."""
        return f"images {self.first}..{self.first + len(self.images) - 1}"


def shard_size(image: Tensor, n_shifts: int) -> int:
    """Images in a shard, but for the last: it depends only on their size and the number of shifts."""
    n_bytes = max(1, image.numel() * image.element_size())
    return max(1, min(MOST_IMAGES, MOST_BYTES // n_bytes, MOST_PATTERNS // n_shifts))


def shards_of(batches: Iterable[Tensor], size: int) -> Iterator[Shard]:
    """Batches of any sizes, cut and joined to shards of ``size`` images; each batch is taken when it is
    needed.

    >>> [str(shard) for shard in shards_of([torch.zeros(5, 2, 2), torch.zeros(2, 2, 2)], 3)]
    ['images 0..2', 'images 3..5', 'images 6..6']
    """
    number, waiting, n_waiting = 0, list[Tensor](), 0
    for batch in batches:
        waiting, n_waiting = [*waiting, batch], n_waiting + len(batch)
        if n_waiting < size:
            continue
        together = waiting[0] if len(waiting) == 1 else torch.cat(waiting)
        n_whole = n_waiting - n_waiting % size
        for images in together[:n_whole].split(size):
            yield Shard(number, number * size, images)
            number += 1
        waiting, n_waiting = [together[n_whole:]], n_waiting - n_whole
    if n_waiting:
        yield Shard(number, number * size, torch.cat(waiting))
