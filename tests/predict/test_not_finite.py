"""Weights that are not finite or have sums that overflow give PyTorch's own infinities and NaNs."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from lenetshift.data.dataset import Dataset
from lenetshift.models.build import build_model
from lenetshift.models.fused import packed_parameters, sums_stay_finite
from lenetshift.models.table import FUSED
from lenetshift.models.train import train
from lenetshift.predict.predict_shifts import predict_shifts
from lenetshift.reference import translate
from lenetshift.shifts import ShiftGrid

GRID = ShiftGrid(range(-2, 3), range(-1, 2))
BAD = [float("inf"), float("-inf"), float("nan"), 1e38]


def make_images(n: int) -> Tensor:
    """Random pixels, four fifths of them blank, the first image all blank."""
    generator = torch.Generator().manual_seed(n)
    images = torch.randint(0, 256, (n, 28, 28), dtype=torch.uint8, generator=generator)
    images *= torch.rand(n, 28, 28, generator=generator) < 0.2
    images[0] = 0
    return images


def in_one_batch(model: nn.Module, images: Tensor) -> Tensor:
    """The logits of all patterns; sums that cancel depend on the size of a batch."""
    moved = translate(images, GRID.shifts())  # [N, S, 28, 28]
    with torch.no_grad():
        logits: Tensor = model(moved.flatten(0, 1).unsqueeze(1) / 255)
    return logits.view(len(images), *GRID.shape, 10)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("name", FUSED)
def test_predictions_are_those_of_the_module(name: str, activation: str, bad: float) -> None:
    images = make_images(3)
    n_parameters = len(list(build_model(name).parameters()))
    for i in range(n_parameters):
        model = build_model(name, activation, seed=1)
        with torch.no_grad():
            parameter = list(model.parameters())[i]
            parameter.view(-1)[3] = bad
            parameter.view(-1)[-1] = bad
        expected = in_one_batch(model, images)
        predictions, logits = predict_shifts(model, images, GRID, return_logits=True)
        # Terms of 1e38 that cancel leave their rounding, so a pattern's largest logit sets the scale.
        scale = expected.abs().nan_to_num(0, 0, 0).amax(-1, keepdim=True)
        bound = 1e-4 * (1 + scale).expand_as(expected)
        finite = expected.isfinite()
        assert torch.equal(logits[~finite].nan_to_num(7), expected[~finite].nan_to_num(7))
        assert ((logits - expected)[finite].abs() <= bound[finite]).all()
        assert torch.equal(predictions, logits.argmax(-1).to(torch.uint8))


@pytest.mark.parametrize("learning_rate", [0.1, 1e30])
@pytest.mark.parametrize("start", [0.0, *BAD])
@pytest.mark.parametrize("name", FUSED)
def test_training_diverges_as_by_autograd(name: str, start: float, learning_rate: float) -> None:
    dataset = Dataset(make_images(20), torch.arange(20) % 10)
    model = build_model(name, seed=1)
    with torch.no_grad():
        next(model.parameters()).view(-1)[7] = start
    results = []
    for method in ("fused", "autograd"):
        trained = deepcopy(model)
        settings = {"learning_rate": learning_rate, "method": method}
        losses = train(trained, dataset, epochs=2, batch_size=8, seed=0, **settings)
        results.append([*losses, *(p.detach() for p in trained.parameters())])
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("name", FUSED)
def test_ordinary_weights_go_through_the_fused_ops(name: str) -> None:
    parameters = packed_parameters(build_model(name, seed=0))
    assert sums_stay_finite(parameters)
    assert sums_stay_finite([100 * parameter for parameter in parameters])
    for bad in BAD:
        parameters[-1][3] = bad
        assert not sums_stay_finite(parameters)
