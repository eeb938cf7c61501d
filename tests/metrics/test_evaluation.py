"""An ``Evaluation``: its metrics, what it keeps, its JSON and its text."""

from __future__ import annotations

import dataclasses
import json
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from cases import refused
from evaluations import DIGITS, GRID, evaluate, network

from lenetshift import Evaluation, ShiftGrid, evaluate_shifts, metrics
from lenetshift.metrics.registry import METRICS


def test_every_metric_is_the_functions_own() -> None:
    evaluation = evaluate(DIGITS, return_logits=True)
    p, labels = evaluation.predictions, DIGITS.labels
    lost = metrics.lost_ink(DIGITS.images, GRID)
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


PREDICTIONS = np.array([[[0, 1, 2]], [[1, 1, 1]]])
LOST = "expected floating [2, 1, 3], as lost_ink returns"
LOGITS = "expected [2, 1, 3, K], K >= 1, to match the predictions"
PLAIN = {"method": "plain", "batch_size": 9}
FILL = "expected a finite number, or one per channel, or 'circular'"
CROP = "expected (height, width), two ints of 1 or more"


class TestWhatIsKept:
    """An evaluation of two images under three shifts."""

    GRID = ShiftGrid(range(-1, 2), range(1))

    def made(self, **changes: Any) -> Evaluation:
        given = {"predictions": PREDICTIONS.astype(np.uint8), "labels": np.array([1, 1])}
        return Evaluation(**{**given, "grid": self.GRID, **changes})

    @pytest.mark.parametrize("form", [np.asarray, torch.from_numpy])
    def test_is_not_the_callers(self, form: Any) -> None:
        given = {
            "predictions": form(PREDICTIONS.astype(np.uint8)),
            "labels": form(np.array([1, 1])),
            "lost_ink": form(np.full((2, 1, 3), 0.25)),
        }
        evaluation = self.made(**given)
        before = evaluation.to_dict()
        for array in given.values():
            array[:] = 0
        assert evaluation.to_dict() == before

    def test_is_the_callers_if_it_may_be_large(self) -> None:
        logits, images = torch.rand(2, 1, 3, 4), torch.rand(2, 8, 8)
        evaluation = self.made(logits=logits, images=images)
        assert evaluation.logits.data_ptr() == logits.data_ptr()
        assert evaluation.images is images

    @pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64", ">i4"])
    def test_can_be_pickled(self, dtype: str) -> None:
        evaluation = self.made(predictions=PREDICTIONS.astype(dtype))
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
            (
                "method",
                "auto",
                "got 'auto', expected 'fused' or 'shared' or 'rewritten' or 'plain'",
            ),
            ("reason", 3, "got int, expected a str"),
            ("seconds", -1, "got -1, expected a number of 0 or more"),
            ("seconds", "1", "got '1', expected a number of 0 or more"),
            ("name", 3, "got int, expected a str"),
            ("class_names", "abc", "got 'abc', expected a sequence of texts, one for each class"),
            ("class_names", [], "got [], expected a sequence of texts, one for each class"),
            (
                "class_names",
                {"a": 0},
                "got {'a': 0}, expected a sequence of texts, one for each class",
            ),
            (
                "images_sha256",
                "0" * 63,
                f"got '{'0' * 63}', expected 64 hexadecimal digits in lower",
            ),
            (
                "images_sha256",
                "A" * 64,
                f"got '{'A' * 64}', expected 64 hexadecimal digits in lower",
            ),
            ("images_sha256", 0, "got 0, expected 64 hexadecimal digits in lower case"),
        ],
    )
    def test_is_checked(self, name: str, value: Any, complaint: str) -> None:
        with refused(f"{name}: {complaint}"):
            self.made(**{name: value})

    def test_each_class_name_is_a_text(self) -> None:
        with refused("class_names[1]: got 2, expected a text"):
            self.made(class_names=["a", 2])

    @pytest.mark.parametrize("names", [["cat", "dog", "bird"], ("cat", "dog", "bird")])
    def test_class_names(self, names: Any) -> None:
        """In the confusion matrix and JSON; classes beyond have their numbers."""
        evaluation = self.made(class_names=names, labels=np.array([1, 7]))
        assert evaluation.class_names == ("cat", "dog", "bird")
        assert evaluation.to_dict()["class_names"] == ["cat", "dog", "bird"]
        found = evaluation.confusion()
        assert found.classes.tolist() == [0, 1, 2, 7]
        assert found.names == ("cat", "dog", "bird", "7")
        assert self.made().confusion().names == ("0", "1", "2")
        assert self.made().to_dict()["class_names"] is None
        below = metrics.confusion(np.array([[[-1]]]), np.array([0]), names)
        assert below.names == ("-1", "cat")  # and not the last one

    def test_the_name_is_the_first_line(self) -> None:
        assert str(self.made(name="Net")) == "Net\n" + str(self.made())
        assert self.made(name="Net").to_dict()["name"] == "Net"

    def test_a_printout_says_why_a_metric_has_no_value(self) -> None:
        why = "No score change: it needs labels, two shifts or more, logits (return_logits=True keeps them)."
        assert why in str(self.made()).splitlines()
        still = ShiftGrid(range(1), range(1))
        said = str(Evaluation(np.array([[[3]]]), np.array([3]), still)).splitlines()
        assert "No flip rate: it needs two shifts or more." in said
        assert "No agreement: it needs the shift (0, 0), two shifts or more." in said

    def test_a_value_that_is_not_available_is_none(self) -> None:
        assert self.made().value("score_change") is None
        assert self.made().value("moved_accuracy") == self.made().metric("moved_accuracy").value
        with refused("metric: got 'accuracy', expected 'unmoved_accuracy' or"):
            self.made().value("accuracy")

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
        with refused(complaint):
            self.made(**change)

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
        evaluation = evaluate_shifts(network(3, 3, 8), images, labels, GRID, fill=fill, **PLAIN)
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
        cropped = evaluate_shifts(network(3, 1, 6), images, labels, self.GRID, crop=crop, **PLAIN)
        for evaluation in (cropped, self.made(crop=crop)):
            value = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
            assert value["crop"] == [6, 6]
            assert evaluation.crop == (6, 6)

    def test_numbers_of_every_kind_give_the_same_answers(self) -> None:
        images, labels = torch.rand(2, 3, 8, 8), torch.tensor([1, 1])
        numbers = [0.5, 0.25, 1]
        mixed = (Decimal("0.5"), Fraction(1, 4), np.int8(1))
        expected, *others = (
            evaluate_shifts(
                network(3, 3, 8), images, labels, GRID, fill=fill, return_logits=True, **PLAIN
            ).logits
            for fill in (numbers, np.array(numbers), torch.tensor(numbers), mixed)
        )
        assert all(torch.equal(logits, expected) for logits in others)


