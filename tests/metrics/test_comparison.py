"""A ``Comparison``: differences of metrics, images that one network alone answers right, and its text."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import refused
from evaluations import DIGITS, GRID, network
from matplotlib.figure import Figure

import lenetshift
from lenetshift import Evaluation, ShiftGrid, compare, evaluate_shifts, metrics
from lenetshift.metrics.comparison import Discordant
from lenetshift.metrics.registry import METRICS

SMALL = ShiftGrid(range(-1, 2), range(2))  # 2 x 3 shifts; (0, 0) is row 0, column 1
RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, 3, 40)
A, B = (
    np.where(RNG.random((40, 2, 3)) < share, LABELS[:, None, None], RNG.integers(0, 3, (40, 2, 3)))
    for share in (0.5, 0.7)
)


def of(predictions: np.ndarray, **settings: Any) -> Evaluation:
    return Evaluation(predictions, LABELS, SMALL, **settings)


LOST = RNG.integers(0, 2, A.shape) / 2
WITH_ALL = [
    of(each, lost_ink=LOST, logits=RNG.normal(size=(*A.shape, 3)), name=name)
    for each, name in ((A, "small"), (B, "large"))
]


def test_every_metric_has_its_difference() -> None:
    comparison = compare(*WITH_ALL)
    rows = {row.name: row for row in comparison.rows()}
    assert list(rows) == list(METRICS)
    right = {"a": LABELS[:, None, None] == A, "b": LABELS[:, None, None] == B}
    by_hand = {
        "unmoved_accuracy": lambda r: r[:, 0, 1].mean(),
        "moved_accuracy": lambda r: r.mean(),
        "worst_case_accuracy": lambda r: np.mean([one.all() for one in r]),
        "accuracy_without_loss": lambda r: r[LOST == 0].mean(),
    }
    for name, value in by_hand.items():
        a, b = value(right["a"]), value(right["b"])
        assert rows[name][2:5] == pytest.approx((a, b, b - a)), name
    flips = [
        np.mean([x[i, j] != x[i, j + 1] for x in each for i in (0, 1) for j in (0, 1)] +
                [x[0, j] != x[1, j] for x in each for j in (0, 1, 2)])
        for each in (A, B)
    ]  # fmt: skip
    assert rows["flip_rate"].difference == pytest.approx(flips[1] - flips[0])
    for name, row in rows.items():
        a, b = (evaluation.metric(name).value for evaluation in WITH_ALL)
        assert (row.title, row.a, row.b) == (METRICS[name].title, a, b)
        assert row.difference == b - a == comparison.difference(name).value
        assert row.interval is None


def test_its_intervals_are_those_of_the_differences() -> None:
    comparison = compare(*WITH_ALL)
    for row in comparison.rows(level=0.8):
        a, b = (evaluation.metric(row.name) for evaluation in WITH_ALL)
        assert row.interval == metrics.MeanDifference(a, b).interval(0.8)
        assert row.interval == comparison.interval(row.name, 0.8)
        assert row.interval.low <= row.difference <= row.interval.high
    how = {"n_resamples": 99, "seed": 4}
    right = [(each == LABELS[:, None, None]).mean((1, 2)) for each in (A, B)]
    paired = metrics.ImageMean(right[1] - right[0], np.ones(40)).interval(0.9, **how)
    assert comparison.interval("moved_accuracy", 0.9, **how) == pytest.approx(paired)


def test_the_other_way_round_the_signs_change() -> None:
    there, back = compare(*WITH_ALL), compare(*WITH_ALL[::-1])
    for row, other in zip(there.rows(), back.rows(), strict=True):
        assert row.difference == -other.difference
    assert (there.accuracy_difference_map() == -back.accuracy_difference_map()).all()
    found, other = there.discordant_at_every_shift, back.discordant_at_every_shift
    assert (found.a.tolist(), found.b.tolist()) == (other.b.tolist(), other.a.tolist())
    assert found.p_value == other.p_value


def test_images_that_one_network_alone_answers_right() -> None:
    comparison = compare(*WITH_ALL)
    always, unmoved = comparison.discordant_at_every_shift, comparison.discordant_when_unmoved
    assert unmoved is not None
    for i in range(40):
        a, b = ((each[i] == LABELS[i]) for each in (A, B))
        assert (i in always.a, i in always.b) == (a.all() > b.all(), b.all() > a.all())
        assert (i in unmoved.a, i in unmoved.b) == (a[0, 1] > b[0, 1], b[0, 1] > a[0, 1])
    assert len(always.b) > 0
    assert len(unmoved.a) > 0
    aside = ShiftGrid(range(1, 4), range(2))
    moved = [Evaluation(each, LABELS, aside) for each in (A, B)]
    assert compare(*moved).discordant_when_unmoved is None
    assert compare(*moved).to_dict()["discordant"]["when_unmoved"] is None


@pytest.mark.parametrize(("n_a", "n_b"), [(0, 0), (0, 1), (3, 3), (1, 11), (71, 390), (9, 0)])
def test_mcnemar_is_the_binomial_test(n_a: int, n_b: int) -> None:
    n = n_a + n_b
    tail = sum(math.comb(n, k) for k in range(min(n_a, n_b) + 1)) / 2**n
    found = Discordant(np.arange(n_a), np.arange(n_b))
    assert found.p_value == pytest.approx(min(1, 2 * tail))


def test_the_map_is_the_difference_at_each_shift() -> None:
    expected = [
        [(B[:, i, j] == LABELS).mean() - (A[:, i, j] == LABELS).mean() for j in range(3)]
        for i in range(2)
    ]
    np.testing.assert_allclose(compare(*WITH_ALL).accuracy_difference_map(), expected, atol=1e-15)


def test_only_what_both_have_is_compared() -> None:
    rows = compare(of(A, lost_ink=LOST), of(B, logits=RNG.normal(size=(*B.shape, 3)))).rows(0.95)
    names = [row.name for row in rows]
    assert names == [n for n in METRICS if n not in ("accuracy_without_loss", "score_change")]


def test_a_metric_that_counts_one_image_has_no_interval() -> None:
    never = np.full_like(A, 7)
    once = never.copy()
    once[3, 0, 1] = LABELS[3]
    comparison = compare(of(once), of(B))
    row = next(row for row in comparison.rows(0.95) if row.name == "consistency_when_right")
    assert row.interval is None
    assert "consistency_when_right" not in [row.name for row in compare(of(never), of(B)).rows()]


def test_to_dict_is_json() -> None:
    comparison = compare(*WITH_ALL)
    value = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert value == comparison.to_dict()
    assert value["names"] == ["small", "large"]
    assert (value["n_images"], value["grid"]) == (40, {"dx": [-1, 0, 1], "dy": [0, 1]})
    assert list(value["metrics"]) == list(METRICS)
    smaller = [name for name, of in value["metrics"].items() if of["smaller_is_better"]]
    assert smaller == ["flip_rate", "score_change"]
    row = comparison.rows()[1]
    expected = {"a": row.a, "b": row.b, "difference": row.difference, "smaller_is_better": False}
    assert value["metrics"][row.name] == expected
    assert value["accuracy_difference_map"] == comparison.accuracy_difference_map().tolist()
    found = comparison.discordant_at_every_shift
    assert value["discordant"]["at_every_shift"] == {
        "a": found.a.tolist(), "b": found.b.tolist(), "p_value": found.p_value
    }  # fmt: skip


def test_the_text_has_a_line_for_each_metric() -> None:
    comparison = compare(*WITH_ALL)
    lines = str(comparison).splitlines()
    assert lines[:3] == ["a: small", "b: large", "40 images, 6 shifts (dx -1..1, dy 0..1)"]
    row = comparison.rows(0.95)[1]
    assert row.interval is not None
    low, high = (f"{100 * end:+.1f}" for end in row.interval)
    expected = f"  moved accuracy                {100 * row.a:6.1f} %  {100 * row.b:6.1f} %"
    assert lines[5] == f"{expected}   {100 * row.difference:+.1f}  [{low}, {high}]"
    assert lines[-4] == "Smaller is better: flip rate, score change."
    assert lines[-3].startswith("In brackets: 95 % intervals of the difference of these two netw")
    found = comparison.discordant_at_every_shift
    assert lines[-2] == (
        f"Images right at every shift: {len(found.a)} by a alone, {len(found.b)} by b alone "
        f"(McNemar's exact test: p = {found.p_value:.2g})."
    )
    assert repr(comparison) == "<Comparison of small and large: 40 images under 6 shifts>"


def test_an_unchanged_network_has_no_difference() -> None:
    lines = str(compare(of(A), of(A))).splitlines()
    assert lines[:2] == ["a: a", "b: b"]
    assert lines[5].endswith(" 0.0  [-8.8, +8.8]")  # of 40 images, among which none differs
    assert lines[-1].endswith("0 by a alone, 0 by b alone (McNemar's exact test: p = 1).")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((None, None), ("a", "b")),
        (("one", None), ("a", "b")),
        (("one", "one"), ("a", "b")),
        (("one", "two"), ("one", "two")),
    ],
)
def test_names(names: tuple[str | None, str | None], expected: tuple[str, str]) -> None:
    assert compare(of(A, name=names[0]), of(B, name=names[1])).names == expected


SAME = "the same images in the same order as in a"
OTHER_LABELS = np.where(np.arange(40) < 38, LABELS, 5)
DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("a", "b", "complaint"),
    [
        ({}, {"predictions": B[1:], "labels": LABELS[1:]}, "b: got 39 images, expected 40 as in a"),
        (
            {},
            {"grid": ShiftGrid(range(-2, 3, 2), range(2))},
            "b.grid: got dx -2..2 in steps of 2, dy 0..1, expected dx -1..1, dy 0..1 as in a",
        ),
        ({}, {"fill": 0.5}, "b.fill: got 0.5, expected 0 as in a"),
        ({"fill": (1, 2)}, {"fill": "circular"}, "b.fill: got 'circular', expected (1.0, 2.0) as in a"),
        ({"crop": (9, 8)}, {}, "b.crop: got None, expected (9, 8) as in a"),
        (
            {},
            {"labels": OTHER_LABELS},
            f"b.labels: got 2 others than in a, the first at image 38, expected {SAME}",
        ),
        (
            {"images_sha256": DIGEST},
            {"images_sha256": "1" * 64},
            f"b.images: got other pixels than in a, expected {SAME}, before any transform",
        ),
        (
            {"lost_ink": LOST},
            {"lost_ink": LOST[::-1].copy()},
            f"b.images: got other pixels than in a, expected {SAME}, before any transform",
        ),
    ],
)  # fmt: skip
def test_other_patterns_are_refused(a: dict[str, Any], b: dict[str, Any], complaint: str) -> None:
    first = dataclasses.replace(of(A), **a)
    second = Evaluation(**{"predictions": B, "labels": LABELS, "grid": SMALL, **b})
    with refused(complaint):
        compare(first, second)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"fill": (3, 3, 3)}, {"fill": 3.0}),
        ({"fill": 3, "crop": (9, 8)}, {"fill": "circular", "crop": (9, 8)}),
        ({"images_sha256": DIGEST}, {}),
        ({"images_sha256": DIGEST, "lost_ink": LOST}, {"images_sha256": DIGEST, "lost_ink": LOST / 2}),
        ({"lost_ink": LOST}, {"lost_ink": LOST.astype(np.float16)}),
        ({"class_names": ("x", "y", "z")}, {"method": "plain"}),
    ],
)  # fmt: skip
def test_the_same_patterns_are_accepted(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert len(compare(of(A, **a), of(B, **b))) == 40


def test_the_fill_counts_with_a_crop_that_cuts_nothing_off() -> None:
    a, b = (
        evaluate_shifts(network(), given, grid=GRID, fill=fill, crop=(28, 28))
        for fill, given in ((0, DIGITS), (3, [(DIGITS.images, DIGITS.labels)]))
    )
    assert a.crop is b.crop is dataclasses.replace(a, crop=(28, 28)).crop is None
    assert a.lost_ink is not None
    with refused("b.fill: got 3, expected 0 as in a"):
        compare(a, b)


def test_only_evaluations_can_be_compared() -> None:
    with refused("b: got ndarray, expected an Evaluation"):
        compare(of(A), B)  # type: ignore[arg-type]
    with refused("metric: got 'accuracy', expected 'unmoved_accuracy' or"):
        compare(of(A), of(B)).interval("accuracy")


def test_evaluations_know_their_images() -> None:
    """However these are divided into batches; with a crop too, which leaves no lost ink."""
    plain = {"grid": GRID, "method": "plain"}
    a = evaluate_shifts(network(), DIGITS, **plain)
    loader = torch.utils.data.DataLoader(DIGITS, batch_size=7)
    assert compare(a, evaluate_shifts(network(), loader, **plain)).rows()[0].difference == 0
    swapped = DIGITS.images.flip(0)
    for how in ({}, {"crop": (20, 20)}):
        net = network(size=20 if how else 28)
        a, b = (
            evaluate_shifts(net, images, DIGITS.labels, **plain, **how)
            for images in (DIGITS.images, swapped)
        )
        with refused("b.images: got other pixels than in a"):
            compare(a, b)


@pytest.mark.usefixtures("no_window")
class TestPlot:
    def test_accuracy_difference_map(self) -> None:
        comparison = compare(*WITH_ALL)
        given = Figure().subplots()
        assert comparison.plot_accuracy_difference_map(given) is given
        for axes in (given, comparison.plot_accuracy_difference_map()):
            shown = np.asarray(axes.images[0].get_array())
            assert (shown == comparison.accuracy_difference_map()).all()


def test_it_is_public() -> None:
    assert lenetshift.compare is compare
    assert isinstance(compare(of(A), of(B)), lenetshift.Comparison)
