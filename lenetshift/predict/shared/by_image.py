"""Whether an operation treats the images of a batch one by one.

Later batches are larger than those that are tried, so the operations decide this, not the values. The first
dimension of everything that depends on the pixels counts images, or images times something, and no operation
may work along it. The second one does so in what an ensemble makes, ``torch.stack([m(x) for m in models])``,
until an operation such as ``mean(0)`` has combined the models.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .geometry import NotShared
from .graph import THREE, TWO, Node, PerImage, leaves
from .rules import EACH_PLACE

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

OVER_MODELS = {
    *("sum", "mean", "amax", "amin", "max", "min", "median", "prod", "var", "std", "logsumexp"),
    *("_softmax", "_log_softmax", "softmax", "log_softmax", "select", "unbind"),
}
"""Operations along dimensions that they name, which may combine or separate the models of an ensemble."""

FLATTENS = {"roll", "cumsum", "cumprod", "take", "masked_scatter", "repeat_interleave"}
"""Operations that work on all values in one row if no dimension is named."""


def check_by_image(
    node: Node,
    shapes_for_three: tuple[tuple[int, ...], ...],
    given: Collection[tuple[int, int]] = (),
) -> int:
    """Check an operation whose result has a part for each image.

    Args:
        node: the operation, recorded for two images.
        shapes_for_three: the shapes of its results for three.
        given: of each argument with a part for each image, the number of dimensions and the one that counts
            images.

    Returns:
        The dimension of the results that counts images.

    Raises:
        NotShared: it does not treat the images one by one.
    """
    follows = any(isinstance(leaf, PerImage) for leaf in leaves((node.args, node.kwargs)))
    if follows and node.kind not in TAKES_SIZES:
        raise NotShared(f"{node.name} computes with the batch size")
    if node.kind in NORMS and _arguments(node).get("training"):
        raise NotShared(f"{node.name} normalises over the batch")
    results = 1 if node.kind in NORMS else len(node.shapes)
    shapes = list(zip(node.shapes[:results], shapes_for_three[:results], strict=True))
    images = _dimension_of_images(node, given)
    if images is None:
        raise NotShared(f"{node.name} mixes the images of the batch")
    of_ensemble = images > 0 or any(dim for _, dim in given)
    for two, three in shapes:
        follow = (
            len(two) > images
            and two[images] * THREE == three[images] * TWO
            and all(a == b for k, (a, b) in enumerate(zip(two, three, strict=True)) if k != images)
        )
        kept = (
            of_ensemble
            or node.kind in RESHAPES
            or not node.given
            or two[:1] in ((0,), node.given[:1])
        )
        if not follow or not kept:
            raise NotShared(f"{node.name} mixes the images of the batch")
    if not of_ensemble and _along_images(node):
        raise NotShared(f"{node.name} works across the images of the batch")
    return images


def _dimension_of_images(node: Node, given: Collection[tuple[int, int]]) -> int | None:
    """The dimension of an operation's results that counts images; None if it is not known.

    It is 1 after models are stacked, in operations at each place, and in :data:`OVER_MODELS`.
    """
    call = _arguments(node)
    if not any(dim for _, dim in given):
        rank = len(node.shape)
        stacks = node.kind in ("stack", "unsqueeze") and call.get("dim", 0) in (0, -rank)
        return 1 if stacks and given else 0
    if node.kind in EACH_PLACE:
        rank = max(rank for rank, _ in given)
        return 1 if {rank - n + dim for n, dim in given} == {1} else None
    if node.kind == "cat" and {*given} == {(len(node.shape), 1)}:
        return 1 if call.get("dim", 0) % len(node.shape) != 1 else None
    named = call.get("dim", 0)
    if node.kind not in OVER_MODELS or len(given) > 1 or named is None:
        return None
    ((rank, _),) = given
    dims = {dim % rank for dim in (named if isinstance(named, (list, tuple)) else [named])}
    if not dims or 1 in dims:
        return None
    removed = len(node.shapes[0]) < rank and 0 in dims
    return 0 if removed else 1


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
