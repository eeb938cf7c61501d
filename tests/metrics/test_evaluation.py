"""``evaluate_shifts``: answers, from images or batches, and what the evaluation makes of them."""

from __future__ import annotations

import dataclasses
import json
import pickle
import warnings
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import lenetshift
from lenetshift import Evaluation, ShiftGrid, evaluate_shifts, metrics
from lenetshift.figures.moved_image import plot_answers
from lenetshift.metrics.registry import METRICS
from lenetshift.predict.progress import Progress

GRID = ShiftGrid(range(-2, 3), range(-1, 2))


def network(n_classes: int = 10, n_channels: int = 1, size: int = 28) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(n_channels, 3, 5, padding=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(3 * size**2, n_classes),
        )


@pytest.fixture(scope="module")
def digits() -> lenetshift.Dataset:
    return lenetshift.load_mnist()[1].subset(50)


def evaluate(*arguments: Any, **settings: Any) -> Evaluation:
    return evaluate_shifts(network(), *arguments, grid=GRID, **settings)


def test_holds_the_answers_and_how_they_came_about(digits: lenetshift.Dataset) -> None:
    evaluation = evaluate(digits.images, digits.labels, return_logits=True)
    predictions, logits = lenetshift.predict_shifts(
        network(), digits.images, GRID, return_logits=True
    )
    assert torch.equal(evaluation.predictions, predictions)
    assert torch.equal(evaluation.logits, logits)
    assert torch.equal(evaluation.labels, digits.labels)
    assert evaluation.grid == GRID
    assert evaluation.reason.startswith(f"{evaluation.method}: ")
    assert evaluate(digits, method="plain").reason == "plain: as requested"
    assert 0 < evaluation.seconds < 60
    assert len(evaluation) == 50
    assert evaluate(digits).logits is None
    fused = evaluate_shifts(lenetshift.MLP(), digits, grid=GRID, method="fused")
    assert (fused.method, fused.reason[:6]) == ("fused", "fused:")


def test_every_metric_is_the_functions_own(digits: lenetshift.Dataset) -> None:
    evaluation = evaluate(digits, return_logits=True)
    p, labels = evaluation.predictions, digits.labels
    lost = metrics.lost_ink(digits.images, GRID)
    consistency = metrics.consistency(p, labels, GRID)
    expected = {
        "unmoved_accuracy": metrics.unmoved_accuracy(p, labels, GRID),
        "moved_accuracy": metrics.moved_accuracy(p, labels),
        "worst_case_accuracy": metrics.worst_case_accuracy(p, labels),
        "accuracy_without_loss": metrics.accuracy_without_loss(p, labels, lost),
        "flip_rate": metrics.flip_rate(p),
        "consistency": consistency.overall,
        "consistency_when_right": consistency.right_when_unmoved,
        "agreement": metrics.agreement(p, GRID),
        "score_change": metrics.score_change(evaluation.logits, labels, GRID),
    }
    assert [name for name in METRICS if name in expected] == list(expected)
    for name, metric in expected.items():
        assert evaluation.metric(name).value == metric.value, name
        settings = {"level": 0.8, "n_resamples": 99, "seed": 5}
        low, high = evaluation.interval(name, **settings)
        assert low <= high
        assert (low, high) == metric.interval(**settings)
    summary = metrics.summarize(p, labels, GRID)
    assert evaluation.unmoved == summary["unmoved"]
    assert evaluation.moved == summary["moved"]
    assert evaluation.accuracy_map().tolist() == summary["accuracy_map"]
    assert (evaluation.class_maps()[7] == metrics.class_maps(p, labels)[7]).all()
    assert (evaluation.confusion().counts == metrics.confusion(p, labels).counts).all()
    assert evaluation.consistency().overall.value == consistency.overall.value


