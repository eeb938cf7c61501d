"""Every metric against a count by hand, over all shifts and all pairs of shifts."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from cases import refused
from hypothesis import given
from hypothesis import strategies as st

from lenetshift import metrics, reference
from lenetshift.checks.errors import NotAvailable
from lenetshift.shifts import ShiftGrid

GRIDS = [
    ShiftGrid(),
    ShiftGrid(range(1), range(1)),
    ShiftGrid(range(-1, 4), range(3)),
    ShiftGrid(range(-6, 7, 3), range(-2, 3, 2)),
    ShiftGrid(range(2, 9, 3), range(-1, 1)),
    ShiftGrid(range(-2, 3), range(1)),
]


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, ShiftGrid]:
    """Answers and labels of few classes, so that they often agree, over any grid; some labels are not
    classes of the model."""
    grid = draw(st.sampled_from(GRIDS))
    n = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    many = draw(st.booleans())
    dtype, largest = (np.int32, 70_000) if many else (np.uint8, 255)
    classes = np.array([0, 1, largest][: draw(st.integers(1, 3))])
    predictions = rng.choice(classes, (n, *grid.shape)).astype(dtype)
    if draw(st.booleans()):  # some images that keep their answer
        predictions[: n // 2] = predictions[: n // 2, :1, :1]
    labels = rng.choice(np.append(classes, [-5, 256]), n)
    return predictions, labels, grid


def answers(predictions: np.ndarray, grid: ShiftGrid) -> list[dict[tuple[int, int], int]]:
    """The answers of each image, by shift."""
    return [
        {shift: int(image[grid.index(*shift)]) for shift in map(tuple, grid.shifts().tolist())}
        for image in predictions
    ]


def neighbours(grid: ShiftGrid) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The pairs of shifts that are one step apart in one direction."""
    return [
        (a, b)
        for a, b in itertools.combinations(map(tuple, grid.shifts().tolist()), 2)
        if (abs(a[0] - b[0]), abs(a[1] - b[1])) in ((grid.dx.step, 0), (0, grid.dy.step))
    ]


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def same(got: float, expected: float) -> bool:
    return math.isclose(got, expected, rel_tol=1e-12, abs_tol=1e-15) or (
        math.isnan(got) and math.isnan(expected)
    )


@given(cases())
def test_accuracies(case: tuple[np.ndarray, np.ndarray, ShiftGrid]) -> None:
    predictions, labels, grid = case
    right = [
        {shift: answer == label for shift, answer in image.items()}
        for image, label in zip(answers(predictions, grid), labels, strict=True)
    ]
    moved = metrics.moved_accuracy(predictions, labels).value
    assert same(moved, mean([is_right for image in right for is_right in image.values()]))
    worst = metrics.worst_case_accuracy(predictions, labels).value
    assert worst == mean([all(image.values()) for image in right])
    if grid.has_centre:
        unmoved = metrics.unmoved_accuracy(predictions, labels, grid).value
        assert unmoved == mean([image[0, 0] for image in right])

    def map_of(images: list[dict[tuple[int, int], bool]]) -> list[list[float]]:
        return [[mean([image[dx, dy] for image in images]) for dx in grid.dx] for dy in grid.dy]

    assert metrics.accuracy_map(predictions, labels).tolist() == map_of(right)
    maps = metrics.class_maps(predictions, labels)
    assert list(maps) == sorted(set(labels.tolist()))
    for label, class_map in maps.items():
        of_class = [image for image, truth in zip(right, labels, strict=True) if truth == label]
        assert class_map.tolist() == map_of(of_class)


@given(cases())
def test_flip_rate(case: tuple[np.ndarray, np.ndarray, ShiftGrid]) -> None:
    predictions, _, grid = case
    images, pairs = answers(predictions, grid), neighbours(grid)
    flips = [image[a] != image[b] for image in images for a, b in pairs]
    if len(grid) == 1:
        with pytest.raises(ValueError, match=r"^grid: got a single shift, expected two or more"):
            metrics.flip_rate(predictions)
    else:
        assert same(metrics.flip_rate(predictions).value, mean(flips))


