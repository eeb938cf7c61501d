"""How much of each layer of a network is kept when the image moves to the left or right.

The report (Tanaka 2024) says that convolution gives some robustness to translation, since convolved values
keep a trace of what they were.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ...checks.errors import ArgumentError
from ...checks.numbers import check_int
from ...checks.shifts import MAX_SHIFT
from .agreement import rounded
from .checks import check_several_images
from .layers import layers

STRIDES = {"C1": 1, "S2": 2, "C3": 2, "S4": 4}
"""LeNet-5's layers of maps: by how many pixels the image must move to move the map by one column."""

_MAX_ALIGNED = 16
"""Largest shift, in pixels, that leaves a column of S4, which has five, in the frame."""

_CHUNK = 250
"""Images whose layers are computed together: 9 MB for C1 in float64."""

_Columns = tuple[slice, slice]
"""Which columns of two maps are compared, of the unmoved image's and of the moved one's."""


def layer_similarity(
    network: nn.Module, images: Tensor, dxs: Sequence[int]
) -> dict[str, list[float]]:
    """The similarity of each layer's activations for the image unmoved and moved by dx.

    For each image, the cosine of the angle between two vectors: the layer's activations for the unmoved
    image and those for the moved one, each less the layer's mean activations for the unmoved images. The
    cosine is the sum of products, divided by both lengths. The value is its mean over the images: 1 if the
    move changes nothing, near 0 if what is left is no more than another image has.

    Args:
        network: a network as :func:`lenetshift.build_model` makes it, on the device of the images.
        images: uint8 ``[N, 28, 28]``, N of 2 or more.
        dxs: shifts to the right, in pixels, each in -27..27. Uncovered pixels are black; what leaves the
            frame is lost.

    Returns:
        Layer, as :func:`~lenetshift.study.facts.layers.layers` names it -> a number in -1..1 for each dx,
        to 4 decimals.

    Raises:
        ArgumentError: an argument is not as described; or the cosine is not defined, since activations are
            not finite or, for an image, all equal to their mean.
    """
    shifts = _checked(images, dxs, MAX_SHIFT)
    found = _similarity(network, images, shifts, lambda name, dx: (slice(None), slice(None)))
    return {name: [by_dx[dx] for dx in shifts] for name, by_dx in found.items()}


def aligned_similarity(
    network: nn.Module, images: Tensor, dxs: Sequence[int]
) -> dict[str, list[float | None]]:
    """The similarity of LeNet-5's maps after they were moved back: 1 if they move with the image.

    As :func:`layer_similarity`, but column x of the unmoved image's map is compared with column
    x + dx / stride of the moved image's. Columns that only one of the two maps has are left out.

    Args:
        network: LeNet-5 or the symmetric LeNet-5, on the device of the images.
        images: uint8 ``[N, 28, 28]``, N of 2 or more.
        dxs: shifts to the right, in pixels, each in -16..16.

    Returns:
        C1, S2, C3 and S4 -> a number in -1..1 for each dx, to 4 decimals; None where dx is not a multiple
        of the layer's stride (:data:`STRIDES`).

    Raises:
        ArgumentError: as :func:`layer_similarity`; another network.
    """
    shifts = _checked(images, dxs, _MAX_ALIGNED)
    found = _similarity(network, images, shifts, _aligned)
    if STRIDES.keys() - found.keys():
        raise ArgumentError("network", type(network).__name__, "LeNet5 or SymmetricLeNet5")
    return {name: [found[name].get(dx) for dx in shifts] for name in STRIDES}


def _checked(images: Tensor, dxs: Sequence[int], most: int) -> list[int]:
    """The shifts in ints, after images and shifts were checked."""
    check_several_images("images", images)
    return [check_int("dxs", dx, -most, most) for dx in dxs]


def _aligned(name: str, dx: int) -> _Columns | None:
    """The columns that show the same part of the image; None if a layer has none."""
    if name not in STRIDES or dx % STRIDES[name]:
        return None
    by = dx // STRIDES[name]
    if by < 0:
        return slice(-by, None), slice(None, by)
    return slice(None, -by or None), slice(by, None)


def _similarity(
    network: nn.Module,
    images: Tensor,
    shifts: Sequence[int],
    columns: Callable[[str, int], _Columns | None],
) -> dict[str, dict[int, float]]:
    """Layer -> dx -> the mean cosine of the columns that ``columns(layer, dx)`` chooses, if it does."""
    means = _means(network, images)
    cosines: dict[str, dict[int, list[Tensor]]] = {name: defaultdict(list) for name in means}
    for chunk in images.split(_CHUNK):
        unmoved = layers(network, chunk)
        for dx in set(shifts):
            moved = layers(network, _moved(chunk, dx))
            for name, mean in means.items():
                if chosen := columns(name, dx):
                    of_images = _cosines(name, unmoved[name], moved[name], mean, chosen)
                    cosines[name][dx].append(of_images)
    return {
        name: {dx: rounded(name, float(torch.cat(parts).mean())) for dx, parts in by_dx.items()}
        for name, by_dx in cosines.items()
    }


def _means(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Each layer's mean activations over the images, in float64."""
    sums: dict[str, Tensor] = {}
    for chunk in images.split(_CHUNK):
        for name, values in layers(network, chunk).items():
            of_chunk = values.double().sum(0)
            sums[name] = sums[name] + of_chunk if name in sums else of_chunk
    return {name: total / len(images) for name, total in sums.items()}


def _moved(images: Tensor, dx: int) -> Tensor:
    shift = torch.tensor([[dx, 0]], device=images.device)
    moved: Tensor = torch.ops.lenetshift.translate(images, shift)[:, 0]
    return moved


def _cosines(name: str, unmoved: Tensor, moved: Tensor, mean: Tensor, columns: _Columns) -> Tensor:
    """Of each image, float64 [N], between activations ``[N, ...]`` less the mean, at some columns."""
    at, to = columns
    a = (unmoved[..., at] - mean[..., at]).flatten(1)
    b = (moved[..., to] - mean[..., at]).flatten(1)
    if not (a.isfinite().all() and b.isfinite().all()):
        raise ArgumentError("network", f"activations of {name} that are not finite", "finite ones")
    lengths = a.norm(dim=1) * b.norm(dim=1)
    if not lengths.all():
        raise ArgumentError(
            "images", f"one whose activations of {name} are the mean over the images", "others"
        )
    cosines: Tensor = (a * b).sum(1) / lengths
    return cosines