class TestBatches:
    @pytest.mark.parametrize("labels_dtype", [torch.int64, torch.uint8])
    def test_of_a_loader_give_what_the_whole_gives(
        self, digits: lenetshift.Dataset, labels_dtype: torch.dtype
    ) -> None:
        whole = evaluate(digits, return_logits=True)
        dataset = TensorDataset(digits.images, digits.labels.to(labels_dtype))
        batched = evaluate(DataLoader(dataset, batch_size=16), return_logits=True)
        assert torch.equal(batched.predictions, whole.predictions)
        torch.testing.assert_close(batched.logits, whole.logits)
        assert torch.equal(batched.labels, whole.labels)
        assert (batched.lost_ink == whole.lost_ink).all()
        assert batched.images is None
        assert batched.to_dict()["metrics"].keys() == whole.to_dict()["metrics"].keys()

    def test_of_a_generator_and_of_a_stream(self, digits: lenetshift.Dataset) -> None:
        class Stream(IterableDataset):
            def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
                return zip(digits.images, digits.labels, strict=True)

        parts = list(zip(digits.images.split(20), digits.labels.split(20), strict=True))
        nothing = (digits.images[:0], digits.labels[:0])
        whole = evaluate(digits).predictions
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
    def test_that_do_not_tell_their_number(
        self, digits: lenetshift.Dataset, error: type[Exception]
    ) -> None:
        class Loader:
            def __len__(self) -> int:
                raise error("no length")

            def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
                yield from [(digits.images[:3], digits.labels[:3])] * 2

        assert len(evaluate(Loader())) == 6

    def test_that_end_early_are_refused(self, digits: lenetshift.Dataset) -> None:
        class Loader:
            def __len__(self) -> int:
                return 4

            def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
                yield from [(digits.images, digits.labels)] * 3

        complaint = r"^images: got 3 batches, expected 4, the iterable's length$"
        with pytest.raises(ValueError, match=complaint):
            evaluate(Loader())

    def test_whose_classes_change_are_refused(self, digits: lenetshift.Dataset) -> None:
        class Fickle(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x.flatten(1)[:, : 10 + int(x.sum() == 0)]

        batches = [(digits.images, digits.labels), (0 * digits.images, digits.labels)]
        with pytest.raises(ValueError, match=r"^model: got output float32 [^\n]*$"):
            evaluate_shifts(Fickle(), batches, grid=GRID, method="plain")


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
        ((["abc"],), "batch 1: got str, expected a pair (images, labels)"),
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
        ((images(), GRID), "labels: got ShiftGrid, expected integers [2], one per"),
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
    with pytest.raises(ValueError) as error:  # noqa: PT011  the message is compared below
        evaluate(*arguments)
    assert str(error.value).startswith(complaint)
    assert "\n" not in str(error.value)


def test_many_classes_and_any_labels() -> None:
    images = torch.rand(6, 3, 9, 9)
    labels = np.array([-1, 299, 300, 2**40, 0, 0])
    with pytest.warns(
        UserWarning, match=r"^labels: got -1, 300, 1099511627776, expected 0\.\.299: "
    ):
        evaluation = evaluate_shifts(network(300, 3, 9), images, labels, GRID, return_logits=True)
    assert evaluation.predictions.dtype == torch.int32
    assert evaluation.labels.tolist() == labels.tolist()
    assert list(evaluation.class_maps()) == [-1, 0, 299, 300, 2**40]
    assert evaluation.to_dict()["metrics"]["score_change"] is None  # -1 has no score
    with pytest.raises(ValueError, match=r"^labels: got values in -1\.\.1099511627776, expected 0"):
        evaluation.metric("score_change")


class TestWarnings:
    @pytest.mark.parametrize("return_logits", [False, True])
    @pytest.mark.parametrize("in_batches", [False, True])
    @pytest.mark.parametrize(
        ("labels", "named"),
        [
            ([0, 1, 10, 3], "10"),
            ([-1, 1, -5, 11], "-5, -1, 11"),
            ([9, 10, 10, 12], "10, 12"),
            ([-(2**63), 2**63 - 1, 0, 0], "-9223372036854775808, 9223372036854775807"),
            ([*range(10, 19)], "10, 11, 12, 13, 14 and 4 more"),
        ],
    )
    def test_of_labels_that_the_model_never_gives(
        self, labels: list[int], named: str, in_batches: bool, return_logits: bool
    ) -> None:
        images, truth = torch.rand(len(labels), 28, 28), torch.tensor(labels)
        arguments: tuple[Any, ...] = (images, truth)
        if in_batches:
            arguments = (zip(images.split(3), truth.split(3), strict=True),)
        with pytest.warns(UserWarning, match=r"^labels: got [^\n]*$") as seen:
            evaluate_shifts(network(), *arguments, grid=GRID, return_logits=return_logits)
        assert [str(warning.message) for warning in seen] == [
            f"labels: got {named}, expected 0..9: the model never answers anything else, so such images "
            "count as wrong"
        ]
        assert seen[0].filename == __file__

    @pytest.mark.parametrize("labels", [[0, 1, 1, 0], [0, 0, 0, 0], [5, 0, 0, 0]])
    def test_of_a_single_output(self, labels: list[int]) -> None:
        """Whatever a sigmoid says, the largest of one number is that number."""
        model = nn.Sequential(network(1), nn.Sigmoid())
        with pytest.warns(UserWarning, match=r"^model: got a single output") as seen:
            evaluation = evaluate_shifts(model, torch.rand(4, 28, 28), torch.tensor(labels), GRID)
        assert [str(warning.message) for warning in seen] == [
            "model: got a single output (K = 1), whose largest is always number 0, expected one for each "
            "class: two for two classes"
        ]
        assert seen[0].filename == __file__
        assert not evaluation.predictions.any()

    @pytest.mark.parametrize("method", ["auto", "plain"])
    def test_of_nothing_where_all_is_well(self, digits: lenetshift.Dataset, method: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for model in (network(), network(12), lenetshift.MLP()):
                evaluate_shifts(model, digits, grid=GRID, method=method)

    @pytest.mark.parametrize("method", ["fused", "plain"])
    def test_of_the_packages_own_models(self, method: str) -> None:
        images, labels = torch.zeros(2, 28, 28, dtype=torch.uint8), torch.tensor([3, 10])
        with pytest.warns(UserWarning, match=r"^labels: got 10, expected 0\.\.9: "):
            evaluate_shifts(lenetshift.MLP(), images, labels, GRID, method=method)


LOST = "expected floating [2, 1, 3], as lost_ink returns"
LOGITS = "expected [2, 1, 3, K], K >= 1, to match the predictions"
FILL = "expected a finite number, or one per channel, or 'circular'"
CROP = "expected (height, width), two ints of 1 or more"


class TestWhatIsKept:
    """An evaluation of two images under three shifts."""

    GRID = ShiftGrid(range(-1, 2), range(1))

    def made(self, **changes: Any) -> Evaluation:
        predictions = np.array([[[0, 1, 2]], [[1, 1, 1]]], np.uint8)
        arguments = {"predictions": predictions, "labels": np.array([1, 1]), "grid": self.GRID}
        return Evaluation(**{**arguments, **changes})

    @pytest.mark.parametrize("form", [np.asarray, torch.from_numpy])
    def test_is_not_the_callers(self, form: Any) -> None:
        given = {
            "predictions": form(np.array([[[0, 1, 2]], [[1, 1, 1]]], np.uint8)),
            "labels": form(np.array([1, 1])),
            "lost_ink": form(np.full((2, 1, 3), 0.25)),
        }
        evaluation = self.made(**given)
        before = evaluation.to_dict()
        for array in given.values():
            array[:] = 0
        assert evaluation.to_dict() == before

    def test_is_the_callers_where_it_may_be_large(self) -> None:
        logits, images = torch.rand(2, 1, 3, 4), torch.rand(2, 8, 8)
        evaluation = self.made(logits=logits, images=images)
        assert evaluation.logits.data_ptr() == logits.data_ptr()
        assert evaluation.images is images

    @pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64", ">i4"])
    def test_can_be_pickled(self, dtype: str) -> None:
        predictions = np.array([[[0, 1, 2]], [[1, 1, 1]]], dtype)
        evaluation = self.made(predictions=predictions)
        assert evaluation.to_dict() == self.made().to_dict()
        assert pickle.loads(pickle.dumps(evaluation)).to_dict() == evaluation.to_dict()

    @pytest.mark.parametrize(
        ("name", "value", "complaint"),
        [
            ("lost_ink", np.zeros((2, 3), np.float32), f"got float32 [2, 3], {LOST}"),
            ("lost_ink", torch.zeros(2, 1, 3).long(), f"got int64 [2, 1, 3], {LOST}"),
            ("lost_ink", [0.5], f"got list, {LOST}"),
            *(
                (
                    "lost_ink",
                    np.array([[[0, value, 0.5]]] * 2),
                    f"got values from {low} to {high}, expected fractions in 0..1",
                )
                for value, low, high in ((-0.25, -0.25, 0.5), (2.5, 0, 2.5), (np.nan, "nan", "nan"))
            ),
            ("logits", torch.zeros(2, 1, 3), f"got float32 [2, 1, 3], {LOGITS}"),
            ("logits", np.zeros((2, 3, 1, 4)), f"got float64 [2, 3, 1, 4], {LOGITS}"),
            ("logits", torch.zeros(2, 1, 3, 0), f"got float32 [2, 1, 3, 0], {LOGITS}"),
            ("logits", torch.tensor(1), f"got int64 [], {LOGITS}"),
            ("logits", "high", f"got str, {LOGITS}"),
            ("images", torch.zeros(3, 8, 8), "got 3, expected 2 as predictions"),
            ("images", torch.zeros(2, 8), "got float32 [2, 8], expected uint8 or floating ["),
            ("fill", "black", f"got 'black', {FILL}"),
            ("fill", True, f"got True, {FILL}"),
            ("fill", [], f"got [], {FILL}"),
            ("crop", (6.0, 6), f"got (6.0, 6), {CROP}"),
            ("crop", (0, 6), f"got (0, 6), {CROP}"),
            ("method", "auto", "got 'auto', expected 'fused' or 'shared' or 'plain'"),
            ("reason", 3, "got int, expected a str"),
            ("seconds", -1, "got -1, expected a number of 0 or more"),
            ("seconds", "1", "got '1', expected a number of 0 or more"),
        ],
    )
    def test_is_checked(self, name: str, value: Any, complaint: str) -> None:
        self.test_goes_together({name: value}, f"{name}: {complaint}")

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            (
                {"images": torch.zeros(2, 8, 1)},
                "grid: got dx -1..1, expected it within 0..0 for images of 8 x 1",
            ),
            (
                {"images": torch.zeros(2, 3, 8, 8), "fill": [1, 2]},
                "fill: got [1, 2], expected a finite number, or 3, one per channel, or 'circular'",
            ),
            (
                {"images": torch.zeros(2, 8, 8).byte(), "fill": 300},
                "fill: got 300, expected a number in 0..255, since the images are uint8",
            ),
            (
                {"images": torch.zeros(2, 8, 8), "crop": (9, 6)},
                "crop: got (9, 6), expected (height, width) within images of 8 x 8",
            ),
        ],
    )
    def test_goes_together(self, change: dict[str, Any], complaint: str) -> None:
        with pytest.raises(ValueError) as error:  # noqa: PT011  the message is compared below
            self.made(**change)
        assert str(error.value).startswith(complaint)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("fill", "kept"),
        [
            *((number, number) for number in (0, 3, 0.5, "circular")),
            *(
                (np.float32(0.5), 0.5),
                (np.int64(3), 3),
                (np.uint8(3), 3),
                (np.longdouble(0.5), 0.5),
            ),
            *((Decimal("0.5"), 0.5), (Fraction(1, 2), 0.5), (torch.tensor(0.5), 0.5)),
            *((torch.tensor(3), 3), (np.array(0.5), 0.5), (np.array(3, ">i2"), 3)),
            *(([0.5], [0.5]), ((Fraction(1, 2),), [0.5]), (np.array([0.5]), [0.5])),
            *(([1, 2, 3], [1, 2, 3]), (torch.tensor([1, 2, 3]), [1, 2, 3])),
            *(
                (np.array([1, 2, 3], ">f4"), [1, 2, 3]),
                ([np.uint8(1), torch.tensor(2), 3], [1, 2, 3]),
            ),
        ],
        ids=repr,
    )
    def test_is_json(self, fill: Any, kept: Any) -> None:
        images, labels = torch.rand(2, 3, 8, 8), torch.tensor([1, 1])
        asked = {"method": "plain", "batch_size": 9}
        evaluation = evaluate_shifts(network(3, 3, 8), images, labels, GRID, fill=fill, **asked)
        value = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
        assert value == evaluation.to_dict()
        assert value["fill"] == kept
        again = self.made(fill=fill, seconds=np.float32(0.5), lost_ink=torch.zeros(2, 1, 3).half())
        value = json.loads(json.dumps(again.to_dict(), allow_nan=False))
        assert (value["fill"], value["seconds"], value["lost_ink_map"]) == (kept, 0.5, [[0, 0, 0]])
        assert type(value["fill"]) is type(kept)
        assert dataclasses.replace(again).to_dict() == again.to_dict()

    @pytest.mark.parametrize(
        "crop",
        [
            (6, 6), [6, 6], (np.int64(6), np.uint8(6)), (torch.tensor(6), 6), np.array([6, 6]),
            torch.tensor([6, 6]),
        ],
        ids=repr,
    )  # fmt: skip
    def test_is_json_of_every_crop(self, crop: Any) -> None:
        images, labels = torch.rand(2, 8, 8), torch.tensor([1, 1])
        asked = {"method": "plain", "batch_size": 9}
        cropped = evaluate_shifts(network(3, 1, 6), images, labels, self.GRID, crop=crop, **asked)
        for evaluation in (cropped, self.made(crop=crop)):
            value = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
            assert value["crop"] == [6, 6]
            assert evaluation.crop == (6, 6)

    def test_numbers_of_every_kind_answer_alike(self) -> None:
        images, labels = torch.rand(2, 3, 8, 8), torch.tensor([1, 1])

        def logits(fill: Any) -> Tensor:
            asked = {"method": "plain", "batch_size": 9, "return_logits": True}
            evaluation = evaluate_shifts(network(3, 3, 8), images, labels, GRID, fill=fill, **asked)
            assert evaluation.logits is not None
            return evaluation.logits

        expected = logits([0.5, 0.25, 1])
        for fill in (
            np.array([0.5, 0.25, 1]),
            torch.tensor([0.5, 0.25, 1]),
            (Decimal("0.5"), Fraction(1, 4), np.int8(1)),
        ):
            assert torch.equal(logits(fill), expected)


