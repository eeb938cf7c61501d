"""Every metric against a count by hand, over all shifts and all pairs of them."""

from __future__ import annotations

import itertools
import json
import math
import tracemalloc

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from lenetshift import metrics, reference
from lenetshift.metrics import ImageMean, image_mean
from lenetshift.metrics.image_mean import LEAST_RESAMPLES, N_RESAMPLES, over_images
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
    """Answers and labels of few classes, so that they often agree, over any grid; labels may be what
    no model answers."""
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
    """For each image its answer by shift."""
    return [
        {shift: int(image[grid.index(*shift)]) for shift in map(tuple, grid.shifts().tolist())}
        for image in predictions
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
    flips = [
        image[a] != image[b]
        for image in answers(predictions, grid)
        for a, b in itertools.combinations(image, 2)
        if (abs(a[0] - b[0]), abs(a[1] - b[1])) in ((grid.dx.step, 0), (0, grid.dy.step))
    ]
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
        score = {
            (dx, dy): float(image[grid.index(dx, dy)][label]) for dx, dy in grid.shifts().tolist()
        }
        for a, b in itertools.combinations(score, 2):
            pixels = abs(a[0] - b[0]) + abs(a[1] - b[1])
            if (abs(a[0] - b[0]), abs(a[1] - b[1])) in ((grid.dx.step, 0), (0, grid.dy.step)):
                changes.append(abs(score[a] - score[b]) / pixels)
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
    # In another order, so that memory which the first call has left behind is no answer.
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
    # Whether any is lost is not a question of rounding: as many pixels with ink stay as there were.
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
    """Whose sums float64 does not hold."""
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
    turned = metrics.lost_ink(images.flip(0), ShiftGrid())  # else memory left behind could answer
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


def few_valued(n: int, rng: np.random.Generator) -> np.ndarray:
    """Fractions of 55 patterns, most near 1, as of moved accuracy."""
    return rng.binomial(55, rng.beta(4, 1, n)) / 55


def samples() -> dict[str, ImageMean]:
    """Skewed values of every kind, so that the corrections for it count, in both ways of drawing."""
    rng = np.random.default_rng(6)
    n_patterns = rng.integers(1, 4, 2000)
    return {
        "binary": over_images(rng.random(1000) < 0.05),
        "56-valued": over_images(few_valued(1500, rng)),
        "continuous": over_images(rng.exponential(1, 60)),
        "weighted": over_images(rng.binomial(n_patterns, 0.9) / n_patterns, n_patterns),
        "weighted, continuous": over_images(rng.exponential(1, 60), rng.integers(1, 20, 60)),
    }


def weighted_mean(values: np.ndarray, weights: np.ndarray, axis: int = -1) -> np.ndarray:
    return (values * weights).sum(axis) / weights.sum(axis)


@st.composite
def weighted_images(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Values and weights of few images, with repetitions."""
    n = draw(st.integers(2, 12))
    tenths = st.integers(-10, 10).map(lambda tenth: tenth / 10)
    values = draw(st.lists(tenths, min_size=n, max_size=n).filter(lambda v: len(set(v)) > 1))
    weights = draw(st.lists(st.integers(1, 9), min_size=n, max_size=n))
    return np.array(values), np.array(weights, dtype=np.float64)


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64", ">u8", ">i2"])
def test_integers_of_every_kind_are_compared_exactly(dtype: str) -> None:
    """Also beyond 2**53, where float64 would take neighbours for one another."""
    largest = min(np.iinfo(dtype).max, 2**63 - 1)
    predictions = np.full((1, 1, 2), largest, dtype)
    predictions[0, 0, 1] -= 1
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


class TestInterval:
    def test_of_a_fraction_is_that_of_the_binomial_distribution(self) -> None:
        """For 1,000 images the normal interval p +- z sqrt(p (1 - p) / n) is exact to some parts in a
        hundred, which the 2,000 resamples are as well."""
        right = np.arange(1000) < 700
        metric = over_images(right)
        for level in (0.68, 0.95, 0.99):
            low, high = metric.interval(level, seed=1)
            half = scipy.stats.norm.ppf((1 + level) / 2) * math.sqrt(0.7 * 0.3 / 1000)
            assert low == pytest.approx(0.7 - half, abs=0.12 * half)
            assert high == pytest.approx(0.7 + half, abs=0.12 * half)

    def test_covers_the_truth_as_often_as_it_says(self) -> None:
        """200 samples of 60 images, of whose values the mean is 1: with 90 %, 154 to 198 intervals hold it
        in all but one of a million series (a binomial distribution; BCa on 60 skewed values
        comes short by some per cent, too)."""
        rng = np.random.default_rng(0)
        covered = 0
        for _ in range(200):
            low, high = over_images(rng.exponential(1, 60)).interval(0.9, n_resamples=999)
            covered += low <= 1 <= high
        assert 154 <= covered <= 198

    def test_takes_the_patterns_of_an_image_for_one_observation(self) -> None:
        """55 patterns an image that are all right or all wrong say no more than one does."""
        labels = np.zeros(400, dtype=np.int64)
        one = (np.arange(400) % 4 == 0).astype(np.uint8)[:, None, None]
        many = np.broadcast_to(one, (400, 5, 11)).copy()
        intervals = [metrics.moved_accuracy(p, labels).interval() for p in (one, many)]
        assert intervals[0] == intervals[1]

    def test_is_over_the_images_that_count(self) -> None:
        values = np.array([0.2, 0.9, 0.4, 0.7] * 50)
        chosen = np.array([1, 0, 1, 0] * 50)
        values[chosen == 0] = np.nan
        metric = over_images(values, chosen)
        assert metric.value == pytest.approx(0.3)
        assert metric.n_images == 100
        assert metric.interval() == over_images(values[chosen == 1]).interval()

    def test_resamples_values_with_their_weights(self) -> None:
        """A ratio of sums: its normal interval has the variance of ``w (v - ratio) / mean(w)``."""
        rng = np.random.default_rng(3)
        weights = rng.integers(1, 50, 2000).astype(np.float64)
        values = rng.binomial(weights.astype(int), 1 / (1 + weights / 20)) / weights
        metric = ImageMean(values, weights)
        residuals = weights * (values - metric.value) / weights.mean()
        half = 1.96 * residuals.std() / math.sqrt(2000)
        low, high = metric.interval()
        assert low == pytest.approx(metric.value - half, abs=0.12 * half)
        assert high == pytest.approx(metric.value + half, abs=0.12 * half)
        unweighted = over_images(values).interval()
        assert high < unweighted.low  # the trap: another value altogether

    def test_is_a_function_of_its_seed(self) -> None:
        metric = over_images(np.random.default_rng(0).random(50))
        assert metric.interval(seed=1) == metric.interval(seed=1)
        assert metric.interval(seed=1) != metric.interval(seed=2)

    def test_its_defaults_are_those_that_it_documents(self) -> None:
        metric = over_images(np.random.default_rng(0).random(50))
        assert metric.interval() == metric.interval(0.95, n_resamples=N_RESAMPLES, seed=0)
        assert metric.interval(n_resamples=99) != metric.interval(n_resamples=N_RESAMPLES)

    def test_two_images_are_enough(self) -> None:
        low, high = over_images(np.array([0.0, 1.0])).interval()
        assert 0 <= low <= high <= 1

    @pytest.mark.parametrize("kind", samples())
    def test_is_scipys(self, kind: str) -> None:
        """Over 20 seeds, both ends, in standard errors of the metric. One end of 1,999 resamples varies
        by some 0.08 of them, the difference of two means of 20 so by 0.025."""
        metric = samples()[kind]
        ends, expected = [], []
        for seed in range(20):
            ends.append(metric.interval(0.95, seed=seed))
            result = scipy.stats.bootstrap(
                (metric.values, metric.weights),
                weighted_mean,
                paired=True,
                vectorized=True,
                n_resamples=N_RESAMPLES,
                method="BCa",
                rng=np.random.default_rng(seed),
            )
            expected.append(result.confidence_interval)
        difference = np.mean(ends, axis=0) - np.mean(expected, axis=0)
        assert (np.abs(difference) < 0.1 * result.standard_error).all()

    @given(weighted_images())
    def test_leaves_each_image_out(self, images: tuple[np.ndarray, np.ndarray]) -> None:
        values, weights = images
        pairs, at, counts = np.unique(
            np.stack(images), axis=1, return_inverse=True, return_counts=True
        )
        n = len(values)
        mean = weighted_mean(values, weights)
        by_hand = np.empty(n)
        for i in range(n):
            others = np.arange(n) != i
            by_hand[i] = weighted_mean(values[others], weights[others])
        left_out = image_mean._left_out(*pairs, counts)
        np.testing.assert_allclose(mean + left_out[at.ravel()], by_hand, rtol=0, atol=1e-12)

        u = (n - 1) * (by_hand.mean() - by_hand)
        acceleration = (u**3).sum() / n**3 / (6 * ((u**2).sum() / n**2) ** 1.5)
        assert image_mean._acceleration(left_out, counts) == pytest.approx(acceleration, abs=1e-12)

    @pytest.mark.parametrize("kind", samples())
    def test_does_not_depend_on_the_order_nor_on_the_unit_of_the_weights(self, kind: str) -> None:
        metric = samples()[kind]
        order = np.random.default_rng(1).permutation(len(metric.values))
        shuffled = ImageMean(metric.values[order], metric.weights[order])
        assert shuffled.interval() == metric.interval()
        tripled = ImageMean(metric.values, 3 * metric.weights)
        assert tripled.interval() == pytest.approx(metric.interval(), rel=1e-12)

    @pytest.mark.parametrize("at_once", [1, 7, 1000])
    @pytest.mark.parametrize("kind", samples())
    def test_does_not_depend_on_how_many_are_drawn_at_once(
        self, kind: str, at_once: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        metric = samples()[kind]
        expected = metric.interval(n_resamples=99)
        monkeypatch.setattr(image_mean, "_DRAWN_AT_ONCE", at_once)
        assert metric.interval(n_resamples=99) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("n_distinct", [2, 56, 20_000, 1_000_000])
    def test_of_a_million_images_takes_little_memory(self, n_distinct: int) -> None:
        """16 MB hold all pairs of value and weight; ten times that is enough to sort and count them, and
        all resamples together would take 160 MB and more of each array."""
        values = np.arange(1_000_000) % n_distinct / n_distinct
        metric = over_images(values)
        n_resamples = LEAST_RESAMPLES if n_distinct == len(values) else 1000
        tracemalloc.start()
        try:
            low, high = metric.interval(n_resamples=n_resamples)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert low < metric.value < high
        assert peak < 160e6

    def test_of_few_distinct_values_draws_no_single_images(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So that a million images take as long as a thousand."""
        monkeypatch.delattr(image_mean, "_sums_of_images")
        low, high = over_images(np.arange(1_000_000) % 56 / 55).interval()
        assert 0.499 < low < 0.5 < high < 0.501

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize(
        ("values", "weights"),
        [
            ([0] * 999 + [1], None),  # the acceleration is all but 1 / 6, its greatest
            ([1] * 999 + [0], None),
            ([0] * 5 + [1], None),
            ([0, 1], [1, 1e9]),
            ([0, 1, 1], [1e9, 1, 1]),
            ([1, 1 + 2e-16], None),
            ([1e-200, 2e-200, 5e-200], None),
            ([-1e200, 2e200, 5e200], None),
            ([0.1] * 9 + [-0.9], None),  # the mean is 0 but for rounding
        ],
    )
    @pytest.mark.parametrize("level", [0.5, 0.95, 0.999, 1 - 1e-16])
    @pytest.mark.parametrize("n_resamples", [LEAST_RESAMPLES, 1000])
    def test_of_few_images_that_differ_holds_the_value(
        self, values: list[float], weights: list[float] | None, level: float, n_resamples: int
    ) -> None:
        metric = over_images(np.array(values), None if weights is None else np.array(weights))
        low, high = metric.interval(level, n_resamples=n_resamples)
        assert min(values) <= low <= high <= max(values)
        rounding = 1e-15 * max(np.abs(values))
        assert low <= metric.value + rounding
        assert high >= metric.value - rounding

    def test_grows_with_the_level(self) -> None:
        """Also where a tail holds less than one resample: the end is then close to the extreme one."""
        metric = over_images(np.random.default_rng(2).exponential(1, 100))
        levels = [0.5, 0.9, 0.99, 0.999, 1 - 1e-9, 1 - 1e-15]
        lows, highs = zip(*(metric.interval(p, n_resamples=100) for p in levels), strict=True)
        assert sorted(lows, reverse=True) == list(lows)
        assert sorted(highs) == list(highs)

    def test_takes_means_that_differ_by_rounding_for_equal(self) -> None:
        """Sums of tenths round, sums of the whole numbers that are ten times as large do not."""
        tenths = np.random.default_rng(0).integers(0, 11, 13)
        for seed in range(10):
            expected = np.array(over_images(tenths).interval(0.7, seed=seed)) / 10
            ends = over_images(tenths / 10).interval(0.7, seed=seed)
            assert ends == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize(
        ("means", "share"),
        [
            ([1, 2, 3, 4], 0.5 / 4),  # not 0
            ([-1, -2, -3, -4], 1 - 0.5 / 4),  # not 1
            ([0, 0, 0, 0], 0.5),
            ([-1, 0, 0, 2], 0.5),
            ([-1, -2, 0, 2], 0.625),
            ([1, 2, 3, -1e-9], 0.25),
            ([1, 2, 3, -1e-15], 0.125),
        ],
    )
    def test_counts_equal_means_half(self, means: list[float], share: float) -> None:
        assert image_mean._share_below(np.array(means), 0, image_mean._ROUNDING) == share

    def test_corrects_as_in_the_textbook(self) -> None:
        """Efron and Tibshirani (1993, section 14.3): bias 0.146 and acceleration 0.061 turn 5 % and 95 %
        into 11.0 % and 98.5 %."""
        below = scipy.stats.norm.cdf(0.146)
        low, high = image_mean._bca_shares(below, 0.061, 0.9)
        assert low == pytest.approx(0.110, abs=5e-4)
        assert high == pytest.approx(0.985, abs=6e-4)

    @pytest.mark.parametrize("acceleration", [1 / 6, -1 / 6])
    def test_an_end_does_not_come_back_from_the_other_side(self, acceleration: float) -> None:
        """The denominator is 0 six standard deviations out, where 1 - level is 2e-9."""
        for below in (0.5, 0.9):
            for level in (1 - 1e-8, 1 - 1e-10, 1 - 1e-16):
                low, high = image_mean._bca_shares(below, acceleration, level)
                assert 0 <= low < below < high <= 1

    @pytest.mark.filterwarnings("error")
    def test_of_images_that_are_alike_has_no_width(self) -> None:
        assert over_images(np.ones(10)).interval() == (1, 1)

    @pytest.mark.parametrize(
        ("settings", "complaint"),
        [
            ({"level": 0}, "level: got 0, expected a number between 0 and 1"),
            ({"level": 95}, "level: got 95, expected a number between 0 and 1"),
            ({"level": "0.95"}, "level: got '0.95', expected a number between 0 and 1"),
            ({"n_resamples": 1}, "n_resamples: got 1, expected an int of 39 or more"),
            ({"n_resamples": 38}, "n_resamples: got 38, expected an int of 39 or more"),
            ({"n_resamples": 99.0}, "n_resamples: got 99.0, expected an int of 39 or more"),
            ({"seed": -1}, "seed: got -1, expected an int in 0"),
        ],
    )
    def test_bad_settings(self, settings: dict[str, float], complaint: str) -> None:
        with pytest.raises(ValueError, match=rf"^{complaint}[^\n]*$"):
            over_images(np.arange(5)).interval(**settings)

    @pytest.mark.parametrize("counted", [[0, 0, 0], [0, 1, 0]])
    def test_needs_two_images(self, counted: list[int]) -> None:
        metric = over_images(np.arange(3), np.array(counted))
        with pytest.raises(
            ValueError, match=r"^images: got [01] that the metric counts, expected 2"
        ):
            metric.interval()


PREDICTIONS, LABELS = torch.zeros(2, 5, 11).byte(), torch.zeros(2).long()
TURNED = torch.zeros(2, 11, 5).byte()  # as many answers, to other shifts


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (
            lambda: metrics.summarize(PREDICTIONS.float(), LABELS, ShiftGrid()),
            "predictions: got float32 [2, 5, 11], expected integers [N, 5, 11], N >= 1",
        ),
        (
            lambda: metrics.summarize(TURNED, LABELS, ShiftGrid()),
            "predictions: got uint8 [2, 11, 5], expected integers [N, 5, 11], N >= 1",
        ),
        *(
            (call, "predictions: got uint8 [2, 11, 5], expected integers [N, 5, 11], N >= 1")
            for call in (
                lambda: metrics.unmoved_accuracy(TURNED, LABELS, ShiftGrid()),
                lambda: metrics.consistency(TURNED, LABELS, ShiftGrid()),
                lambda: metrics.consistency(TURNED, LABELS, ShiftGrid(range(1, 12))),
                lambda: metrics.agreement(TURNED, ShiftGrid()),
            )
        ),
        (
            lambda: metrics.flip_rate(np.zeros((2, 55), np.uint8)),
            "predictions: got uint8 [2, 55], expected integers [N, n_dy, n_dx], N >= 1",
        ),
        (
            lambda: metrics.worst_case_accuracy(PREDICTIONS[:0], LABELS[:0]),
            "predictions: got uint8 [0, 5, 11], expected integers [N, n_dy, n_dx], N >= 1",
        ),
        (
            lambda: metrics.confusion(PREDICTIONS > 0, LABELS),
            "predictions: got bool [2, 5, 11], expected integers [N, n_dy, n_dx], N >= 1",
        ),
        (
            lambda: metrics.summarize(PREDICTIONS, LABELS.float(), ShiftGrid()),
            "labels: got float32 [2], expected integers [2], one per image",
        ),
        (
            lambda: metrics.moved_accuracy(PREDICTIONS, np.zeros(1, np.int8)),
            "labels: got int8 [1], expected integers [2], one per image",
        ),
        (
            lambda: metrics.unmoved_accuracy(PREDICTIONS, [0, 0], ShiftGrid()),
            "labels: got list, expected integers [2], one per image",
        ),
        (
            lambda: metrics.summarize(PREDICTIONS, LABELS, (5, 11)),
            "grid: got tuple, expected a ShiftGrid",
        ),
        (
            lambda: metrics.agreement(PREDICTIONS, ShiftGrid(range(1, 12))),
            "grid: got ShiftGrid(dx=range(1, 12), dy=range(-2, 3)), expected one with the unmoved ",
        ),
        (
            lambda: metrics.score_change(None, LABELS, ShiftGrid()),
            "logits: got NoneType, expected floating [N, 5, 11, K], N, K >= 1",
        ),
        (
            lambda: metrics.score_change(torch.zeros(2, 5, 11), LABELS, ShiftGrid()),
            "logits: got float32 [2, 5, 11], expected floating [N, 5, 11, K], N, K >= 1",
        ),
        *(
            (
                lambda shape=shape: metrics.score_change(torch.zeros(shape), LABELS, ShiftGrid()),
                f"logits: got float32 {list(shape)}, expected floating [N, 5, 11, K], N, K >= 1",
            )
            for shape in ((2, 11, 5, 3), (2, 5, 11, 0), (0, 5, 11, 3))
        ),
        (
            lambda: metrics.score_change(torch.zeros(2, 5, 11, 3), LABELS + 3, ShiftGrid()),
            "labels: got values in 3..3, expected 0..2: only a class of the model has a score",
        ),
        (
            lambda: metrics.accuracy_without_loss(PREDICTIONS, LABELS, np.zeros((2, 5, 10))),
            "lost: got float64 [2, 5, 10], expected floating [2, 5, 11], as lost_ink returns",
        ),
        *(
            (
                lambda value=value: metrics.accuracy_without_loss(
                    PREDICTIONS, LABELS, np.full((2, 5, 11), value)
                ),
                f"lost: got values from {value} to {value}, expected fractions in 0..1",
            )
            for value in (-0.5, 1.5, np.nan)
        ),
        (
            lambda: metrics.accuracy_without_loss(PREDICTIONS, LABELS, PREDICTIONS),
            "lost: got uint8 [2, 5, 11], expected floating [2, 5, 11], as lost_ink returns",
        ),
        *(
            (
                lambda fill=fill: metrics.lost_ink(
                    torch.zeros(2, 28, 28).byte(), ShiftGrid(), fill
                ),
                f"fill: got {fill}, expected a number in 0..255, since the images are uint8",
            )
            for fill in (256, -1)
        ),
        (
            lambda: metrics.lost_ink(torch.zeros(2, 28, 28).half(), ShiftGrid(), 1e5),
            "fill: got 100000.0, expected a number of at most 65504, since the images are float16",
        ),
        (
            lambda: metrics.lost_ink(torch.zeros(2, 4, 4), ShiftGrid()),
            "grid: got dx -5..5, expected it within -3..3 for images of 4 x 4",
        ),
        (
            lambda: metrics.lost_ink(torch.zeros(2, 28, 28).long(), ShiftGrid()),
            "images: got int64 [2, 28, 28], expected uint8 or floating",
        ),
    ],
)
def test_bad_arguments_are_refused(call, complaint) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  the message is compared below
        call()
    assert str(error.value).startswith(complaint)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("grid", [None, [1, 2], print])
@pytest.mark.parametrize(
    "metric",
    [
        lambda grid: metrics.summarize(PREDICTIONS, LABELS, grid),
        lambda grid: metrics.unmoved_accuracy(PREDICTIONS, LABELS, grid),
        lambda grid: metrics.consistency(PREDICTIONS, LABELS, grid),
        lambda grid: metrics.agreement(PREDICTIONS, grid),
        lambda grid: metrics.score_change(torch.zeros(2, 5, 11, 3), LABELS, grid),
        lambda grid: metrics.lost_ink(torch.zeros(2, 28, 28), grid),
    ],
)
def test_what_is_no_grid_is_refused(metric, grid) -> None:
    with pytest.raises(ValueError, match=r"^grid: got \w+, expected a ShiftGrid$"):
        metric(grid)