@given(cases())
def test_consistency(case: tuple[np.ndarray, np.ndarray, ShiftGrid]) -> None:
    predictions, labels, grid = case
    pairs = [
        mean([a == b for a, b in itertools.product(image.values(), repeat=2)])
        for image in answers(predictions, grid)
    ]
    got = metrics.consistency(predictions, labels, grid)
    assert same(got.overall.value, mean(pairs))
    assert got.accuracy.value == metrics.moved_accuracy(predictions, labels).value
    if not grid.has_centre:
        assert got.right_when_unmoved is None
        return
    chosen = [
        pair
        for pair, image, label in zip(pairs, answers(predictions, grid), labels, strict=True)
        if image[0, 0] == label
    ]
    assert got.right_when_unmoved is not None
    assert got.right_when_unmoved.n_images == len(chosen)
    assert same(got.right_when_unmoved.value, mean(chosen))


@given(cases())
def test_agreement(case: tuple[np.ndarray, np.ndarray, ShiftGrid]) -> None:
    predictions, _, grid = case
    if not grid.has_centre or len(grid) == 1:
        with pytest.raises(ValueError, match=r"^grid: got [^\n]*, expected [^\n]*$"):
            metrics.agreement(predictions, grid)
        return
    agree = [
        answer == image[0, 0]
        for image in answers(predictions, grid)
        for shift, answer in image.items()
        if shift != (0, 0)
    ]
    assert same(metrics.agreement(predictions, grid).value, mean(agree))


@given(cases())
def test_confusion(case: tuple[np.ndarray, np.ndarray, ShiftGrid]) -> None:
    predictions, labels, grid = case
    confusion = metrics.confusion(predictions, labels)
    classes, counts = confusion.classes, confusion.counts
    assert classes.dtype == counts.dtype == np.int64
    assert classes.tolist() == sorted({*labels.tolist(), *predictions.reshape(-1).tolist()})
    by_hand = np.zeros_like(counts)
    place = {int(value): k for k, value in enumerate(classes)}
    for image, label in zip(answers(predictions, grid), labels, strict=True):
        for shift, answer in image.items():
            by_hand[(*grid.index(*shift), place[int(label)], place[answer])] += 1
    assert (counts == by_hand).all()


@given(cases())
def test_summarize(case: tuple[np.ndarray, np.ndarray, ShiftGrid]) -> None:
    predictions, labels, grid = case
    right = {
        shift: sum(
            image[shift] == label
            for image, label in zip(answers(predictions, grid), labels, strict=True)
        )
        for shift in map(tuple, grid.shifts().tolist())
    }
    n, total = len(labels), sum(right.values())

    def counts(correct: int, of: int) -> dict[str, float]:
        return {"correct": correct, "wrong": of - correct, "accuracy": correct / of}

    summary = metrics.summarize(torch.from_numpy(predictions), torch.from_numpy(labels), grid)
    assert summary == {
        "unmoved": counts(right[0, 0], n) if grid.has_centre else None,
        "moved": counts(total, n * len(grid)),
        "accuracy_map": [[right[dx, dy] / n for dx in grid.dx] for dy in grid.dy],
    }
    assert json.loads(json.dumps(summary)) == summary


@given(st.sampled_from(GRIDS), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_score_change(grid: ShiftGrid, n: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, *grid.shape, 4, generator=generator)
    labels = torch.randint(0, 4, (n,), generator=generator)
    if len(grid) == 1:
        with pytest.raises(ValueError, match=r"^grid: got a single shift"):
            metrics.score_change(logits, labels, grid)
        return
    scores = logits.double().softmax(-1)
    changes = []
    for image, label in zip(scores, labels.tolist(), strict=True):
        for a, b in neighbours(grid):
            pixels = abs(a[0] - b[0]) + abs(a[1] - b[1])
            change = image[grid.index(*a)][label] - image[grid.index(*b)][label]
            changes.append(abs(float(change)) / pixels)
    assert same(metrics.score_change(logits, labels, grid).value, mean(changes))


def test_scores_of_large_logits_do_not_overflow() -> None:
    grid = ShiftGrid(range(2), range(1))
    logits = np.array([[[[1000.0, 0.0], [0.0, 1000.0]]], [[[0.0, 1.0], [-3000.0, -3000.0]]]])
    first, second = metrics.score_change(logits, np.array([0, 0]), grid).values
    assert first == 1
    assert second == pytest.approx(0.5 - 1 / (1 + math.e))  # however large another image's are


def test_scores_of_many_images_are_those_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 5, 11, 3, generator=generator)
    labels = torch.randint(0, 3, (9,), generator=generator)
    at_once = metrics.score_change(logits, labels, ShiftGrid()).values
    monkeypatch.setattr("lenetshift.metrics.scores._LOGITS_AT_ONCE", 2 * 5 * 11 * 3)
    # In another order, so that memory left behind by the first call does not hold the answer.
    turned = metrics.score_change(logits.flip(0), labels.flip(0), ShiftGrid()).values
    assert (turned == at_once[::-1]).all()