def test_of_answers_that_were_kept(digits: lenetshift.Dataset) -> None:
    evaluation = evaluate(digits)
    kept = Evaluation(evaluation.predictions.numpy(), digits.labels.numpy(), GRID)
    assert kept.moved == evaluation.moved
    assert kept.predictions.dtype == torch.uint8
    assert kept.to_dict()["metrics"]["accuracy_without_loss"] is None
    with pytest.raises(ValueError, match=r"^predictions: got uint8 \[50, 3, 5\], expected"):
        Evaluation(evaluation.predictions, digits.labels, ShiftGrid())
    with pytest.raises(ValueError, match=r"^labels: got int64 \[49\], expected integers \[50\]"):
        Evaluation(evaluation.predictions, digits.labels[1:], GRID)
    with pytest.raises(
        ValueError, match=r"^metric: got 'accuracy', expected 'unmoved_accuracy' or"
    ):
        evaluation.metric("accuracy")


def test_a_mean_over_no_image_is_left_empty() -> None:
    """No image is right when unmoved, and each shift loses ink of each image."""
    predictions, labels = torch.zeros(3, *GRID.shape).byte(), torch.ones(3).long()
    lost = np.full(predictions.shape, 0.5, np.float32)
    evaluation = Evaluation(predictions, labels, GRID, lost_ink=lost)
    value = evaluation.to_dict()["metrics"]
    assert value["consistency_when_right"] is None
    assert value["accuracy_without_loss"] is None


