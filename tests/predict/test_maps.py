"""Maps with padding, written parts and resampled windows answer like a loop, whatever dtype they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import torch
import torch.nn.functional as F
from hand_loop import hand_loop
from random_networks import Ensemble
from torch import Tensor, nn

from lenetshift import ShiftGrid
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.predict.shared import NotShared, maps
from lenetshift.predict.shared.recorder import record

GRID = ShiftGrid(range(-2, 3), range(-1, 2))
pytestmark = pytest.mark.usefixtures("one_thread")

IMAGES = torch.rand(3, 2, 12, 12, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Two padded convolutions, what a given function makes of them, and a dense layer on that."""

    def __init__(self, behind: Callable[[Net, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.behind = behind
        self.head = nn.Linear(behind(self, self.second(self.first(IMAGES))).flatten(1).shape[1], 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.behind(self, self.second(self.first(x)))
        return self.head(x.flatten(1).to(self.head.weight.dtype))


def framed(net: Net, x: Tensor) -> Tensor:
    out = torch.zeros(len(x), 4, 14, 14, dtype=x.dtype)
    out[:, :, 1:-1, 1:-1] = x
    return net.second(out)


def striped(net: Net, x: Tensor) -> Tensor:
    out = x.new_full((len(x), 4, 14, 14), 0.3)
    out[:, :, 1:-1, ::2] = x[..., :7]
    out[:, 1] = 2
    return net.second(out)


def turned(net: Net, x: Tensor) -> Tensor:
    out = torch.empty_like(x)
    out[..., 1:], out[..., :1] = x[..., :-1], x[..., -1:]
    return net.second(out)


BEHIND: dict[str, Callable[[Net, Tensor], Tensor]] = {
    "circular": lambda n, x: n.second(F.pad(x, (1, 2, 0, 1), mode="circular")),
    "circular, cropped": lambda n, x: n.second(F.pad(x, (-1, 2, 3, -2), mode="circular")),
    "reflect, cropped": lambda n, x: n.second(F.pad(x, (-1, 2, 3, 1), mode="reflect")),
    "framed": framed,
    "striped": striped,
    "turned": turned,
    "uneven averages": lambda n, x: F.adaptive_avg_pool2d(x, (5, 7)),
    "uneven maxima": lambda n, x: n.second(F.adaptive_max_pool2d(x, (5, 7))),
    "more places than there are": lambda n, x: F.adaptive_avg_pool2d(x, (15, 1)),
    "enlarged": lambda n, x: n.second(F.interpolate(x, scale_factor=2)),
    "enlarged by a fraction": lambda n, x: n.second(F.interpolate(x, scale_factor=1.7)),
    "reduced": lambda n, x: F.interpolate(x, size=(5, 17), mode="nearest-exact"),
    "smallest": lambda n, x: x.amin((2, 3)),
    "mean": lambda n, x: x.mean((2, 3)),
    "number above 0": lambda n, x: (x > 0).sum((2, 3)),
    "any above 0": lambda n, x: (x > 0.3).amax((2, 3)),
    "all above 0": lambda n, x: (x > -0.6).amin((2, 3)),
    "bytes": lambda n, x: F.max_pool2d((x * 100).clamp(0, 255).byte(), 3, 2, 1),
    "negative numbers": lambda n, x: F.max_pool2d((x * 100).long() - 900, 3, 2, 1),
    "averages of whole numbers": lambda n, x: F.avg_pool2d((x * 100).long(), 3, 2, 1),
    "bools, padded": lambda n, x: F.pad(x > 0, (1, 1, 1, 1)),
    "without channels": lambda n, x: F.pad(x.argmax(1), (1, 1, 1, 2))[:, 1:],
    "without channels, joined": lambda n, x: x.mean(1) + F.pad(x, (1, 1, 1, 1))[:, 2, :-2, 2:],
    "two dimensions of features": lambda n, x: F.pad(x.unflatten(1, (2, 2)), (1, 0)).amax(2),
}


def check_shared(model: nn.Module, dtype: torch.dtype, tolerance: float) -> None:
    model, images = model.to(dtype).eval(), IMAGES.to(dtype)
    answers = ShiftEvaluator(model, GRID, method="shared").answer(images, return_logits=True)
    expected = hand_loop(model, images, GRID)
    atol = tolerance * expected.abs().max().item()
    torch.testing.assert_close(answers.logits, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("name", BEHIND)
def test_windows_are_those_of_a_loop_in_float64(name: str) -> None:
    check_shared(Net(BEHIND[name]), torch.float64, 1e-13)


@pytest.mark.parametrize("n_bytes", [1, 100_000])
def test_few_windows_are_copied_at_once(n_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = []

    def noting(
        tensor: Tensor, weight: Tensor, bias: Tensor, rows: Tensor, columns: Tensor, *args: Any
    ) -> Tensor:
        if args[0] > 1:
            copied.append((tensor[:, :, :1, :1].nbytes * rows.numel() * columns.numel(), len(rows)))
        return convolved(tensor, weight, bias, rows, columns, *args)

    convolved = maps._OPS.indirect_conv2d
    monkeypatch.setattr(maps, "COPIED_BYTES", n_bytes)
    monkeypatch.setattr(maps, "_OPS", Mock(wraps=maps._OPS, indirect_conv2d=noting))
    weight = torch.rand(6, 2, 3, 3, dtype=torch.float64)
    check_shared(Net(lambda _, x: F.conv2d(x, weight.to(x), groups=2)), torch.float64, 1e-13)
    assert len(copied) > 1
    assert all(size <= n_bytes or n_rows == 1 for size, n_rows in copied)
    assert n_bytes == 1 or max(n_rows for _, n_rows in copied) > 1


@pytest.mark.parametrize("name", [name for name in BEHIND if ">" not in name])
def test_windows_are_those_of_a_loop_in_float32(name: str) -> None:
    # Sums of at most 576 terms in four layers; a value that rounding moves over a threshold, or to another
    # whole number, changes one term of the last.
    steps = {"number above 0", "any above 0", "all above 0", "bools, padded", "bytes"}
    stepped = name in steps or "numbers" in name or "without channels" in name
    tolerance = 4 * 576**0.5 * torch.finfo(torch.float32).eps
    check_shared(Net(BEHIND[name]), torch.float32, 0.05 if stepped else tolerance)


ENSEMBLES: dict[str, Callable[[list[Tensor]], Tensor]] = {
    "softmax": lambda out: torch.stack([x.softmax(1) for x in out]).mean(0).log(),
    "softmax of all": lambda out: torch.stack(out).softmax(-1).mean(0),
    "weights": lambda out: (torch.stack(out) * torch.tensor([0.2, 0.3])[:, None, None]).sum(0),
    "cat": lambda out: torch.cat([x[None] for x in out]).amax(0),
    "largest": lambda out: torch.stack(out).max(0).values,
    "median": lambda out: torch.stack(out).median(dim=0, keepdim=True).values[0],
    "first": lambda out: torch.stack(out)[0],
    "separated": lambda out: torch.stack(out).exp().unbind()[1],
    "times ones": lambda out: (torch.stack(out) @ out[0].new_full((3, 3), 0.5)).mean(0),
    "stacked twice": lambda out: torch.stack([torch.stack(out).mean(0), out[0]]).sum(0),
}


class Combined(nn.Module):
    """Two networks, whose answers a given function combines."""

    def __init__(self, combine: Callable[[list[Tensor]], Tensor]) -> None:
        super().__init__()
        self.networks = nn.ModuleList([Net(lambda n, x: x), Net(lambda n, x: x.exp())])
        self.combine = combine

    def forward(self, x: Tensor) -> Tensor:
        return self.combine([network(x) for network in self.networks])


@pytest.mark.parametrize("name", ENSEMBLES)
def test_ensembles_share(name: str) -> None:
    check_shared(Combined(ENSEMBLES[name]), torch.float64, 1e-13)


MIXED: dict[str, Callable[[list[Tensor]], Tensor]] = {
    "centred over the images": lambda out: (
        torch.stack(out) - torch.stack(out).mean(1, keepdim=True)
    ).sum(0),
    "centred over everything": lambda out: (torch.stack(out) - torch.stack(out).mean()).sum(0),
    "centred over both": lambda out: torch.stack(out).sub(torch.stack(out).mean((0, 1))).sum(0),
    "softmax over the images": lambda out: torch.stack(out).softmax(1).mean(0),
    "sorted": lambda out: torch.stack(out).sort(1).values.mean(0),
    "cumulative": lambda out: torch.stack(out).cumsum(1).mean(0),
    "reshaped": lambda out: torch.stack(out).reshape(-1, 2, 3).mean(1),
    "images in the place of models": lambda out: out[0] + torch.stack(out).amax(1)[:1],
    "multiplied": lambda out: torch.stack(out) @ (out[0].t() @ out[1]),
    "one image": lambda out: torch.stack(out)[:, :1].mean(0) + out[0],
    "joined": lambda out: torch.cat([torch.stack(out), torch.stack(out)], 1).mean(0)[: len(out[0])],
}


@pytest.mark.parametrize("name", MIXED)
def test_ensembles_that_mix_images_do_not(name: str) -> None:
    def combined(out: list[Tensor]) -> Tensor:
        mixed: Any = MIXED[name](out)
        return mixed.mean(0) if mixed.dim() == 3 else mixed

    with pytest.raises(NotShared, match=r"^\w+ \(.*\) mixes the images of the batch$"):
        record(Combined(combined).eval(), IMAGES)


def test_an_output_with_a_column_for_each_image_is_refused() -> None:
    model = Combined(lambda out: torch.stack([x[:, 0] for x in out])).eval()
    with pytest.raises(NotShared, match="its output is not a tensor with a row for each image"):
        record(model, IMAGES)


def test_an_ensemble_shares_as_far_as_its_first_network() -> None:
    model = Ensemble(
        *(nn.Sequential(nn.Conv2d(2, 2, 3), nn.GroupNorm(1, 2), nn.Flatten()) for _ in "ab")
    )
    answers = ShiftEvaluator(model.eval(), GRID).answer(IMAGES)
    assert answers.method == "shared"
    assert answers.reason.endswith("as far as networks.0.1, which normalises over the whole window")
