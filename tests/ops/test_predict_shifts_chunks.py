"""Images are taken in chunks, and sorted in each: every image must get its own answers."""

from __future__ import annotations

import pytest
import torch
from cases import predict

from lenetshift.data.load import load_mnist
from lenetshift.models.build import build_model
from lenetshift.models.table import FUSED
from lenetshift.shifts import ShiftGrid

CHUNK = 8192  # images, csrc/host/image_order.h
GRID = ShiftGrid(range(-2, 0), range(1, 2))


@pytest.mark.parametrize("name", FUSED)
def test_a_second_chunk_answers_like_a_call_of_its_own(name: str) -> None:
    images = load_mnist()[1].images[: CHUNK + 37]
    model = build_model(name, seed=1)
    whole, *parts = (
        predict(name, model, part, GRID) for part in (images, images[:CHUNK], images[CHUNK:])
    )
    for both, *of_parts in zip(whole, *parts, strict=True):
        assert torch.equal(both, torch.cat(of_parts))


@pytest.mark.parametrize("name", FUSED)
def test_the_order_of_the_images_does_not_matter(name: str) -> None:
    """Up to rounding: which images are evaluated side by side decides how some sums are formed."""
    images = load_mnist()[1].images[:400]
    model = build_model(name, seed=1)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    _, logits = predict(name, model, images, GRID)
    _, permuted = predict(name, model, images[order], GRID)
    torch.testing.assert_close(permuted, logits[order], rtol=0, atol=1e-5)
