"""``evaluate_shifts``: images or batches in, answers out; what it refuses; its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from cases import refused
from evaluations import DIGITS, GRID, evaluate, network
from random_networks import Lambda
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import lenetshift
from lenetshift import evaluate_shifts
from lenetshift.predict.progress import Progress


def test_holds_the_answers_and_the_method() -> None:
    evaluation = evaluate(DIGITS.images, DIGITS.labels, return_logits=True)
    predictions, logits = lenetshift.predict_shifts(
        network(), DIGITS.images, GRID, return_logits=True
    )
    assert torch.equal(evaluation.predictions, predictions)
    assert torch.equal(evaluation.logits, logits)
    assert torch.equal(evaluation.labels, DIGITS.labels)
    assert evaluation.grid == GRID
    assert evaluation.reason.startswith(f"{evaluation.method}: ")
    assert evaluate(DIGITS, method="plain").reason == "plain: as requested"
    assert 0 < evaluation.seconds < 60
    assert len(evaluation) == 50
    assert evaluate(DIGITS).logits is None
    fused = evaluate_shifts(lenetshift.MLP(), DIGITS, grid=GRID, method="fused")
    assert (fused.method, fused.reason[:6]) == ("fused", "fused:")


class Loader:
    """Batches of digits; ``length`` says how many, rightly or wrongly."""

    def __init__(self, length: Callable[[], int], n_batches: int) -> None:
        self.length, self.n_batches = length, n_batches

    def __len__(self) -> int:
        return self.length()

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from [(DIGITS.images, DIGITS.labels)] * self.n_batches


class TestBatches:
    @pytest.mark.parametrize("labels_dtype", [torch.int64, torch.uint8])
    def test_of_a_loader_give_what_the_whole_gives(self, labels_dtype: torch.dtype) -> None:
        whole = evaluate(DIGITS, return_logits=True)
        dataset = TensorDataset(DIGITS.images, DIGITS.labels.to(labels_dtype))
        batched = evaluate(DataLoader(dataset, batch_size=16), return_logits=True)
        assert torch.equal(batched.predictions, whole.predictions)
        torch.testing.assert_close(batched.logits, whole.logits)
        assert torch.equal(batched.labels, whole.labels)
        assert (batched.lost_ink == whole.lost_ink).all()
        assert batched.images is None
        assert batched.to_dict()["metrics"].keys() == whole.to_dict()["metrics"].keys()

    def test_of_a_generator_and_of_a_stream(self) -> None:
        class Stream(IterableDataset):
            def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
                return zip(DIGITS.images, DIGITS.labels, strict=True)

        parts = list(zip(DIGITS.images.split(20), DIGITS.labels.split(20), strict=True))
        nothing = (DIGITS.images[:0], DIGITS.labels[:0])
        whole = evaluate(DIGITS).predictions
        for batches in (
            (part for part in parts),
            [nothing, *parts],
            ((images.numpy(), labels.numpy()) for images, labels in parts),
            DataLoader(Stream(), batch_size=20),
        ):
            assert torch.equal(evaluate(batches).predictions, whole)

    @pytest.mark.parametrize(
        "error", [TypeError, RuntimeError, NotImplementedError, ValueError, OverflowError, KeyError]
    )
    def test_that_do_not_give_their_number(self, error: type[Exception]) -> None:
        batches = Loader(Mock(side_effect=error("no length")), n_batches=2)
        assert len(evaluate(batches)) == 100

    def test_that_end_early_are_refused(self) -> None:
        complaint = r"^images: got 3 batches, expected 4, the iterable's length$"
        with pytest.raises(ValueError, match=complaint):
            evaluate(Loader(lambda: 4, n_batches=3))

    def test_whose_classes_change_are_refused(self) -> None:
        fickle = Lambda(lambda x: x.flatten(1)[:, : 10 + int(x.sum() == 0)])
        batches = [(DIGITS.images, DIGITS.labels), (0 * DIGITS.images, DIGITS.labels)]
        with pytest.raises(ValueError, match=r"^model: got output float32 [^\n]*$"):
            evaluate_shifts(fickle, batches, grid=GRID, method="plain")


def images(*shape: int) -> Tensor:
    return torch.zeros(shape or (2, 28, 28))


def labels(n: int = 2) -> Tensor:
    return torch.zeros(n).long()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (([],), "images: got an iterable of 0 batches without images, expected some"),
        ((iter(()),), "images: got an iterable of 0 batches without images, expected some"),
        (
            ([(images(0, 28, 28), labels(0))],),
            "images: got an iterable of 1 batches without images, expected some",
        ),
        ((["abc"],), "batch 1: got a path, 'abc', expected pixels: "),
        (([images()],), "batch 1: got float32 [2, 28, 28], expected a pair (images, labels)"),
        (([(images(),)],), "batch 1: got 1 items, expected a pair"),
        (
            ([(images(), labels(3))],),
            "batch 1: labels: got int64 [3], expected integers [2], one per image",
        ),
        (
            ([(images(28), 3)],),
            "batch 1: images: got float32 [28], expected uint8 or floating [N, H, W] or",
        ),
        (
            ([(images(), labels()), (images(2, 28, 27), labels())],),
            "batch 2: images: got float32 [2, 28, 27], expected float32 [N, 28, 28] as in the",
        ),
        (
            ([(images(), labels()), (images().byte(), labels())],),
            "batch 2: images: got uint8 [2, 28, 28], expected float32 [N, 28, 28] as in the first",
        ),
        ((3,), "images: got int, expected images or an iterable of (images, labels)"),
        ((images(), labels(3)), "labels: got int64 [3], expected integers [2], one per image"),
        ((images(), GRID), "labels: got a ShiftGrid, expected integers [2], one per"),
        ((images(),), "labels: got None, expected integers [2]"),
        (
            (images(0, 28, 28), labels(0)),
            "images: got float32 [0, 28, 28], expected at least one image",
        ),
        (
            (images() * torch.nan, labels()),
            "images: got values from nan to nan, expected finite ones",
        ),
        (
            ([(images(), labels())], labels()),
            "labels: got int64 [2], expected none with list, whose batches must be (images, ",
        ),
    ],
)
def test_bad_images_and_labels(arguments: tuple[Any, ...], complaint: str) -> None:
    with refused(complaint):
        evaluate(*arguments)


def test_many_classes_and_any_labels() -> None:
    images = torch.rand(6, 3, 9, 9)
    labels = np.array([-1, 299, 300, 2**40, 0, 0])
    with pytest.warns(
        UserWarning, match=r"^labels: got the values -1, 300, 1099511627776, expected 0\.\.299: "
    ):
        evaluation = evaluate_shifts(network(300, 3, 9), images, labels, GRID, return_logits=True)
    assert evaluation.predictions.dtype == torch.int32
    assert evaluation.labels.tolist() == labels.tolist()
    assert list(evaluation.class_maps()) == [-1, 0, 299, 300, 2**40]
    assert evaluation.to_dict()["metrics"]["score_change"] is None  # -1 has no score
    with pytest.raises(ValueError, match=r"^labels: got values in -1\.\.1099511627776, expected 0"):
        evaluation.metric("score_change")


class TestProgress:
    @pytest.fixture
    def bars(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        made: list[Any] = []

        class Recorder(Progress):
            def __init__(self, total: float | None, *, shown: bool) -> None:
                super().__init__(total, shown=False)
                self.total, self.shown, self.units = total, shown, 0.0
                made.append(self)

            def advance(self, units: float) -> None:
                self.units += units

        monkeypatch.setattr("lenetshift.metrics.evaluate_shifts.Progress", Recorder)
        return made

    @pytest.mark.parametrize("method", ["plain", "auto"])
    def test_comes_to_the_end(self, bars: list[Any], method: str) -> None:
        parts = list(zip(DIGITS.images.split(20), DIGITS.labels.split(20), strict=True))
        for model in (network(), lenetshift.MLP()):
            for images in (DIGITS, parts, iter(parts)):
                evaluate_shifts(model, images, grid=GRID, method=method)
        assert [bar.total for bar in bars] == [1, 3, None] * 2
        assert [bar.units for bar in bars] == pytest.approx([1, 3, 3] * 2)

    def test_can_be_hidden(self, bars: list[Any]) -> None:
        evaluate(DIGITS)
        evaluate(DIGITS, progress=False)
        assert [bar.shown for bar in bars] == [True, False]
