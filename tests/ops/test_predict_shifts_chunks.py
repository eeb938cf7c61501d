"""Images are taken in chunks, and sorted in each: every answer must find its image again."""

from __future__ import annotations

import pytest
import torch

from lenetshift.data.load import load_mnist
from lenetshift.models.build import build_model
from lenetshift.models.table import FUSED

CHUNK = 8192  # images, csrc/host/image_order.h


@pytest.mark.parametrize("name", FUSED)
def test_a_second_chunk_answers_like_a_call_of_its_own(name: str) -> None:
    images = load_mnist()[1].images[: CHUNK + 37]
    op = getattr(torch.ops.lenetshift, f"predict_shifts_{name}")
    parameters = [p.detach() for p in build_model(name, seed=1).parameters()]

    def ask(part: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        predictions, logits = op(part, [-2, 0], [1, 2], parameters, "tanh", True)
        return predictions, logits

    whole = ask(images)
    parts = ask(images[:CHUNK]), ask(images[CHUNK:])
    for both, *of_parts in zip(whole, *parts, strict=True):
        assert torch.equal(both, torch.cat(of_parts))


@pytest.mark.parametrize("name", FUSED)
def test_the_order_of_the_images_does_not_matter(name: str) -> None:
    """Up to rounding: which images are evaluated side by side decides how some sums are formed."""
    images = load_mnist()[1].images[:400]
    op = getattr(torch.ops.lenetshift, f"predict_shifts_{name}")
    parameters = [p.detach() for p in build_model(name, seed=1).parameters()]
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    _, logits = op(images, [-2, 0], [1, 2], parameters, "tanh", True)
    _, permuted = op(images[order], [-2, 0], [1, 2], parameters, "tanh", True)
    torch.testing.assert_close(permuted, logits[order], rtol=0, atol=1e-5)
