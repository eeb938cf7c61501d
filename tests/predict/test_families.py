"""Small networks of the families that libraries have, by every method, against a loop.

docs/networks.md has the libraries' own, which ``tools/generate/networks.py`` runs.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hand_loop import hand_loop, logits_by
from torch import Tensor, nn

from lenetshift import ShiftGrid
from lenetshift.checks.errors import MethodError
from lenetshift.predict.evaluator import ShiftEvaluator

GRID = ShiftGrid(range(-2, 3), range(-1, 2))
IMAGES = torch.randint(0, 256, (3, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()


def normalized(n_inputs: int, n_outputs: int, size: int = 3, stride: int = 1, groups: int = 1):
    padding = size // 2
    layer = nn.Conv2d(n_inputs, n_outputs, size, stride, padding, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(n_outputs))


def head(n_inputs: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_inputs, 10))


class Residual(nn.Module):
    """A function next to the identity."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class SqueezeExcite(nn.Module):
    """Scales channels by what the whole map contains (Hu et al. 2018)."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.AdaptiveAvgPool2d(1), nn.Conv2d(n, n // 4, 1), nn.ReLU()),
            *(nn.Conv2d(n // 4, n, 1), nn.Sigmoid()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.layers(x)


class ChannelsLast(nn.Module):
    """Layers over ``[B, h, w, C]``, as in ConvNeXt (Liu et al. 2022)."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Patches(nn.Module):
    """Patches of 4 x 4 as tokens ``[B, 16, n]``, with a position each."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, n, 4, 4)
        self.position = nn.Parameter(torch.randn(1, 16, n) / 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.embed(x).flatten(2).transpose(1, 2) + self.position


class Attention(nn.Module):
    """Self-attention written out (Vaswani et al. 2017), with a dropout that does nothing."""

    def __init__(self, n: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(n, 3 * n), nn.Linear(n, n)
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        b, t, n = x.shape
        qkv = self.qkv(x).reshape(b, t, 3, self.heads, n // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        weights = (q @ k.transpose(-2, -1) * (n // self.heads) ** -0.5).softmax(-1)
        mixed = self.dropout(weights) @ v
        return self.out(mixed.transpose(1, 2).reshape(b, t, n))


class OverTokens(nn.Module):
    """A perceptron over the tokens of each channel, as in the MLP-Mixer (Tolstikhin et al. 2021)."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(tokens, 8), nn.GELU(), nn.Linear(8, tokens))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.transpose(1, 2)).transpose(1, 2)


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def perceptron(n: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(n), nn.Linear(n, 2 * n), nn.GELU(), nn.Linear(2 * n, n))


def squeeze_excite() -> nn.Module:
    return nn.Sequential(
        *(normalized(3, 16), nn.ReLU(), normalized(16, 16), nn.ReLU()),
        *(SqueezeExcite(16), normalized(16, 16, stride=2), nn.ReLU(), head(16)),
    )


def group_norm() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU()),
        *(Residual(nn.Conv2d(16, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU()), head(16)),
    )


def inverted_residual() -> nn.Module:
    block = Residual(
        *(normalized(8, 32, 1), nn.ReLU6(), normalized(32, 32, groups=32), nn.ReLU6()),
        normalized(32, 8, 1),
    )
    down = [
        normalized(8, 32, 1),
        nn.Hardswish(),
        normalized(32, 32, 5, 2, 32),
        normalized(32, 16, 1),
    ]
    return nn.Sequential(normalized(3, 8, stride=2), nn.ReLU6(), block, *down, head(16))


def aggregated() -> nn.Module:
    """Groups of several channels, as in ResNeXt (Xie et al. 2017)."""
    block = Residual(
        *(normalized(16, 32, 1), nn.ReLU(), normalized(32, 32, groups=8), nn.ReLU()),
        normalized(32, 16, 1),
    )
    return nn.Sequential(normalized(3, 16), nn.ReLU(), block, nn.ReLU(), head(16))


