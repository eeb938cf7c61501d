"""The layers of a network: each follows from the one before, up to the logits that the network gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lenetshift.checks.errors import ArgumentError
from lenetshift.data.dataset import as_input
from lenetshift.data.load import load_mnist
from lenetshift.models.build import MODEL_NAMES, build_model
from lenetshift.study.experiments.networks import build_network
from lenetshift.study.facts.layers import layers

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return load_mnist()[1].images[:3]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["lenet5", "symmetric_lenet5"])
@torch.no_grad()
def test_lenet5(images: torch.Tensor, name: str, activation: str) -> None:
    network, act = build_model(name, activation, seed=1), ACTIVATIONS[activation]
    of = layers(network, images)
    assert list(of) == ["pixels", "C1", "S2", "C3", "S4", "C5", "F6", "logits"]
    assert of["pixels"].equal(as_input(images))
    assert of["C1"].equal(act(network.c1(of["pixels"])))
    assert of["S2"].equal(F.avg_pool2d(of["C1"], 2))
    assert of["C3"].equal(act(network.c3(of["S2"])))
    assert of["S4"].equal(F.avg_pool2d(of["C3"], 2))
    assert of["C5"].equal(act(network.c5(of["S4"].flatten(1))))
    assert of["F6"].equal(act(network.f6(of["C5"])))
    assert of["logits"].equal(network(of["pixels"]))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["mlp", "pooled_mlp"])
@torch.no_grad()
def test_perceptrons(images: torch.Tensor, name: str, activation: str) -> None:
    network = build_model(name, activation, seed=1)
    of = layers(network, images)
    pooled = ["pooled"] if name == "pooled_mlp" else []
    assert list(of) == ["pixels", *pooled, "hidden", "logits"]
    if pooled:
        assert of["pooled"].equal(F.avg_pool2d(of["pixels"], 4).flatten(1))
    before = of["pooled" if pooled else "pixels"].flatten(1)
    assert of["hidden"].equal(ACTIVATIONS[activation](network.hidden(before)))
    assert of["logits"].equal(network(of["pixels"]))


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_the_network_is_left_as_it_was(images: torch.Tensor, name: str) -> None:
    network = build_model(name, seed=1).double()
    of = layers(network, images)
    assert {values.dtype for values in of.values()} == {torch.float64}
    assert not any(values.requires_grad for values in of.values())
    assert not any(module._forward_hooks for module in network.modules())
    with pytest.raises(AttributeError):
        layers(network, None)  # type: ignore[arg-type]
    assert not any(module._forward_hooks for module in network.modules())


def test_another_network(images: torch.Tensor) -> None:
    expected = r"^network: got Sequential, expected one of LeNet5, SymmetricLeNet5, MLP, PooledMLP$"
    with pytest.raises(ArgumentError, match=expected):
        layers(build_network("lenet5_max", "tanh", 0), images)