def test_to_dict_is_json(digits: lenetshift.Dataset) -> None:
    evaluation = evaluate(digits, fill=3)
    value = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert value == evaluation.to_dict()
    assert value["n_images"] == 50
    assert value["grid"] == {"dx": [-2, -1, 0, 1, 2], "dy": [-1, 0, 1]}
    assert (value["fill"], value["crop"]) == (3, None)
    assert value["moved"] == evaluation.moved
    assert value["class_maps"]["7"] == evaluation.class_maps()[7].tolist()
    lost = metrics.lost_ink(digits.images, GRID, 3).mean(0)
    np.testing.assert_allclose(value["lost_ink_map"], lost, rtol=1e-6)
    cropped = evaluate_shifts(
        network(size=20), digits, grid=GRID, crop=(20, 20), fill=(np.float32(0.5),)
    )
    value = json.loads(json.dumps(cropped.to_dict(), allow_nan=False))
    assert (value["fill"], value["crop"], value["lost_ink_map"]) == ([0.5], [20, 20], None)


def test_print_shows_consistency_below_the_accuracy(digits: lenetshift.Dataset) -> None:
    evaluation = evaluate(digits)
    lines = str(evaluation).splitlines()
    assert lines[0] == "50 images, 15 shifts (dx -2..2, dy -1..1)"
    assert lines[1] == evaluation.reason
    names = [line.split("  ")[1] for line in lines[2:]]
    assert names.index("moved accuracy") < names.index("consistency")
    accuracy = f"{evaluation.moved['accuracy']:.1%}".replace("%", " %")
    assert lines[2 + names.index("moved accuracy")].endswith(accuracy)
    assert repr(evaluation).startswith("<Evaluation of 50 images under 15 shifts: moved accuracy ")


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
    def test_comes_to_the_end(
        self, digits: lenetshift.Dataset, bars: list[Any], method: str
    ) -> None:
        parts = list(zip(digits.images.split(20), digits.labels.split(20), strict=True))
        for model in (network(), lenetshift.MLP()):
            for images in (digits, parts, iter(parts)):
                evaluate_shifts(model, images, grid=GRID, method=method)
        assert [bar.total for bar in bars] == [1, 3, None] * 2
        assert [bar.units for bar in bars] == pytest.approx([1, 3, 3] * 2)

    def test_can_be_hidden(self, digits: lenetshift.Dataset, bars: list[Any]) -> None:
        evaluate(digits)
        evaluate(digits, progress=False)
        assert [bar.shown for bar in bars] == [True, False]