def test_of_stored_answers() -> None:
    evaluation = evaluate(DIGITS)
    kept = Evaluation(evaluation.predictions.numpy(), DIGITS.labels.numpy(), GRID)
    assert kept.moved == evaluation.moved
    assert kept.predictions.dtype == torch.uint8
    assert kept.to_dict()["metrics"]["accuracy_without_loss"] is None
    with pytest.raises(ValueError, match=r"^predictions: got uint8 \[50, 3, 5\], expected"):
        Evaluation(evaluation.predictions, DIGITS.labels, ShiftGrid())
    with pytest.raises(ValueError, match=r"^labels: got int64 \[49\], expected integers \[50\]"):
        Evaluation(evaluation.predictions, DIGITS.labels[1:], GRID)
    with refused("metric: got 'accuracy', expected 'unmoved_accuracy' or"):
        evaluation.metric("accuracy")


def test_a_mean_over_no_image_is_left_empty() -> None:
    """No image is right when unmoved, and each shift loses ink of each image."""
    predictions, labels = torch.zeros(3, *GRID.shape).byte(), torch.ones(3).long()
    lost = np.full(predictions.shape, 0.5, np.float32)
    evaluation = Evaluation(predictions, labels, GRID, lost_ink=lost)
    value = evaluation.to_dict()["metrics"]
    assert value["consistency_when_right"] is None
    assert value["accuracy_without_loss"] is None


def test_to_dict_is_json() -> None:
    evaluation = evaluate(DIGITS, fill=3)
    value = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert value == evaluation.to_dict()
    assert value["n_images"] == 50
    assert value["grid"] == {"dx": [-2, -1, 0, 1, 2], "dy": [-1, 0, 1]}
    assert (value["fill"], value["crop"]) == (3, None)
    assert value["moved"] == evaluation.moved
    assert value["class_maps"]["7"] == evaluation.class_maps()[7].tolist()
    lost = metrics.lost_ink(DIGITS.images, GRID, 3).mean(0)
    np.testing.assert_allclose(value["lost_ink_map"], lost, rtol=1e-6)
    cropped = evaluate_shifts(
        network(size=20), DIGITS, grid=GRID, crop=(20, 20), fill=(np.float32(0.5),)
    )
    value = json.loads(json.dumps(cropped.to_dict(), allow_nan=False))
    assert (value["fill"], value["crop"], value["lost_ink_map"]) == ([0.5], [20, 20], None)


def test_print_shows_consistency_below_the_accuracy() -> None:
    evaluation = evaluate(DIGITS)
    lines = str(evaluation).splitlines()
    assert lines[0] == "50 images, 15 shifts (dx -2..2, dy -1..1), fill 0"
    assert lines[1] == evaluation.reason
    names = [line.split("  ")[1] for line in lines[2:] if line.startswith("  ")]
    assert names.index("moved accuracy") < names.index("consistency")
    accuracy = f"{evaluation.moved['accuracy']:.1%}".replace("%", " %")
    assert lines[2 + names.index("moved accuracy")].endswith(accuracy)
    assert repr(evaluation).startswith("<Evaluation of 50 images under 15 shifts: moved accuracy ")


def test_names_are_checked_before_the_model_runs() -> None:
    class Unused(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise AssertionError

    for names in ({"name": 3}, {"class_names": "abc"}, {"class_names": [1]}):
        with refused(f"{next(iter(names))}"):
            evaluate_shifts(Unused(), torch.rand(2, 8, 8), torch.tensor([1, 1]), GRID, **names)
    named = evaluate(DIGITS, name="Net", class_names=list("abcdefghij"))
    assert (named.name, named.class_names) == ("Net", tuple("abcdefghij"))