def vision_transformer() -> nn.Module:
    blocks = [
        Residual(nn.LayerNorm(16), Attention(16, 4)),
        Residual(perceptron(16)),
    ]
    return nn.Sequential(Patches(16), *blocks, nn.LayerNorm(16), Mean(), nn.Linear(16, 10))


def convnext() -> nn.Module:
    block = Residual(
        nn.Conv2d(12, 12, 7, padding=3, groups=12),
        ChannelsLast(nn.LayerNorm(12), nn.Linear(12, 48), nn.GELU(), nn.Linear(48, 12)),
    )
    stem = [nn.Conv2d(3, 12, 2, 2), ChannelsLast(nn.LayerNorm(12))]
    return nn.Sequential(*stem, block, head(12))


def mixer() -> nn.Module:
    blocks = [Residual(nn.LayerNorm(16), OverTokens(16)), Residual(perceptron(16))]
    return nn.Sequential(Patches(16), *blocks, nn.LayerNorm(16), Mean(), nn.Linear(16, 10))


def many_weights() -> nn.Module:
    """A dense layer that is not worth laying out as a convolution."""
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(8192, 260), nn.ReLU(), nn.Linear(260, 10)),
    )


FAMILIES: tuple[Callable[[], nn.Module], ...] = (
    *(squeeze_excite, group_norm, inverted_residual, aggregated, vision_transformer, convnext),
    *(mixer, many_weights),
)


def made(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    model = make().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
    return model


@pytest.mark.filterwarnings("error::RuntimeWarning")  # of logits that differ
@pytest.mark.parametrize("make", FAMILIES, ids=lambda make: make.__name__)
def test_a_family_answers_as_in_a_loop(make: Callable[[], nn.Module]) -> None:
    model = made(make)
    expected = hand_loop(model, IMAGES.float() / 255, GRID)
    # float32 sums of up to 8192 terms, in up to ten layers: far below 1e-4 of the largest logit.
    bound = 1e-4 * expected.abs().max().item()
    for method in ("auto", "plain", "shared", "rewritten"):
        try:
            ours = logits_by(method, model, IMAGES, GRID)
        except MethodError:
            assert make is vision_transformer  # may be beyond recording
            assert method not in ("auto", "plain")
        else:
            torch.testing.assert_close(ours, expected, rtol=0, atol=bound)


@pytest.mark.parametrize(
    ("make", "method"),
    [
        (squeeze_excite, "shared"),  # two layers come before the first that looks at the whole map
        (inverted_residual, "shared"),
        (convnext, "rewritten"),  # most of its products are those of dense layers
        (many_weights, "shared"),
    ],
)
def test_the_method_that_auto_takes(make: Callable[[], nn.Module], method: str) -> None:
    assert ShiftEvaluator(made(make), GRID).answer(IMAGES).method == method


def test_groups_without_a_kernel_are_shared_only_if_that_saves_much() -> None:
    model, few = made(aggregated), ShiftGrid(range(2), range(1))
    assert ShiftEvaluator(model, ShiftGrid()).answer(IMAGES).method == "shared"
    answers = ShiftEvaluator(model, few).answer(IMAGES)
    slower = "its convolutions would be slower if the shifts shared them"
    assert answers.reason == f"rewritten: {slower}; 4 BatchNorms folded, channels last"


def test_what_little_sharing_saves_is_said() -> None:
    """Only the first, small layer comes before a layer that looks at the whole map."""
    model = made(
        lambda: nn.Sequential(
            *(nn.Conv2d(3, 4, 3), SqueezeExcite(4), nn.Conv2d(4, 32, 3), nn.ReLU()),
            *(nn.Conv2d(32, 32, 3), nn.ReLU(), head(32)),
        )
    )
    answers = ShiftEvaluator(model, GRID).answer(IMAGES)
    assert answers.method == "rewritten"
    assert answers.reason.startswith("rewritten: sharing saves ")
    assert " % of its multiplications, as far as " in answers.reason.replace("%", " %")
    assert ShiftEvaluator(model, GRID, method="shared").answer(IMAGES).method == "shared"