class TestPlots:
    @pytest.fixture(autouse=True)
    def _no_window(self) -> Iterator[None]:
        backend = matplotlib.get_backend()
        matplotlib.use("agg")
        yield
        from matplotlib import pyplot

        pyplot.close("all")
        matplotlib.use(backend)

    def test_accuracy_map(self, digits: lenetshift.Dataset) -> None:
        evaluation = evaluate(digits)
        given = Figure().subplots()
        assert evaluation.plot_accuracy_map(given) is given
        made = evaluation.plot_accuracy_map()
        for axes in (given, made):
            shown = np.asarray(axes.images[0].get_array())
            assert (shown == evaluation.accuracy_map()).all()
        made.figure.canvas.draw()

    def test_accuracy_map_of_a_grid_with_steps(self, digits: lenetshift.Dataset) -> None:
        """Every cell lies around its own shift."""
        grid = ShiftGrid(range(-6, 7, 3), range(-2, 3, 2))
        axes = evaluate_shifts(network(), digits, grid=grid).plot_accuracy_map()
        left, right, bottom, top = axes.images[0].get_extent()
        width, height = (right - left) / grid.n_dx, (bottom - top) / grid.n_dy
        for column, dx in enumerate(grid.dx):
            assert left + (column + 0.5) * width == dx
        for row, dy in enumerate(grid.dy):
            assert top + (row + 0.5) * height == dy

    def test_image(self, digits: lenetshift.Dataset) -> None:
        evaluation = evaluate(digits)
        given = Figure().subplots()
        assert evaluation.plot_image(7, given) is given
        made = evaluation.plot_image(7)
        expected = Figure().subplots()
        plot_answers(
            expected, digits.images[7], int(digits.labels[7]), evaluation.predictions[7], GRID
        )
        for axes in (given, made):
            assert (axes.images[0].get_array() == expected.images[0].get_array()).all()
            texts = [text.get_text() for text in axes.texts]
            assert texts == [text.get_text() for text in expected.texts]
            assert len(texts) == 15
        made.figure.canvas.draw()

    def test_image_shows_what_the_network_saw(self) -> None:
        """The fill, the other side of a circular shift, the window of a crop, colours."""
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8, generator=generator)
        labels = torch.zeros(2).long()
        grid = ShiftGrid(range(-1, 2), range(1))

        def shown(size: int, **settings: Any) -> list[np.ndarray]:
            evaluation = evaluate_shifts(network(10, 3, size), images, labels, grid, **settings)
            page = np.asarray(evaluation.plot_image(1).images[0].get_array())
            cells = page.reshape(size + 14, 3, size + 8, 3).swapaxes(0, 1)
            return [cell[4:-10, 4:-4] for cell in cells]  # [size, size, 3]

        image = images[1].movedim(0, 2).numpy()
        left, unmoved, right = shown(8, fill=(10, 20, 30))
        assert (unmoved == image).all()
        assert (left[:, :-1] == image[:, 1:]).all()
        assert (left[:, -1] == (10, 20, 30)).all()
        assert (right[:, 0] == (10, 20, 30)).all()
        left, _, right = shown(8, fill="circular")
        assert (left == np.roll(image, -1, 1)).all()
        assert (right == np.roll(image, 1, 1)).all()
        left, unmoved, right = shown(6, crop=(6, 6))
        assert (left == image[1:7, 2:8]).all()
        assert (unmoved == image[1:7, 1:7]).all()
        assert (right == image[1:7, 0:6]).all()

    def test_floating_pixels_are_stretched_to_what_can_be_shown(self) -> None:
        images = torch.tensor([[[-1.0, 0.0], [1.0, 3.0]]])
        grid = ShiftGrid(range(1), range(1))
        evaluation = evaluate_shifts(network(size=2), images, torch.zeros(1).long(), grid)
        shown = np.asarray(evaluation.plot_image(0).images[0].get_array())
        assert shown[4:6, 4:6].tolist() == [[0, 64], [128, 255]]

    def test_image_of_a_batch_is_given(self, digits: lenetshift.Dataset) -> None:
        evaluation = evaluate([(digits.images, digits.labels)])
        axes = evaluation.plot_image(7, image=digits.images[7])
        expected = evaluate(digits).plot_image(7)
        assert (axes.images[0].get_array() == expected.images[0].get_array()).all()
        with pytest.raises(ValueError, match=r"^image: got none, expected image i itself"):
            evaluation.plot_image(7)
        with pytest.raises(ValueError, match=r"^i: got 50, expected an int in 0\.\.49$"):
            evaluation.plot_image(50, image=digits.images[7])
