"""The dimension of a value that counts images, and where an operation that only moves values puts it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .graph import TWO

Shape = tuple[int, ...]

RESHAPES = ("view", "reshape", "_unsafe_view")
TRANSPOSES = ("transpose", "permute", "t")
PICKS = ("select", "unbind", "slice", "split", "split_with_sizes")
"""Operations that take a part of one dimension."""

COPIES = ("clone", "alias", "detach")


class ImageDim(NamedTuple):
    """The dimension that counts images: ``outer`` times all images, and each of these perhaps several times.

    In ``[B * heads, L, E]`` it is the first one, with ``outer`` 1; in ``[L * B, E]`` too, with ``outer`` L.
    """

    dim: int = 0
    outer: int = 1


FIRST = ImageDim()


class Given(NamedTuple):
    """An argument with a part for each image: its shape for two, and the dimension that counts them."""

    shape: Shape
    images: ImageDim


def moved(kind: str, call: dict[str, Any], given: Given, result: Shape) -> ImageDim | None:
    """The dimension after an operation on one value; None if it mixes images, or does more than move values.

    Args:
        kind: the operation's kind.
        call: its arguments by name.
        given: the value.
        result: the shape of the (first) result for two images.
    """
    rank, (dim, outer) = len(given.shape), given.images
    if kind in COPIES:
        return given.images
    if kind in TRANSPOSES:
        return ImageDim(_order(kind, call, rank).index(dim), outer)
    if kind in (*RESHAPES, "unsqueeze", "squeeze"):
        return _reshaped(given, result)
    if kind == "expand":
        return ImageDim(dim + len(result) - rank, outer)
    if kind in PICKS:
        along = call.get("dim", 0) % rank
        removed = len(result) < rank and along < dim
        return None if along == dim else ImageDim(dim - removed, outer)
    return None


def _order(kind: str, call: dict[str, Any], rank: int) -> list[int]:
    """For each dimension of a transposed value the one that it was."""
    if kind == "permute":
        return [d % rank for d in call["dims"]]
    order = list(range(rank))
    a, b = (0, rank - 1) if kind == "t" else (call["dim0"] % rank, call["dim1"] % rank)
    order[a], order[b] = order[b], order[a]
    return order


def _reshaped(given: Given, result: Shape) -> ImageDim | None:
    """The dimension of a value in another shape.

    Values keep their order, so that an image's values that lie together still do: ``together`` of them. They
    must be a part of one dimension, as the images must be.
    """
    shape, (dim, outer) = given
    together = math.prod(shape[dim:]) // (outer * TWO)
    for at, size in enumerate(result):
        behind = math.prod(result[at + 1 :])
        if not behind or together % behind:
            continue
        lines, rest = divmod(size, TWO * (together // behind))
        if lines and not rest:
            return ImageDim(at, lines)
    return None
