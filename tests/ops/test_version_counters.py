"""Training writes weights in place and tells autograd: an older graph gives no wrong gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import SETTINGS, make_dataset
from torch import nn

from lenetshift.models.build import build_model
from lenetshift.models.lenet5 import SymmetricLeNet5
from lenetshift.models.table import FUSED
from lenetshift.models.train import train

DATASET = make_dataset(9)


def check_that_an_older_graph_raises(model: nn.Module) -> None:
    versions = [parameter._version for parameter in model.parameters()]
    output = model(torch.rand(2, 1, 28, 28)).sum()
    train(model, DATASET, method="fused", **SETTINGS)
    assert all(p._version > v for p, v in zip(model.parameters(), versions, strict=True))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.backward()


@pytest.mark.parametrize("name", FUSED)
def test_a_graph_from_before_the_training_raises(name: str) -> None:
    check_that_an_older_graph_raises(build_model(name, seed=0))


def test_weights_that_were_packed_raise_too() -> None:
    check_that_an_older_graph_raises(SymmetricLeNet5().to(memory_format=torch.channels_last))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_in_modes_without_graphs(mode: Any) -> None:
    model = build_model("mlp", seed=0)
    versions = [parameter._version for parameter in model.parameters()]
    with mode():
        train(model, DATASET, **SETTINGS)
        inference_made = build_model("mlp", seed=0)  # its weights may have no version counters
        train(inference_made, DATASET, **SETTINGS)
    assert all(p._version > v for p, v in zip(model.parameters(), versions, strict=True))
    for got, expected in zip(inference_made.parameters(), model.parameters(), strict=True):
        assert torch.equal(got, expected)


def test_the_op_refuses_weights_of_a_graph_as_torchs_in_place_ops_do() -> None:
    parameters = list(build_model("pooled_mlp", seed=0).parameters())
    arguments = (DATASET.images, DATASET.labels, torch.arange(9), parameters, 0.1, 4)
    with pytest.raises(ValueError, match=r"^parameters: got some that require grad, expected"):
        torch.ops.lenetshift.train_epoch_pooled_mlp(*arguments)
    versions = [parameter._version for parameter in parameters]
    with torch.no_grad():
        torch.ops.lenetshift.train_epoch_pooled_mlp(*arguments)
    assert [parameter._version for parameter in parameters] == [v + 1 for v in versions]
