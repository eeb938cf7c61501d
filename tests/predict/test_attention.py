"""Networks with attention, and with layers that draw random numbers only in training, answer as in a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hand_loop import hand_loop, logits_by
from torch import Tensor, nn

from lenetshift import ShiftGrid
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.predict.shared import NotShared
from lenetshift.predict.shared.recorder import record

pytestmark = pytest.mark.usefixtures("one_thread")

GRID = ShiftGrid(range(-1, 2), range(-1, 2))
IMAGES = torch.rand(3, 2, 8, 8, generator=torch.Generator().manual_seed(0))


class Patches(nn.Module):
    """Patches of 4 x 4 as tokens, what a given function makes of them, and a dense layer on their mean."""

    def __init__(self, of_tokens: Callable[[Patches, Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.embed, self.head = nn.Conv2d(2, 8, 4, 4), nn.Linear(8, 3)
        self.place = nn.Parameter(torch.randn(4, 8))
        self.layers, self.of_tokens = nn.ModuleDict(layers), of_tokens

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).transpose(1, 2) + self.place  # [B, 4, 8]
        return self.head(self.of_tokens(self, tokens).mean(1))


def encoder(**settings: Any) -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, **settings)


def attended(x: Tensor, **settings: Any) -> Tensor:
    heads = x.unflatten(2, (2, 4)).transpose(1, 2)
    return (
        F.scaled_dot_product_attention(heads, heads, heads, **settings).transpose(1, 2).flatten(2)
    )


MASK = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))


def mask_like(x: Tensor) -> Tensor:
    """A mask ``[4, 4]`` that is written in place, in the dtype of ``x``."""
    mask = x.new_zeros((4, 4))
    for k in range(3):
        mask[k, k + 1 :] = -1 - k
    return mask.masked_fill(mask == -2, -9.0)


def constant_like(x: Tensor) -> Tensor:
    """Rows ``[4, 8]`` from constants in the dtype of ``x``; the first size is no batch size."""
    filled = x.new_empty((4, 8))
    filled[:2] = x.new_full((8,), 0.25)
    filled[2:].fill_(0.5)
    return filled.mul_(x.new_ones(4, 1))


NETWORKS: dict[str, tuple[Callable[[Any, Tensor], Tensor], Callable[[], dict[str, nn.Module]]]] = {
    "encoder": (lambda n, x: n.layers["e"](x), lambda: {"e": encoder(batch_first=True)}),
    "norm first": (
        lambda n, x: n.layers["e"](x),
        lambda: {"e": encoder(batch_first=True, norm_first=True, activation="gelu")},
    ),
    "tokens first": (
        lambda n, x: n.layers["e"](x.transpose(0, 1)).transpose(0, 1),
        lambda: {"e": encoder()},
    ),
    "with weights": (
        lambda n, x: n.layers["a"](x, x, x)[0],
        lambda: {"a": nn.MultiheadAttention(8, 2, batch_first=True)},
    ),
    "attention": (lambda n, x: attended(x), dict),
    "masked": (lambda n, x: attended(x, attn_mask=MASK), dict),
    "causal, scaled": (lambda n, x: attended(x, is_causal=True, scale=0.7), dict),
    "a mask like x": (lambda n, x: attended(x, attn_mask=mask_like(x)), dict),
    "constants like x": (lambda n, x: constant_like(x) * 2 + x + x.new_ones(8), dict),
    "dropout of nothing": (lambda n, x: torch.native_dropout(x, 0.0, True)[0], dict),
    "dropout in eval mode": (lambda n, x: torch.native_dropout(x, 0.4, False)[0], dict),
    "RReLU": (lambda n, x: n.layers["r"](x), lambda: {"r": nn.RReLU(0.1, 0.5)}),
}


def network(name: str) -> Patches:
    torch.manual_seed(0)
    of_tokens, layers = NETWORKS[name]
    return Patches(of_tokens, **layers()).eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_draw_nothing_are_rewritten_and_shared(name: str) -> None:
    model = network(name)
    answers = ShiftEvaluator(model, GRID).answer(IMAGES)
    assert (answers.method, "random" in answers.reason) == ("rewritten", False), answers.reason
    exact = hand_loop(network(name).double(), IMAGES.double(), GRID)
    for method in ("shared", "rewritten", "plain"):
        logits = logits_by(method, model.double(), IMAGES.double(), GRID)
        torch.testing.assert_close(logits, exact, rtol=0, atol=1e-12)
        model.float()
        got = logits_by(method, model, IMAGES, GRID)
        torch.testing.assert_close(got.double(), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "draws",
    [
        lambda n, x: attended(x, dropout_p=0.2),
        lambda n, x: F.dropout(x, 0.3, True),
        lambda n, x: torch.native_dropout(x, 0.3, True)[0],
        lambda n, x: F.rrelu(x, training=True),
        lambda n, x: x + torch.randn(4, 8),
        lambda n, x: x * torch.bernoulli(x, p=0.0),  # not a dropout
    ],
)
def test_networks_that_draw_are_not(draws: Any) -> None:
    answers = ShiftEvaluator(Patches(draws).eval(), GRID).answer(IMAGES)
    assert answers.method == "plain"
    assert "draws random numbers" in answers.reason


def heads_of_all_images(n: Any, x: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(*[x.transpose(0, 1)] * 3).transpose(0, 1)


MIXING: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "attention over the images": heads_of_all_images,
    "softmax over the images": lambda n, x: x.transpose(0, 1).softmax(1).transpose(0, 1),
    "mean of the images": lambda n, x: x - x.permute(1, 0, 2).mean(1),
    "rows times rows": lambda n, x: x + (x[:, 0] @ x[:, 0].t() @ x[:, 0]).unsqueeze(1),
    "some of the images": lambda n, x: torch.ops.aten.slice(x.transpose(0, 1), 1, 0, 200).transpose(
        0, 1
    ),
    "pieces of the images": lambda n, x: x.transpose(0, 1).split(200, 1)[0].transpose(0, 1),
    "another order": lambda n, x: x.transpose(0, 1).reshape(-1, 4, 8),
    "sums along the images": lambda n, x: x.transpose(0, 1).cumsum(1).transpose(0, 1),
    "rows of two orders": lambda n, x: (
        x.flatten(0, 1) + x.transpose(0, 1).flatten(0, 1)
    ).unflatten(0, (-1, 4)),
    "normalised over the images": lambda n, x: F.layer_norm(
        x.permute(1, 2, 0), x.shape[:1]
    ).permute(2, 0, 1),
}


@pytest.mark.parametrize("name", MIXING)
def test_networks_that_mix_images_after_transposing_are_refused(name: str) -> None:
    with pytest.raises(NotShared, match=r"the images of the batch|the batch size|merge"):
        record(Patches(MIXING[name]).eval(), IMAGES)


MOVED: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "heads behind tokens": lambda n, x: (
        x.transpose(0, 1).reshape(4, -1, 4).tanh().reshape(4, -1, 8).transpose(0, 1)
    ),
    "one token": lambda n, x: x + x.transpose(0, 1)[2].unsqueeze(1),
    "a sum over tokens": lambda n, x: x + x.transpose(0, 1).sum(0).unsqueeze(1),
    "pieces of features": lambda n, x: torch.cat(x.transpose(0, 1).split(3, 2), 2).transpose(0, 1),
    "a row for each token": lambda n, x: (
        n.head.weight.new_zeros(1)
        + (
            (x.transpose(0, 1).reshape(-1, 8) @ n.place.t())
            .view(4, -1, 4)
            .transpose(0, 1)
            .repeat(1, 1, 2)
        )
    ),
    "features first": lambda n, x: x.permute(2, 0, 1).exp().unbind(0)[3].unsqueeze(2) + x,
}


@pytest.mark.parametrize("name", MOVED)
def test_networks_that_move_the_dimension_of_images_answer_as_in_a_loop(name: str) -> None:
    torch.manual_seed(0)
    model = Patches(MOVED[name]).double().eval()
    exact = hand_loop(model, IMAGES.double(), GRID)
    for method in ("shared", "rewritten"):
        logits = logits_by(method, model, IMAGES.double(), GRID)
        torch.testing.assert_close(logits, exact, rtol=0, atol=1e-12)
