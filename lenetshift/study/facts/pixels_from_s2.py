"""How well S2, the pooled maps of C1, still determines the image.

The report (Tanaka 2024) says that C1 holds the same information 4704 / 784 = 6 times, so that pooling, which
keeps 1/4 of its nodes, loses nothing that matters, and that about 1/6 would do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...checks.errors import ArgumentError
from ...checks.numbers import check_int
from ...data.dataset import as_input
from ...models.lenet5 import LeNet5, SymmetricLeNet5
from ...ops.activations import ACTIVATIONS
from .agreement import rounded
from .checks import check_several_images

SIDES = (14, 12, 11, 7)
"""Rows and columns of S2's six maps. 14: 1/4 of C1's nodes, as in LeNet-5; 12 and 11: 864 and 726 nodes, on
both sides of the 784 that are 1/6; 7: 1/16."""

RIDGE = 1e-4
"""The penalty of squared weights, in units of the mean variance of S2's nodes times the number of images.
Without one, nodes that hardly vary in training would decide."""

_CHUNK = 250
"""Images whose C1 is computed together: 5 MB."""


def pixels_from_s2(
    network: nn.Module, train_images: Tensor, test_images: Tensor, sides: Sequence[int] = SIDES
) -> dict[int, float]:
    """R2 of the image's 784 pixels, as a linear function of S2's nodes.

    S2 is C1 after its activation, averaged to 6 maps of side x side by adaptive pooling: row i of a map is
    the mean of C1's rows floor(28 i / side) up to, but not including, ceil(28 (i + 1) / side); columns are
    too. The weights and the intercept of each pixel are those of a ridge regression (Hoerl and Kennard
    1970, Technometrics 12) on the N training images: they minimise the sum of squared errors plus the sum
    of squared weights times :data:`RIDGE`, N and the mean variance of the nodes. R2 is of the test images: 1
    minus the sum of squared errors, divided by the sum of squared differences from the mean training image,
    over all pixels and images.

    Args:
        network: LeNet-5 or the symmetric LeNet-5, on the device of the images; only its C1 is used.
        train_images: uint8 ``[N, 28, 28]``, N of 2 or more; many more than nodes, such as 10,000.
        test_images: uint8 ``[N, 28, 28]``, N of 2 or more.
        sides: each in 1..28.

    Returns:
        Side -> R2, at most 1, to 4 decimals.

    Raises:
        ArgumentError: an argument is not as described; nodes of S2 that are not finite or that are the same
            for all training images; test images that are all the mean training image.
    """
    if not isinstance(network, (LeNet5, SymmetricLeNet5)):
        raise ArgumentError("network", type(network).__name__, "LeNet5 or SymmetricLeNet5")
    check_several_images("train_images", train_images)
    check_several_images("test_images", test_images)
    checked = [check_int("sides", side, 1, 28) for side in sides]
    train_pixels, test_pixels = (
        as_input(images, torch.float64).flatten(1) for images in (train_images, test_images)
    )
    train_s2, test_s2 = (_s2(network, images, checked) for images in (train_images, test_images))
    return {
        side: _r2(train_s2[side].double(), train_pixels, test_s2[side].double(), test_pixels)
        for side in checked
    }


@torch.no_grad()
def _s2(
    network: LeNet5 | SymmetricLeNet5, images: Tensor, sides: Sequence[int]
) -> dict[int, Tensor]:
    """Side -> S2's nodes ``[N, 6 * side * side]``."""
    activation = ACTIVATIONS[network.activation]
    chunks: dict[int, list[Tensor]] = {side: [] for side in sides}
    for chunk in images.split(_CHUNK):
        c1 = activation(network.c1(as_input(chunk, network.c1.weight.dtype)))
        for side, found in chunks.items():
            found.append(F.adaptive_avg_pool2d(c1, side).flatten(1))
    return {side: torch.cat(found) for side, found in chunks.items()}


def _r2(
    train_nodes: Tensor, train_pixels: Tensor, test_nodes: Tensor, test_pixels: Tensor
) -> float:
    """R2 of the test images; all float64, nodes ``[N, n_nodes]`` and pixels ``[N, 784]``."""
    mean_nodes, mean_pixels = train_nodes.mean(0), train_pixels.mean(0)
    nodes, pixels = train_nodes - mean_nodes, train_pixels - mean_pixels  # so there is an intercept
    products = nodes.T @ nodes
    size = float(products.trace()) / len(products)
    if not size > 0:  # or NaN
        raise ArgumentError("network", "nodes of S2 that do not vary, or are not finite", "others")
    products.diagonal().add_(RIDGE * size)
    weights = torch.linalg.solve(products, nodes.T @ pixels)
    total = float((test_pixels - mean_pixels).square().sum())
    if total == 0:
        raise ArgumentError("test_images", "only the mean training image", "images that differ")
    errors = test_pixels - mean_pixels - (test_nodes - mean_nodes) @ weights
    return rounded("R2", 1 - float(errors.square().sum()) / total)
