"""Whether an operation treats the images of a batch one by one.

Later batches are larger than those that are tried, so the operations decide this, not the values. The first
dimension of everything that depends on the pixels counts images, or images times something, and no operation
may work along it. Another dimension does so in what an ensemble makes,
``torch.stack([m(x) for m in models])``, until an operation such as ``mean(0)`` has combined the models; and
in an attention layer, which transposes its input and its result (:mod:`.image_dims`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .geometry import NotShared
from .graph import THREE, TWO, Node, PerImage, Value, leaves, named_arguments
from .image_dims import FIRST, RESHAPES, TRANSPOSES, Given, ImageDim, moved
from .rules import EACH_PLACE

Shapes = tuple[tuple[int, ...], ...]

NOTHING: Mapping[Value, Given] = MappingProxyType({})

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

OVER_DIMS = {
    *("sum", "mean", "amax", "amin", "max", "min", "median", "prod", "var", "std", "logsumexp"),
    *("_softmax", "_log_softmax", "softmax", "log_softmax"),
}
"""Operations along dimensions that they name, which may combine the models of an ensemble."""

MATRICES = {"mm": "self", "addmm": "mat1"}
"""Products of a matrix with weights -> the argument whose rows are multiplied one by one."""

FLATTENS = {"roll", "cumsum", "cumprod", "take", "masked_scatter", "repeat_interleave"}
"""Operations that work on all values in one row if no dimension is named."""


def check_by_image(
    node: Node, shapes_for_three: Shapes, given: Mapping[Value, Given] = NOTHING
) -> ImageDim:
    """Check an operation whose result has a part for each image.

    Args:
        node: the operation, recorded for two images.
        shapes_for_three: the shapes of its results for three.
        given: its arguments with a part for each image.

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
    elsewhere = any(one != FIRST for one in (images, *(value.images for value in given.values())))
    for two, three in shapes:
        at = images.dim
        follow = (
            len(two) > at
            and two[at] * THREE == three[at] * TWO
            and all(a == b for k, (a, b) in enumerate(zip(two, three, strict=True)) if k != at)
        )
        kept = (
            elsewhere
            or node.kind in RESHAPES
            or not node.given
            or two[:1] in ((0,), node.given[:1])
        )
        if not follow or not kept:
            raise NotShared(f"{node.name} mixes the images of the batch")
    if not elsewhere and _along_images(node):
        raise NotShared(f"{node.name} works across the images of the batch")
    return images


def _dimension_of_images(node: Node, given: Mapping[Value, Given]) -> ImageDim | None:
    """The dimension of an operation's results that counts images; None if it is not known."""
    call = _arguments(node)
    if all(value.images == FIRST for value in given.values()):
        if node.kind in TRANSPOSES and len(given) == 1:
            (only,) = given.values()
            return moved(node.kind, call, only, node.shape)
        stacks = node.kind in ("stack", "unsqueeze") and call.get("dim", 0) in (0, -len(node.shape))
        return ImageDim(1) if stacks and given else FIRST
    if node.kind in EACH_PLACE or node.kind == "cat":
        return _aligned(node, call, given)
    if len(given) > 1:
        return None
    ((value, only),) = given.items()
    rank, images = len(only.shape), only.images
    if node.kind in OVER_DIMS:
        return _over_dims(node, call, only)
    if node.kind == "native_layer_norm":
        return images if images.dim < rank - len(call["normalized_shape"]) else None
    if node.kind in MATRICES:  # multiplied row by row
        return images if call[MATRICES[node.kind]] == value and images.dim == 0 else None
    return moved(node.kind, call, only, node.shapes[0])


def _aligned(node: Node, call: dict[str, Any], given: Mapping[Value, Given]) -> ImageDim | None:
    """The dimension for an operation at each place or a ``cat``: that of all arguments."""
    rank = len(node.shape)
    places = {
        ImageDim(rank - len(shape) + images.dim, images.outer) for shape, images in given.values()
    }
    if len(places) != 1:
        return None
    (images,) = places
    along = node.kind == "cat" and call.get("dim", 0) % rank == images.dim
    return None if along else images


def _over_dims(node: Node, call: dict[str, Any], given: Given) -> ImageDim | None:
    """The dimension after an operation along dimensions that it names."""
    named, rank, (dim, outer) = call.get("dim", 0), len(given.shape), given.images
    if named is None:
        return None
    dims = {d % rank for d in (named if isinstance(named, (list, tuple)) else [named])}
    if not dims or dim in dims:
        return None
    removed = len(node.shapes[0]) < rank
    return ImageDim(dim - sum(d < dim for d in dims) if removed else dim, outer)


def _arguments(node: Node) -> dict[str, Any]:
    return named_arguments(node.op, node.args, node.kwargs)


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
