"""The shared way gives the plain way's answers, for whatever network can be shared."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import networks
from torch import Tensor, nn

from lenetshift import Normalize, ShiftGrid
from lenetshift.evaluate import ShiftEvaluator


@st.composite
def shift_ranges(draw: st.DrawFn, size: int, most: int) -> range:
    """Up to ``most`` shifts of images of that many pixels."""
    step = draw(st.integers(1, 3))
    n = draw(st.integers(1, most))
    first = draw(st.integers(1 - size, size - 1))
    last = min(size - 1, first + (n - 1) * step)
    return range(first, last + 1, step)


@dataclass
class Evaluation:
    """A network, images for it, and how they are moved."""

    model: nn.Module
    images: Tensor = field(repr=False)
    grid: ShiftGrid
    settings: dict[str, Any]


@st.composite
def evaluations(draw: st.DrawFn) -> Evaluation:
    """Images, a grid, and how the images are moved, and a network for them."""
    channels, height, width = draw(st.integers(1, 3)), *(draw(st.integers(9, 18)) for _ in "yx")
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    images = torch.rand(3, channels, height, width, generator=generator, dtype=torch.float64)
    if draw(st.booleans()):  # ink with blank margins
        images[:, :, : height // 3] = images[:, :, :, : width // 3] = images[:, :, :, -2:] = 0
    window, settings = (height, width), {}
    if draw(st.booleans()):
        grid = ShiftGrid(draw(shift_ranges(width, 5)), draw(shift_ranges(height, 4)))
        kind = draw(st.integers(0, 2))
        fills = [0, [0.25 * k for k in range(channels)], "circular"]
        settings["fill"] = fills[kind]
    else:
        window = draw(st.integers(6, height)), draw(st.integers(6, width))
        room = [(n - w) // 2 for n, w in zip((height, width), window, strict=True)]
        step = draw(st.integers(1, 2))
        dy, dx = (range(-(r // step) * step, r + 1, step) for r in room)
        grid = ShiftGrid(dx, dy)
        settings["crop"] = window
    if draw(st.booleans()):
        settings["transform"] = Normalize([0.3] * channels, 0.5)
    network = draw(networks((channels, *window)))
    return Evaluation(network, images, grid, settings)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tensors as small as these are done sooner so."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(evaluations())
def test_random_networks_share_their_features_exactly(evaluation: Evaluation) -> None:
    logits = {}
    for method in ("shared", "plain"):
        evaluator = ShiftEvaluator(
            evaluation.model, evaluation.grid, method=method, **evaluation.settings
        )
        answers = evaluator.answer(evaluation.images, return_logits=True)
        assert answers.method == method, answers.reason
        logits[method] = answers.logits
    shared, plain = logits["shared"], logits["plain"]
    torch.testing.assert_close(shared, plain, rtol=0, atol=1e-10)
