"""Similarities of layers: by hand, against NumPy, and of maps that move with the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lenetshift.checks.errors import ArgumentError
from lenetshift.data.load import load_mnist
from lenetshift.models.build import build_model
from lenetshift.study.facts import layer_similarity as module
from lenetshift.study.facts.layer_similarity import (
    STRIDES,
    aligned_similarity,
    layer_similarity,
)
from lenetshift.study.facts.layers import layers

DXS = range(-5, 6)


def noise(n: int, first: int = 0, last: int = 27) -> Tensor:
    """Images of noise from one column to another, black outside."""
    images = np.random.default_rng(n).integers(256, size=(n, 28, 28), dtype=np.uint8)
    images[:, :, :first] = images[:, :, last + 1 :] = 0
    return torch.from_numpy(images)


@pytest.fixture(scope="module")
def digits() -> Tensor:
    return load_mnist()[1].images[:200]


def test_two_dots_by_hand() -> None:
    """Dots in columns 10 and 12, of mean 1/2 each: (1/2, -1/2) and (-1/2, 1/2). Moved by 2, the first is the
    second, and the second has nothing in common with itself: 1/4 - 1/4. Moved by -2 likewise."""
    images = torch.zeros(2, 28, 28, dtype=torch.uint8)
    images[0, 14, 10] = images[1, 14, 12] = 255
    found = layer_similarity(build_model("mlp", seed=0), images, [-2, -1, 0, 1, 2])
    assert found["pixels"] == [-0.5, 0.0, 1.0, 0.0, -0.5]


def test_a_dot_that_gets_lost() -> None:
    """Dots in columns 0 and 27, moved by 1: (-1/2, 1 elsewhere, -1/2) and (-1/2, -1/2)."""
    images = torch.zeros(2, 28, 28, dtype=torch.uint8)
    images[0, 14, 0] = images[1, 14, 27] = 255
    assert layer_similarity(build_model("mlp", seed=0), images, [1])["pixels"] == [0.0]


@pytest.mark.parametrize("name", ["lenet5", "mlp"])
def test_against_numpy(digits: Tensor, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 3)
    network, images = build_model(name, seed=3), digits[:7]
    moved = torch.zeros_like(images)
    moved[:, :, 3:] = images[:, :, :-3]
    unmoved, other = layers(network, images), layers(network, moved)
    found = layer_similarity(network, images, [3])
    assert list(found) == list(unmoved)
    for layer, values in found.items():
        a, b = (of[layer].numpy().astype(np.float64).reshape(7, -1) for of in (unmoved, other))
        mean = a.mean(0)
        cosines = [
            np.dot(x - mean, y - mean) / np.sqrt(np.sum((x - mean) ** 2) * np.sum((y - mean) ** 2))
            for x, y in zip(a, b, strict=True)
        ]
        assert values == [pytest.approx(np.mean(cosines), abs=1e-4)]


@pytest.mark.parametrize("name", ["lenet5", "mlp"])
def test_mnist(digits: Tensor, name: str) -> None:
    """Of every layer, less is kept the farther the image moves."""
    dxs = [-3, -2, 0, 1, 2]
    found = layer_similarity(build_model(name, seed=0), digits, dxs)
    assert found["pixels"][4] == pytest.approx(0.28, abs=0.01)
    for values in found.values():
        assert values[2] == 1
        assert values[:3] == sorted(values[:3])
        assert values[2:] == sorted(values[2:], reverse=True)


def test_maps_move_with_the_image() -> None:
    """Noise with room around it: nothing leaves the frame, and the maps that are moved back are the same."""
    network, images = build_model("lenet5", seed=0), noise(8, first=7, last=20)
    aligned = aligned_similarity(network, images, DXS)
    assert list(aligned) == ["C1", "S2", "C3", "S4"]
    for layer, values in aligned.items():
        assert values == [None if dx % STRIDES[layer] else 1.0 for dx in DXS]
    unaligned = layer_similarity(network, images, [-4, 4])
    assert all(value < 0.9 for layer in STRIDES for value in unaligned[layer])


def test_what_leaves_the_frame_is_left_out() -> None:
    """C1 that copies its image: its columns that stay in the frame are the same, whatever the others are."""
    network = build_model("lenet5", "relu", seed=0)
    with torch.no_grad():
        network.c1.weight.zero_()
        network.c1.bias.zero_()
        network.c1.weight[:, 0, 2, 2] = 1
    aligned = aligned_similarity(network, noise(8), DXS)
    assert aligned["C1"] == [1.0] * 11
    assert aligned["S2"] == [None if dx % 2 else 1.0 for dx in DXS]


def test_the_mean_is_that_of_the_same_place() -> None:
    """Images with a bright column that none of them lacks: it says nothing, also when it is moved."""
    network, images = build_model("lenet5", seed=0), noise(8, first=9, last=18)
    other = noise(9, first=9, last=18)[:8]
    images[:, :, 13] = other[:, :, 13] = 255
    moved = aligned_similarity(network, images, [4])
    assert all(values == [1.0] for values in moved.values())


def untrained(name: str, value: float) -> nn.Module:
    network = build_model(name, "relu", seed=0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)
    return network


@pytest.mark.parametrize(
    ("network", "n", "dxs", "message"),
    [
        (untrained("mlp", float("nan")), 2, [0],
         "network: got activations of hidden that are not finite, expected finite ones"),
        (untrained("mlp", 0.0), 2, [0],
         "images: got one whose activations of hidden are the mean over the images, expected others"),
        (build_model("mlp", seed=0), 1, [0], "images: got 1 of them, expected 2 or more"),
        (build_model("mlp", seed=0), 2, [28], "dxs: got 28, expected an int in -27..27"),
        (build_model("mlp", seed=0), 2, [0.5], "dxs: got 0.5, expected an int in -27..27"),
        (nn.Linear(784, 10), 2, [0],
         "network: got Linear, expected one of LeNet5, SymmetricLeNet5, MLP, PooledMLP"),
    ],
)  # fmt: skip
def test_what_is_refused(network: nn.Module, n: int, dxs: list[int], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        layer_similarity(network, noise(2)[:n], dxs)
    assert str(caught.value) == message


def test_what_cannot_be_aligned() -> None:
    with pytest.raises(ArgumentError, match=r"^network: got MLP, expected LeNet5 or "):
        aligned_similarity(build_model("mlp", seed=0), noise(2), [0])
    with pytest.raises(ArgumentError, match=r"^dxs: got 17, expected an int in -16\.\.16$"):
        aligned_similarity(build_model("lenet5", seed=0), noise(2), [17])
    farthest = aligned_similarity(build_model("lenet5", seed=0), noise(2), [-16, 16])
    assert all(None not in values for values in farthest.values())
