"""Whether an operation treats the images of a batch one by one.

Later batches are larger than those that are tried, so this is read from the operations, not from numbers. The
first dimension of everything that depends on the pixels counts images, or images times something, and no
operation works along it.
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
"""What may be told the size of the batch: it gives a shape, not numbers that differ from image to image."""

NORMS = {
    "native_batch_norm",
    "cudnn_batch_norm",
    "miopen_batch_norm",
    "native_layer_norm",
    "native_group_norm",
}
"""Besides their result they give statistics for the backward pass."""

NO_END = 2**31
"""A slice's end beyond every batch; PyTorch writes 2**63 - 1 for none."""

DIMENSIONS = ("dim", "dims", "dim0", "dim1", "dim2")

FLATTENS = {"roll", "cumsum", "cumprod", "take", "masked_scatter", "repeat_interleave"}
"""What works on all values in one row where no dimension is named."""


def check_by_image(node: Node, shapes_for_three: tuple[tuple[int, ...], ...]) -> None:
    """Look at an operation whose result has a part for each image.

    Args:
        node: it, of two images.
        shapes_for_three: of its results for three.

    Raises:
        NotShared: it looks at its batch as a whole.
    """
    follows = any(isinstance(leaf, PerImage) for leaf in leaves((node.args, node.kwargs)))
    if follows and node.kind not in TAKES_SIZES:
        raise NotShared(f"{node.name} computes with the size of its batch")
    if node.kind in NORMS and _arguments(node).get("training"):
        raise NotShared(f"{node.name} normalises by its batch")
    results = 1 if node.kind in NORMS else len(node.shapes)
    for two, three in zip(node.shapes[:results], shapes_for_three[:results], strict=True):
        follow = two and two[0] * THREE == three[0] * TWO and two[1:] == three[1:]
        kept = node.kind in RESHAPES or not node.given or two[:1] in ((0,), node.given[:1])
        if not follow or not kept:
            raise NotShared(f"{node.name} joins or mixes the images of its batch")
    if _along_images(node):
        raise NotShared(f"{node.name} works across the images of its batch")


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
        return False  # seen by their shape
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
