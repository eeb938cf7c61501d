"""A recording must see everything that could change the network's answers for other images."""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hand_loop import logits_by
from torch import Tensor, nn

from lenetshift import ShiftGrid
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.predict.shared import attempt
from lenetshift.predict.shared.private import private_copy

GRID = ShiftGrid(range(-1, 2), range(-1, 2))


def images(n: int = 40) -> Tensor:
    """Ordinary images where a sample is taken; the others have values above 1."""
    generator = torch.Generator().manual_seed(0)
    some = torch.rand(n, 1, 12, 12, generator=generator)
    sampled = torch.arange(12) * n // 12
    rare = torch.ones(n, dtype=torch.bool)
    rare[sampled] = False
    some[rare] *= 3
    return some


class Net(nn.Module):
    """A convolution and a dense layer; functions change the images, the features and the logits."""

    def __init__(
        self,
        after: Callable[[Any, Tensor, Tensor], Tensor] = lambda net, x, y: y,
        before: Callable[[Any, Tensor], Tensor] = lambda net, x: x,
        between: Callable[[Any, Tensor], Tensor] = lambda net, x: x,
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.out = nn.Conv2d(1, 4, 3), nn.Linear(400, 5)
        self.after, self.before, self.between = after, before, between
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(self, x)
        f = self.between(self, self.conv(x))
        return self.after(self, f, self.out(f.flatten(1)))


def masked(y: Tensor) -> Tensor:
    """One class is masked, as by a very negative number."""
    y = y.clone()
    y[:, 4] = -1e9
    return y


def bright(x: Tensor) -> Tensor:
    return (x > 1).any().float()


def in_a_thread(net: Any, x: Tensor) -> Tensor:
    seen: list[float] = []
    thread = threading.Thread(target=lambda: seen.append(float(x.max())))
    thread.start()
    thread.join()
    return x * (1 if seen[0] < 1 else 0.5)


def twice_from_the_second_call_on(net: Any, f: Tensor, y: Tensor) -> Tensor:
    net.calls += 1
    return y * (1 if net.calls <= 1 else 2)


def last_rows(net: Any, f: Tensor, y: Tensor) -> Tensor:
    z = y.clone()
    z[200:] = 0
    return z


BITS_OF_1 = 4607182418800017408  # of 1.0 in float64

NETWORKS: dict[str, Net] = {
    "masked, centred": Net(lambda n, f, y: masked(y - y.mean(0))),
    "masked, counted": Net(lambda n, f, y: masked(y + len(y))),
    "masked, by size": Net(lambda n, f, y: masked(y * (1 if len(y) < 10 else 2))),
    "sum of bools": Net(lambda n, f, y: y + (f > 1).sum((2, 3), keepdim=True).flatten(1)[:, :1]),
    "sum of bytes": Net(lambda n, f, y: y + f.clamp(0, 9).to(torch.uint8).sum((2, 3))[:, :1]),
    "rows": Net(last_rows),
    "rows by number": Net(lambda n, f, y: y + (torch.arange(len(y)) // 200)[:, None]),
    "largest of the batch": Net(lambda n, f, y: y / y.abs().max().clamp(min=1.2)),
    "sorted batch": Net(lambda n, f, y: y + 0 * y.sort(0).values + y.cumsum(0).clamp(min=50) - 50),
    "rolled batch": Net(lambda n, f, y: y + y.roll(1, 0).clamp(min=2) - 2),
    "first rows": Net(lambda n, f, y: torch.where(y > 0.4, y, y[:200].amax(0) * 0 + y)),
    "first 200": Net(lambda n, f, y: y[:200] if len(y) > 1e9 else y[:10_000] * 1),
    "triangle": Net(lambda n, f, y: y.triu(-200)),
    "second call": Net(twice_from_the_second_call_on),
    "apply_": Net(before=lambda n, x: x.clone().apply_(lambda v: min(v, 1.0))),
    "transpose_": Net(before=lambda n, x: x.clone().transpose_(2, 3)),
    "bits": Net(before=lambda n, x: x + (x.double().view(torch.int64) > BITS_OF_1).float()),
    "new_tensor": Net(before=lambda n, x: x * x.new_tensor([1 - bright(x) / 2])),
    "Tensor": Net(before=lambda n, x: x * torch.Tensor([1 - bright(x) / 2])),
    "dlpack": Net(before=lambda n, x: x * (1 - torch.from_dlpack(bright(x)) / 2)),
    "str": Net(before=lambda n, x: x if "1." in str(bright(x)) else x * 0.5),
    "thread": Net(before=in_a_thread),
    "deepcopy": Net(before=lambda n, x: x * (1 - copy.deepcopy(bright(x)) / 2)),
    "minus zero": Net(
        between=lambda n, f: torch.copysign(
            f.clamp(min=0.4) - 0.4, torch.tensor([0.0, -0.0]).repeat(5).expand(1, 1, 10, 10)
        )
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("blank", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_rare_or_needs_a_large_batch_is_not_overlooked(name: str, blank: bool) -> None:
    given = images()
    if blank:
        given[torch.arange(12) * 40 // 12] = 0
    for batch_size in (1, 64):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            auto, plain = (
                logits_by(method, copy.deepcopy(NETWORKS[name]), given, GRID, batch_size=batch_size)
                for method in ("auto", "plain")
            )
        torch.testing.assert_close(auto, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool2d(1), nn.AvgPool2d(10)])
def test_averages_of_half_precision_do_not_overflow(pool: nn.Module) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 4, 3)
    nn.init.constant_(conv.weight, 200.0)
    model = nn.Sequential(conv, nn.ReLU(), pool, nn.Flatten(), nn.Linear(4, 3)).half()
    auto, plain = (logits_by(method, model, images(), GRID) for method in ("auto", "plain"))
    assert plain.isfinite().all()
    torch.testing.assert_close(auto, plain, rtol=0.01, atol=1)


@pytest.mark.parametrize("fill", [0.1, 0.3, [0.7]])
def test_a_fill_that_float32_rounds_is_shared(fill: Any) -> None:
    answers = ShiftEvaluator(Net(), GRID, fill=fill).answer(images())
    assert answers.method == "shared", answers.reason


class Stop(BaseException):
    pass


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("error", [Stop(), Wordless()])
def test_odd_exceptions_in_small_batches_only_cost_the_sharing(error: BaseException) -> None:
    def stop(net: Any, x: Tensor) -> Tensor:
        if len(x) < 8:
            raise error
        return x

    answers = ShiftEvaluator(Net(before=stop), GRID).answer(images())
    assert answers.method == "plain"
    assert "\n" not in answers.reason


def test_a_loop_over_channels_or_pixels_is_no_slower_than_its_size() -> None:
    def pixels(net: Any, f: Tensor) -> Tensor:
        seen = [f[:, k, i, j] for k in range(4) for i in range(10) for j in range(10)]
        return torch.stack([a * 2 for a in seen for _ in range(12)], 1)[:, ::12].view(f.shape)

    answers = ShiftEvaluator(Net(between=pixels), GRID).answer(images())
    assert answers.reason == "plain: it runs more than 4000 operations"
    answers = ShiftEvaluator(
        Net(between=lambda n, f: torch.stack([f[:, k] * 1 for k in range(4)], 1)), GRID
    ).answer(images())
    assert answers.method == "shared"


def test_within_inference_mode_features_are_shared_too() -> None:
    evaluator = ShiftEvaluator(Net(), GRID)
    with torch.inference_mode():
        answers = evaluator.answer(images() * 1)
    assert answers.method == "shared", answers.reason
    assert not answers.predictions.is_inference()


def test_the_random_numbers_of_others_are_not_drawn_twice() -> None:
    """If a recording reset the generator afterwards, numbers drawn by another thread would repeat."""
    drawn: list[float] = []

    def draws(net: Any, x: Tensor) -> Tensor:
        thread = threading.Thread(target=lambda: drawn.append(float(torch.rand(()))))
        thread.start()
        thread.join()
        return x

    ShiftEvaluator(Net(before=draws), GRID).answer(images())
    drawn.append(float(torch.rand(())))
    assert len(drawn) > 3
    assert len(set(drawn)) == len(drawn)


def test_a_mode_that_cannot_be_changed_leaves_the_others_as_they_were() -> None:
    class Stubborn(nn.Module):
        def train(self, mode: bool = True) -> Stubborn:
            raise RuntimeError("by design")

    model = nn.Sequential(nn.Dropout(), Stubborn(), Net())
    modes = [m.training for m in model.modules()]
    with pytest.raises(RuntimeError, match="by design"):
        ShiftEvaluator(model, GRID).answer(images())
    assert [m.training for m in model.modules()] == modes


def test_large_attributes_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Net()
    model.table = [torch.zeros(1 << 20)]  # type: ignore[assignment]
    shared = []
    record = attempt.record

    def noting(network: nn.Module, *args: Any, **kwargs: Any) -> Any:
        shared.append(private_copy(network).table[0] is network.table[0])
        return record(network, *args, **kwargs)

    monkeypatch.setattr(attempt, "record", noting)
    ShiftEvaluator(model, GRID).answer(images())
    assert shared == [True]


@pytest.mark.parametrize(
    "after",
    [
        lambda n, f, y: y[:200],
        lambda n, f, y: y[-200:],
        lambda n, f, y: y.triu(-200),
        lambda n, f, y: y.tril(200),
    ],
)
def test_what_stops_at_some_image_is_refused_before_it_meets_it(after: Any) -> None:
    answers = ShiftEvaluator(Net(after), GRID, batch_size=16).answer(images(12))
    assert "works across the images of the batch" in answers.reason
