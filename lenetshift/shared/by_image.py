"""Whether an operation treats the images of a batch one by one.

Later batches are larger than those that are tried, so this is read from the operations, not from numbers. The
first dimension of everything that depends on the pixels counts images, or images times something, and no
operation works along it.
"""

from __future__ import annotations

from typing import Any

from .geometry import NotShared
from .graph import THREE, TWO, Node, PerImage, leaves

SHAPES = {"view", "reshape", "_unsafe_view"}

TAKES_SIZES = {
    *SHAPES,
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

DIMENSIONS = ("dim", "dims", "dim0", "dim1")

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
        kept = node.kind in SHAPES or not node.given or two[:1] in ((0,), node.given[:1])
        if not follow or not kept:
            raise NotShared(f"{node.name} joins or mixes the images of its batch")
    if _along_images(node):
        raise NotShared(f"{node.name} works across the images of its batch")


def _arguments(node: Node) -> dict[str, Any]:
    return dict(zip(node.parameters, node.args, strict=False)) | node.kwargs


def _along_images(node: Node) -> bool:
    given = _arguments(node)
    if node.kind == "slice":  # a whole one keeps the size, which was looked at
        return given.get("dim", 0) == 0 and bool(given.get("start")) and node.given == ()
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
    return not dims or 0 in dims or -len(node.given or node.shape) in dims