def random_images(kind: str, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (4, 2, 7, 9) if "channels" in kind else (4, 7, 9)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    images[torch.rand(shape, generator=generator) < 0.8] = 0
    images[0] = 0  # without ink
    return images / 255 if "float" in kind else images


@pytest.mark.parametrize("kind", ["bytes", "bytes, channels", "floats", "floats, channels"])
@pytest.mark.parametrize("fill", [0, 0.1])
def test_lost_ink(kind: str, fill: float) -> None:
    grid = ShiftGrid(range(-8, 9, 2), range(-6, 7))
    images = random_images(kind, seed=1)
    if fill:
        images = torch.where(images == 0, torch.tensor(fill, dtype=images.dtype), images)
    blank = torch.tensor(fill, dtype=images.dtype if "floats" in kind else torch.float64)
    ink = (images.double() - blank.double()).abs()
    moved = reference.translate(ink, grid.shifts())  # [N, S, ..., H, W]
    total = ink.flatten(1).sum(1)
    stays = moved.flatten(2).sum(2)
    expected = torch.where(total[:, None] > 0, 1 - stays / total[:, None], 0.0)
    lost = metrics.lost_ink(images, grid, fill)
    assert lost.dtype == np.float32
    np.testing.assert_allclose(lost.reshape(4, -1), expected, atol=1e-6)
    # Rounding does not decide whether ink is lost: as many pixels with ink stay as there were.
    whole = (moved > 0).flatten(2).sum(2) == (ink > 0).flatten(1).sum(1)[:, None]
    assert ((lost.reshape(4, -1) == 0) == whole.numpy()).all()
    if not (fill and "bytes" in kind):
        assert 0 < whole.sum() < whole.numel()


def test_a_trace_of_ink_is_lost_as_a_whole_digit_is() -> None:
    images = torch.zeros(1, 4, 4)
    images[0, 1:3, 0] = 1e-3
    assert metrics.lost_ink(images, ShiftGrid(range(-1, 2), range(0, 2))).tolist() == [
        [[1, 0, 0], [1, 0, 0]]
    ]


@pytest.mark.parametrize("largest", [1e308, -1e308])
def test_lost_ink_of_huge_numbers_is_that_of_small_ones(largest: float) -> None:
    """Their sums overflow float64."""
    images = np.random.default_rng(0).random((3, 6, 7))
    grid = ShiftGrid(range(-2, 3), range(-2, 3))
    expected = metrics.lost_ink(images, grid)
    np.testing.assert_allclose(metrics.lost_ink(images * largest, grid), expected, rtol=1e-6)
    blank = metrics.lost_ink(np.zeros((1, 6, 7)), grid, largest)
    assert (blank == metrics.lost_ink(np.ones((1, 6, 7)), grid)).all()


def test_circular_shifts_lose_nothing() -> None:
    images = random_images("bytes", seed=2)
    assert not metrics.lost_ink(images, ShiftGrid(), "circular").any()


def test_lost_ink_of_many_images_is_that_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    images = random_images("bytes, channels", seed=3)
    at_once = metrics.lost_ink(images, ShiftGrid())
    monkeypatch.setattr("lenetshift.metrics.ink._PIXELS_AT_ONCE", 3 * 7 * 9)
    turned = metrics.lost_ink(
        images.flip(0), ShiftGrid()
    )  # so that memory left behind is not the answer
    assert (turned == at_once[::-1]).all()


@given(cases(), st.integers(0, 2**32 - 1))
def test_accuracy_without_loss(case: tuple[np.ndarray, np.ndarray, ShiftGrid], seed: int) -> None:
    predictions, labels, _ = case
    rng = np.random.default_rng(seed)
    lost = rng.choice(np.array([0, 0.25], np.float32), predictions.shape)
    lost[: len(lost) // 2] = 0.5  # images that lose ink everywhere do not count
    by_hand = [
        bool(predictions[at] == labels[at[0]]) for at in np.ndindex(*lost.shape) if lost[at] == 0
    ]
    got = metrics.accuracy_without_loss(predictions, labels, lost)
    assert same(got.value, mean(by_hand))
    assert got.n_images == sum((image == 0).any() for image in lost)


def test_a_label_of_256_is_not_a_prediction_of_0() -> None:
    predictions = torch.zeros(1, 1, 1, dtype=torch.uint8)
    assert metrics.moved_accuracy(predictions, torch.tensor([256])).value == 0


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64", ">u8", ">i2"])
def test_integers_of_every_kind_are_compared_exactly(dtype: str) -> None:
    """Also beyond 2**53, where float64 would take neighbours for one another."""
    largest = min(np.iinfo(dtype).max, 2**63 - 1)
    predictions = np.array([[[largest, largest - 1]]], dtype)
    labels = np.array([largest])
    assert metrics.moved_accuracy(predictions, labels).value == 0.5
    assert metrics.confusion(predictions, labels).classes.tolist() == [largest - 1, largest]
    assert metrics.flip_rate(predictions).value == 1


@pytest.mark.parametrize("form", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("value", [2**63, 2**64 - 1])
def test_integers_that_would_wrap_are_refused(form, value: int) -> None:
    small, large = np.zeros((1, 5, 11), np.uint64), np.full((1, 5, 11), value, np.uint64)
    message = rf"got values up to {value}, expected none beyond 2\*\*63 - 1$"
    for metric in (
        metrics.moved_accuracy,
        metrics.worst_case_accuracy,
        metrics.accuracy_map,
        metrics.class_maps,
        metrics.confusion,
        lambda predictions, labels: metrics.summarize(predictions, labels, ShiftGrid()),
        lambda predictions, labels: metrics.consistency(predictions, labels, ShiftGrid()),
    ):
        with pytest.raises(ValueError, match=rf"^labels: {message}"):
            metric(form(small), form(large[:, 0, 0]))
        with pytest.raises(ValueError, match=rf"^predictions: {message}"):
            metric(form(large), form(small[:, 0, 0]))


PREDICTIONS, LABELS, GRID = torch.zeros(2, 5, 11).byte(), torch.zeros(2).long(), ShiftGrid()
TURNED = torch.zeros(2, 11, 5).byte()  # the same number of answers, for other shifts
OFF_CENTRE = ShiftGrid(range(1, 12))

REFUSED = {
    "predictions: got float32 [2, 5, 11], expected integers [N, 5, 11], N >= 1": [
        lambda: metrics.summarize(PREDICTIONS.float(), LABELS, GRID)
    ],
    "predictions: got uint8 [2, 11, 5], expected integers [N, 5, 11], N >= 1": [
        lambda: metrics.summarize(TURNED, LABELS, GRID),
        lambda: metrics.unmoved_accuracy(TURNED, LABELS, GRID),
        lambda: metrics.consistency(TURNED, LABELS, GRID),
        lambda: metrics.consistency(TURNED, LABELS, OFF_CENTRE),
        lambda: metrics.agreement(TURNED, GRID),
    ],
    "predictions: got uint8 [2, 55], expected integers [N, n_dy, n_dx], N >= 1": [
        lambda: metrics.flip_rate(np.zeros((2, 55), np.uint8))
    ],
    "predictions: got uint8 [0, 5, 11], expected integers [N, n_dy, n_dx], N >= 1": [
        lambda: metrics.worst_case_accuracy(PREDICTIONS[:0], LABELS[:0])
    ],
    "predictions: got bool [2, 5, 11], expected integers [N, n_dy, n_dx], N >= 1": [
        lambda: metrics.confusion(PREDICTIONS > 0, LABELS)
    ],
    "labels: got float32 [2], expected integers [2], one per image": [
        lambda: metrics.summarize(PREDICTIONS, LABELS.float(), GRID)
    ],
    "labels: got int8 [1], expected integers [2], one per image": [
        lambda: metrics.moved_accuracy(PREDICTIONS, np.zeros(1, np.int8))
    ],
    "labels: got list, expected integers [2], one per image": [
        lambda: metrics.unmoved_accuracy(PREDICTIONS, [0, 0], GRID)
    ],
    "grid: got tuple, expected a ShiftGrid": [
        lambda: metrics.summarize(PREDICTIONS, LABELS, (5, 11))
    ],
    "grid: got ShiftGrid(dx=range(1, 12), dy=range(-2, 3)), expected one with the unmoved ": [
        lambda: metrics.agreement(PREDICTIONS, OFF_CENTRE)
    ],
    "logits: got NoneType, expected floating [N, 5, 11, K], N, K >= 1": [
        lambda: metrics.score_change(None, LABELS, GRID)
    ],
    **{
        f"logits: got float32 {list(shape)}, expected floating [N, 5, 11, K], N, K >= 1": [
            lambda shape=shape: metrics.score_change(torch.zeros(shape), LABELS, GRID)
        ]
        for shape in ((2, 5, 11), (2, 11, 5, 3), (2, 5, 11, 0), (0, 5, 11, 3))
    },
    "labels: got values in 3..3, expected 0..2: only a class of the model has a score": [
        lambda: metrics.score_change(torch.zeros(2, 5, 11, 3), LABELS + 3, GRID)
    ],
    "lost: got NoneType, expected floating [2, 5, 11], as lost_ink returns": [
        lambda: metrics.accuracy_without_loss(PREDICTIONS, LABELS, None)
    ],
    "lost: got float64 [2, 5, 10], expected floating [2, 5, 11], as lost_ink returns": [
        lambda: metrics.accuracy_without_loss(PREDICTIONS, LABELS, np.zeros((2, 5, 10)))
    ],
    "lost: got uint8 [2, 5, 11], expected floating [2, 5, 11], as lost_ink returns": [
        lambda: metrics.accuracy_without_loss(PREDICTIONS, LABELS, PREDICTIONS)
    ],
    **{
        f"lost: got values from {value} to {value}, expected fractions in 0..1": [
            lambda value=value: metrics.accuracy_without_loss(
                PREDICTIONS, LABELS, np.full((2, 5, 11), value)
            )
        ]
        for value in (-0.5, 1.5, np.nan)
    },
    **{
        f"fill: got {fill}, expected a number in 0..255, since the images are uint8": [
            lambda fill=fill: metrics.lost_ink(torch.zeros(2, 28, 28).byte(), GRID, fill)
        ]
        for fill in (256, -1)
    },
    "fill: got 100000.0, expected a number of at most 65504, since the images are float16": [
        lambda: metrics.lost_ink(torch.zeros(2, 28, 28).half(), GRID, 1e5)
    ],
    "grid: got dx -5..5, expected it within -3..3 for images of 4 x 4": [
        lambda: metrics.lost_ink(torch.zeros(2, 4, 4), GRID)
    ],
    "images: got int64 [2, 28, 28], expected uint8 or floating": [
        lambda: metrics.lost_ink(torch.zeros(2, 28, 28).long(), GRID)
    ],
}
"""What a message begins with -> the calls that raise it."""


@pytest.mark.parametrize(
    ("complaint", "call"), [(of, call) for of, calls in REFUSED.items() for call in calls]
)
def test_bad_arguments_are_refused(complaint: str, call: Callable[[], object]) -> None:
    with refused(complaint):
        call()


@pytest.mark.parametrize("grid", [None, [1, 2], print])
@pytest.mark.parametrize(
    ("metric", "arguments"),
    [
        (metrics.summarize, (PREDICTIONS, LABELS)),
        (metrics.unmoved_accuracy, (PREDICTIONS, LABELS)),
        (metrics.consistency, (PREDICTIONS, LABELS)),
        (metrics.agreement, (PREDICTIONS,)),
        (metrics.score_change, (torch.zeros(2, 5, 11, 3), LABELS)),
        (metrics.lost_ink, (torch.zeros(2, 28, 28),)),
    ],
)
def test_a_value_that_is_not_a_grid_is_refused(metric, arguments, grid) -> None:
    with pytest.raises(ValueError, match=r"^grid: got \w+, expected a ShiftGrid$"):
        metric(*arguments, grid)


def test_images_that_lose_ink_with_every_move_have_no_accuracy_without_loss() -> None:
    """Such as photographs: their background is not the fill."""
    grey = np.full((4, 6, 6), 90, np.uint8)
    grid = ShiftGrid(range(-1, 2), range(-1, 2))
    predictions, labels = np.zeros((4, 3, 3), np.uint8), np.zeros(4, np.int64)
    lost = metrics.lost_ink(grey, grid)
    with pytest.raises(
        NotAvailable, match=r"^lost: got ink lost by every image at every shift but \(0, 0\)"
    ):
        metrics.accuracy_without_loss(predictions, labels, lost, grid)
    assert metrics.accuracy_without_loss(predictions, labels, lost).value == 1.0  # where is unknown
    one = metrics.accuracy_without_loss(
        predictions[:, 1:2, 1:2], labels, lost[:, 1:2, 1:2], ShiftGrid(range(1), range(1))
    )
    assert one.value == 1.0  # of a single shift nothing else is expected
    digits = np.pad(grey[:, 2:4, 2:4], ((0, 0), (2, 2), (2, 2)))
    whole = metrics.lost_ink(digits, grid)
    assert metrics.accuracy_without_loss(predictions, labels, whole, grid).value == 1.0
