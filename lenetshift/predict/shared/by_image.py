"""Whether an operation treats the images of a batch one by one.

Later batches are larger than those that are tried, so the operations decide this, not the values. The first
dimension of everything that depends on the pixels counts images, or images times something, and no operation
may work along it.
"""

from __future__ import annotations

from typing import Any

from .geometry import NotShared
from .graph import THREE, TWO, Node, PerImage, leaves

RESHAPES = {"view", "reshape", "_unsafe_view"}

TAKES_SIZES = {
    *RESHAPES,
    *("expand", "repeat", "slice", "empty", "zeros", "ones", "full", "empty_strided"),
    *("new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided", "native_group_norm"),
}
"""Operations that may take the batch size: they use it for a shape, not for values that differ from image to
image."""

NORMS = {
    "native_batch_norm",
    "cudnn_batch_norm",
    "miopen_batch_norm",
    "native_layer_norm",
    "native_group_norm",
}
"""Besides their result they return statistics for the backward pass."""

NO_END = 2**31
"""The end of a slice that is larger than any batch; PyTorch writes 2**63 - 1 for no end."""

DIMENSIONS = ("dim", "dims", "dim0", "dim1", "dim2")

FLATTENS = {"roll", "cumsum", "cumprod", "take", "masked_scatter", "repeat_interleave"}
"""Operations that work on all values in one row if no dimension is named."""


def check_by_image(node: Node, shapes_for_three: tuple[tuple[int, ...], ...]) -> None:
    """Check an operation whose result has a part for each image.

    Args:
        node: the operation, recorded for two images.
        shapes_for_three: the shapes of its results for three.

    Raises:
        NotShared: it does not treat the images one by one.
    """
    follows = any(isinstance(leaf, PerImage) for leaf in leaves((node.args, node.kwargs)))
    if follows and node.kind not in TAKES_SIZES:
        raise NotShared(f"{node.name} computes with the batch size")
    if node.kind in NORMS and _arguments(node).get("training"):
        raise NotShared(f"{node.name} normalises over the batch")
    results = 1 if node.kind in NORMS else len(node.shapes)
    for two, three in zip(node.shapes[:results], shapes_for_three[:results], strict=True):
        follow = two and two[0] * THREE == three[0] * TWO and two[1:] == three[1:]
        kept = node.kind in RESHAPES or not node.given or two[:1] in ((0,), node.given[:1])
        if not follow or not kept:
            raise NotShared(f"{node.name} mixes the images of the batch")
    if _along_images(node):
        raise NotShared(f"{node.name} works across the images of the batch")


def _arguments(node: Node) -> dict[str, Any]:
    return dict(zip(node.parameters, node.args, strict=False)) | node.kwargs


def _along_images(node: Node) -> bool:
    given = _arguments(node)
    rank = len(node.given or node.shape)
    if node.kind == "slice":
        return given.get("dim", 0) in (0, -rank) and not _is_whole(given)
    if node.kind in ("tril", "triu"):  # of the last two dimensions
        return rank == 2
    if node.kind in ("index", "index_put"):
        return bool(given["indices"]) and given["indices"][0] is not None
    if node.kind in ("unsqueeze", "squeeze", "constant_pad_nd", "expand", "permute"):
        return False  # their shapes show it
    named: list[Any] = [given[name] for name in DIMENSIONS if given.get(name) is not None]
    if node.kind in ("slice_scatter", "select_scatter", "split", "split_with_sizes", "cat"):
        named = named or [0]
    if not named:
        return node.kind in FLATTENS
    dims = [d for some in named for d in (some if isinstance(some, (list, tuple)) else [some])]
    return not dims or 0 in dims or -rank in dims


def _is_whole(given: dict[str, Any]) -> bool:
    """Whether a slice takes every image of every batch: up to the end, or to the size of the batch."""
    end = given.get("end")
    ends_behind_all = end is None or isinstance(end, PerImage) or end >= NO_END
    return ends_behind_all and not given.get("start") and given.get("step", 1) == 1
