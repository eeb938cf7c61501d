"""Every classification network of torchvision, with random weights, by every method.

Needs ``pip install --no-deps torchvision pillow``; its compiled operations are not used, and may be of
another build than torch.
"""

from __future__ import annotations

import functools
import io
import re
import sys
import warnings
from typing import Any

import pytest
import torch
from hand_loop import hand_loop
from torch import nn

from lenetshift import ShiftGrid
from lenetshift.predict.evaluator import ShiftEvaluator

pytestmark = pytest.mark.slow

LIBRARY = torch.library.Library("torchvision", "FRAGMENT")

GRID = ShiftGrid(range(-8, 9, 8), range(-1, 1))
SIZES = {"inception_v3": 299, "vit_h_14": 224, "vit_": 224, "swin": 96, "maxvit_t": 224}
"""The networks that do not take 96 x 96 pixels."""


def names() -> list[str]:
    try:
        models = imported().models
    except ImportError:
        return []
    return [n for n in models.list_models(module=models) if n != "vit_h_14"]  # 2.5 GB of weights


@functools.cache
def imported() -> Any:
    """torchvision; if its compiled part does not fit torch, its operations are only declared."""
    while True:
        try:
            import torchvision
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None:
                raise
            LIBRARY.define(f"{missing[1]}(Tensor x) -> Tensor")
            for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
                del sys.modules[name]
        else:
            return torchvision


def size_of(name: str) -> int:
    return next((size for start, size in SIZES.items() if name.startswith(start)), 96)


def make(name: str) -> nn.Module:
    torch.manual_seed(0)
    settings = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = imported().models.get_model(name, weights=None, num_classes=10, **settings).eval()
    for module in model.modules():  # statistics that a trained network could have
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model


@pytest.mark.parametrize("name", names())
def test_a_network_of_torchvision_answers_as_in_a_loop(name: str) -> None:
    size = size_of(name)
    images = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    images[:, :, : size // 4] = 0
    model = make(name)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    expected = hand_loop(model, images.float() / 255, GRID)
    scale = expected.abs().max().item()
    for method in ("plain", "auto"):
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            answers = ShiftEvaluator(model, GRID, method=method, batch_size=3).answer(
                images, return_logits=True
            )
        assert answers.logits is not None
        # float32 sums of some thousand terms, in up to 200 layers.
        torch.testing.assert_close(answers.logits, expected, rtol=0, atol=1e-4 * scale)
        print(f"{name}: {answers.reason}")
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    torch.save(model.state_dict(), io.BytesIO())
