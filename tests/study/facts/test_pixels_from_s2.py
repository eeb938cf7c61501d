"""Pixels from S2: by hand, with a C1 that copies the image, and on MNIST."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from lenetshift.checks.errors import ArgumentError
from lenetshift.data.load import load_mnist
from lenetshift.models.build import build_model
from lenetshift.study.facts.pixels_from_s2 import pixels_from_s2


def copying(bias: float = 0.0) -> nn.Module:
    """A LeNet-5 whose six C1 maps are the image."""
    network = build_model("lenet5", "relu", seed=0)
    with torch.no_grad():
        network.c1.weight.zero_()
        network.c1.bias.fill_(bias)
        network.c1.weight[:, 0, 2, 2] = 1
    return network


def blocks(means: list[int], differences: list[int]) -> Tensor:
    """Images with one square of 2 x 2: two pixels of the mean, one above and one below it."""
    images = torch.zeros(len(means), 28, 28, dtype=torch.uint8)
    for image, mean, difference in zip(images, means, differences, strict=True):
        image[4:6, 4:6] = mean
        image[4, 4], image[4, 5] = mean + difference, mean - difference
    return images


means, differences = zip(*itertools.product([50, 100], [-10, 10]), strict=True)
TRAIN = blocks(list(means), list(differences))


@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_a_square_by_hand(bias: float) -> None:
    """S2 is the mean of the square, or a quarter of it, and says nothing of the difference.

    The pixels differ from their means by 25 twice, by 25 + 10 and 25 - 10: 2 * 625 + 1225 + 225 = 2700, of
    which 2 * 100 cannot be known.
    """
    found = pixels_from_s2(copying(bias), TRAIN, TRAIN, (14, 7))
    assert found == {14: round(1 - 200 / 2700, 4), 7: round(1 - 200 / 2700, 4)}


def test_differences_are_those_from_the_mean_training_image() -> None:
    """Of 75 + 25 twice, 75 + 45 and 75 + 5: 2 * 625 + 2025 + 25 = 3300, of which 2 * 400 are unknown."""
    test = blocks([100, 100], [20, 20])
    assert pixels_from_s2(copying(), TRAIN, test, [14]) == {14: round(1 - 800 / 3300, 4)}


def test_windows_of_adaptive_pooling_overlap() -> None:
    """Side 11: the windows are of 3 or 4 rows, and rows 2, 5, 7, 10, ... belong to two of them."""
    network, images = copying(), torch.zeros(3, 28, 28, dtype=torch.uint8)
    images[1, 0, 0] = 11  # in one window alone
    images[2, 2, 2] = 11  # in four
    assert pixels_from_s2(network, images, images, [11]) == {11: 1.0}
    assert pixels_from_s2(network, images, images, [7])[7] < 0.6  # both in the first of 4 x 4


def test_mnist() -> None:
    """Weights that were not trained; the order is that of the numbers of nodes."""
    train, test = load_mnist()
    network = build_model("lenet5", seed=0)
    found = pixels_from_s2(network, train.images[:1500], test.images[:500], (7, 4, 2))
    assert found[7] == pytest.approx(0.91, abs=0.02)
    assert found[7] > found[4] > found[2] > 0


@pytest.mark.parametrize(
    ("network", "train", "test", "sides", "message"),
    [
        (copying(), TRAIN[:1], TRAIN, [14], "train_images: got 1 of them, expected 2 or more"),
        (copying(), TRAIN, TRAIN[:0], [14], "test_images: got 0 of them, expected 2 or more"),
        (copying(), TRAIN.int(), TRAIN, [14], "train_images: got int32, expected uint8"),
        (copying(), TRAIN, TRAIN, [29], "sides: got 29, expected an int in 1..28"),
        (build_model("mlp", seed=0), TRAIN, TRAIN, [14],
         "network: got MLP, expected LeNet5 or SymmetricLeNet5"),
        (copying(-9.0), TRAIN, TRAIN, [14],
         "network: got nodes of S2 that do not vary, or are not finite, expected others"),
        (copying(float("nan")), TRAIN, TRAIN, [14],
         "network: got nodes of S2 that do not vary, or are not finite, expected others"),
        (copying(), TRAIN, blocks([75, 75], [0, 0]), [14],
         "test_images: got only the mean training image, expected images that differ"),
    ],
)  # fmt: skip
def test_what_is_refused(
    network: nn.Module, train: Tensor, test: Tensor, sides: list[int], message: str
) -> None:
    with pytest.raises(ArgumentError) as caught:
        pixels_from_s2(network, train, test, sides)
    assert str(caught.value) == message
