"""All 550,000 patterns of the real test set: the fused answers equal PyTorch's, except near-ties."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from lenetshift import reference
from lenetshift.checks.core import core
from lenetshift.data.load import load_mnist
from lenetshift.models.build import build_model
from lenetshift.models.table import FUSED
from lenetshift.models.train import train
from lenetshift.predict.predict_shifts import predict_shifts
from lenetshift.shifts import ShiftGrid

pytestmark = pytest.mark.slow

GRID = ShiftGrid()
IMAGES_AT_ONCE = 50  # times 55 shifts: a fast batch size for PyTorch

MOST_NEAR_TIES = 3  # of a model's 550,000 patterns; one in 2.2 million was seen


def pytorch_predictions(model: nn.Module, images: Tensor) -> Tensor:
    """Translate, then run the module, in float32."""
    answers = [
        reference.shifted_logits(model, part, GRID, torch.float32).argmax(-1)
        for part in images.split(IMAGES_AT_ONCE)
    ]
    return torch.cat(answers).to(torch.uint8)


def float32_error(model: nn.Module, exact: nn.Module, images: Tensor) -> float:
    """The largest error of a float32 logit of PyTorch in a sample of the patterns."""
    single = reference.shifted_logits(model, images, GRID, torch.float32)
    return float((single - reference.shifted_logits(exact, images, GRID)).abs().max())


def gaps(exact: nn.Module, images: Tensor, different: Tensor) -> list[float]:
    """The difference between the two largest logits of patterns (image, row, column)."""
    found = []
    for image, row, column in different.tolist():
        shift = ShiftGrid(GRID.dx[column : column + 1], GRID.dy[row : row + 1])
        logits = reference.shifted_logits(exact, images[image : image + 1], shift)
        best = logits.flatten().topk(2).values
        found.append(float(best[0] - best[1]))
    return found


@pytest.mark.parametrize("name", FUSED)
def test_every_pattern(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With every instruction set of this machine."""
    training, test = load_mnist()
    model = build_model(name, seed=0)
    train(model, training, epochs=1, learning_rate=0.1, batch_size=64, seed=0)
    exact = copy.deepcopy(model).double()
    expected = pytorch_predictions(model, test.images)
    # Each of the two largest logits may have float32's error, and 1.5 times that in images
    # outside the sample.
    allowed = 2 * 1.5 * float32_error(model, exact, test.images[:100])
    fused = {}
    before = core.isa()
    for isa in (isa for isa, supported in core.isas() if supported):
        core.set_isa(isa)
        try:
            fused[isa] = predict_shifts(model, test.images, GRID)
        finally:
            core.set_isa(before)
        different = (fused[isa] != expected).nonzero()
        largest = max(gaps(exact, test.images, different), default=0)
        with capsys.disabled():
            print(
                f"\n{name}, {isa}: {len(different)} of {expected.numel()} answers differ from "
                f"PyTorch's, largest gap {largest:.1g} of {allowed:.1g} allowed"
            )
        assert largest <= allowed
        assert len(different) <= MOST_NEAR_TIES
    for one, other in itertools.combinations(fused.values(), 2):
        assert int((one != other).sum()) <= 2 * MOST_NEAR_TIES
