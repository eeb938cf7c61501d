"""All 550,000 patterns of the real test set: the fused answers are PyTorch's, near-ties aside."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from lenetshift import reference
from lenetshift.data import load_mnist
from lenetshift.evaluate import predict_shifts
from lenetshift.models import MODEL_NAMES, build_model
from lenetshift.shifts import ShiftGrid
from lenetshift.train import train

GRID = ShiftGrid()
IMAGES_AT_ONCE = 50  # times 55 shifts: the batch that PyTorch likes


def pytorch_predictions(model: nn.Module, images: Tensor) -> Tensor:
    """Translate, then ask the module, in float32."""
    answers = [
        reference.shifted_logits(model, part, GRID, torch.float32).argmax(-1)
        for part in images.split(IMAGES_AT_ONCE)
    ]
    return torch.cat(answers).to(torch.uint8)


def float32_error(model: nn.Module, exact: nn.Module, images: Tensor) -> float:
    """The largest error of a PyTorch float32 logit over a sample of the patterns."""
    single = reference.shifted_logits(model, images, GRID, torch.float32)
    return float((single - reference.shifted_logits(exact, images, GRID)).abs().max())


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_every_pattern(name: str) -> None:
    training, test = load_mnist()
    model = build_model(name, seed=0)
    train(model, training, epochs=1, learning_rate=0.1, batch_size=64, seed=0)
    exact = copy.deepcopy(model).double()
    fused = predict_shifts(model, test.images, GRID)
    different = (fused != pytorch_predictions(model, test.images)).nonzero()
    # Two float32 evaluations may each be off by their error: PyTorch's, and ours, to which the
    # Toom-Cook forms may add a factor of 12 (see test_predict_shifts_lenet5.py).
    allowed = 2 * (1 + 12) * float32_error(model, exact, test.images[:100])
    print(f"{name}: {len(different)} of {fused.numel()} answers differ; allowed gap {allowed:.2g}")
    for image, row, column in different.tolist():
        shift = ShiftGrid(GRID.dx[column : column + 1], GRID.dy[row : row + 1])
        logits = reference.shifted_logits(exact, test.images[image : image + 1], shift)
        best = logits.flatten().topk(2).values
        gap = float(best[0] - best[1])
        print(f"  image {image}, dx {GRID.dx[column]}, dy {GRID.dy[row]}: gap {gap:.2g}")
        assert gap <= allowed
    assert len(different) <= fused.numel() // 10_000
