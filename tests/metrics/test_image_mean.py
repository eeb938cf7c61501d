"""Intervals of a mean over images, against the normal and binomial distributions, SciPy and a textbook."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from cases import memory_below
from hypothesis import given
from hypothesis import strategies as st

from lenetshift import metrics
from lenetshift.checks.errors import NotAvailable
from lenetshift.metrics import ImageMean, image_mean
from lenetshift.metrics.image_mean import LEAST_RESAMPLES, N_RESAMPLES, over_images


def samples() -> dict[str, ImageMean]:
    """Skewed values of every kind, so that the corrections for it count, in both ways of drawing."""
    rng = np.random.default_rng(6)
    n_patterns = rng.integers(1, 4, 2000)
    return {
        "binary": over_images(rng.random(1000) < 0.05),
        # Fractions of 55 patterns, most near 1, like moved accuracy.
        "56-valued": over_images(rng.binomial(55, rng.beta(4, 1, 1500)) / 55),
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


def test_of_a_fraction_is_that_of_the_binomial_distribution() -> None:
    """For 1,000 images, the normal interval p +- z sqrt(p (1 - p) / n) is exact to a few per cent; 2,000
    resamples are as exact."""
    right = np.arange(1000) < 700
    metric = over_images(right)
    for level in (0.68, 0.95, 0.99):
        low, high = metric.interval(level, seed=1)
        half = scipy.stats.norm.ppf((1 + level) / 2) * math.sqrt(0.7 * 0.3 / 1000)
        assert low == pytest.approx(0.7 - half, abs=0.12 * half)
        assert high == pytest.approx(0.7 + half, abs=0.12 * half)


def test_covers_the_truth_as_often_as_it_says() -> None:
    """200 samples of 60 images from a distribution with mean 1. At 90 %, 154 to 198 intervals contain it
    in all but one of a million series (a binomial distribution; BCa on 60 skewed values also falls
    short by a few per cent)."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        low, high = over_images(rng.exponential(1, 60)).interval(0.9, n_resamples=999)
        covered += low <= 1 <= high
    assert 154 <= covered <= 198


def test_takes_the_patterns_of_an_image_for_one_observation() -> None:
    """55 patterns of an image that are all right or all wrong say no more than one."""
    labels = np.zeros(400, dtype=np.int64)
    one = (np.arange(400) % 4 == 0).astype(np.uint8)[:, None, None]
    many = np.broadcast_to(one, (400, 5, 11)).copy()
    intervals = [metrics.moved_accuracy(p, labels).interval() for p in (one, many)]
    assert intervals[0] == intervals[1]


def test_is_over_the_images_that_count() -> None:
    values = np.array([0.2, 0.9, 0.4, 0.7] * 50)
    chosen = np.array([1, 0, 1, 0] * 50)
    values[chosen == 0] = np.nan
    metric = over_images(values, chosen)
    assert metric.value == pytest.approx(0.3)
    assert metric.n_images == 100
    assert metric.interval() == over_images(values[chosen == 1]).interval()


def test_resamples_values_with_their_weights() -> None:
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


def test_is_a_function_of_its_settings_with_the_defaults_that_it_documents() -> None:
    metric = over_images(np.random.default_rng(0).random(50))
    assert metric.interval(seed=1) == metric.interval(seed=1)
    assert metric.interval(seed=1) != metric.interval(seed=2)
    assert metric.interval() == metric.interval(0.95, n_resamples=N_RESAMPLES, seed=0)
    assert metric.interval(n_resamples=99) != metric.interval(n_resamples=N_RESAMPLES)


@pytest.mark.parametrize("kind", samples())
def test_is_scipys(kind: str) -> None:
    """Both ends, averaged over 20 seeds, in standard errors of the metric. One end of 1,999 resamples
    varies by some 0.08 of them, so the difference of two means of 20 varies by 0.025."""
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
def test_leaves_each_image_out(images: tuple[np.ndarray, np.ndarray]) -> None:
    values, weights = images
    pairs, at, counts = np.unique(np.stack(images), axis=1, return_inverse=True, return_counts=True)
    n = len(values)
    mean = weighted_mean(values, weights)
    by_hand = np.empty(n)
    for i in range(n):
        others = np.arange(n) != i
        by_hand[i] = weighted_mean(values[others], weights[others])
    left_out = image_mean.left_out(*pairs, counts)
    np.testing.assert_allclose(mean + left_out[at.ravel()], by_hand, rtol=0, atol=1e-12)

    u = (n - 1) * (by_hand.mean() - by_hand)
    acceleration = (u**3).sum() / n**3 / (6 * ((u**2).sum() / n**2) ** 1.5)
    assert image_mean._acceleration(left_out, counts) == pytest.approx(acceleration, abs=1e-12)


@pytest.mark.parametrize("kind", samples())
def test_does_not_depend_on_the_order_nor_on_the_unit_of_the_weights(kind: str) -> None:
    metric = samples()[kind]
    order = np.random.default_rng(1).permutation(len(metric.values))
    shuffled = ImageMean(metric.values[order], metric.weights[order])
    assert shuffled.interval() == metric.interval()
    tripled = ImageMean(metric.values, 3 * metric.weights)
    assert tripled.interval() == pytest.approx(metric.interval(), rel=1e-12)


@pytest.mark.parametrize("at_once", [1, 7, 1000])
@pytest.mark.parametrize("kind", samples())
def test_does_not_depend_on_how_many_are_drawn_at_once(
    kind: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = samples()[kind]
    expected = metric.interval(n_resamples=99)
    monkeypatch.setattr(image_mean, "_DRAWN_AT_ONCE", at_once)
    assert metric.interval(n_resamples=99) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n_distinct", [2, 56, 20_000, 1_000_000])
def test_of_a_million_images_takes_little_memory(n_distinct: int) -> None:
    """16 MB hold all pairs of value and weight; ten times that is enough to sort and count them, and
    all resamples together would take 160 MB and more of each array."""
    values = np.arange(1_000_000) % n_distinct / n_distinct
    metric = over_images(values)
    n_resamples = LEAST_RESAMPLES if n_distinct == len(values) else 1000
    with memory_below(160e6):
        low, high = metric.interval(n_resamples=n_resamples)
    assert low < metric.value < high


def test_of_few_distinct_values_draws_no_single_images(
    monkeypatch: pytest.MonkeyPatch,
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
        ([0, 1], None),
        ([0, 1], [1, 1e9]),
        ([0, 1, 1], [1e9, 1, 1]),
        ([1, 1 + 2e-16], None),
        ([1e-200, 2e-200, 5e-200], None),
        ([-1e200, 2e200, 5e200], None),
        ([0.1] * 9 + [-0.9], None),  # the mean is 0 except for rounding
    ],
)
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999, 1 - 1e-16])
@pytest.mark.parametrize("n_resamples", [LEAST_RESAMPLES, 1000])
def test_of_few_images_that_differ_holds_the_value(
    values: list[float], weights: list[float] | None, level: float, n_resamples: int
) -> None:
    metric = over_images(np.array(values), None if weights is None else np.array(weights))
    low, high = metric.interval(level, n_resamples=n_resamples)
    assert min(values) <= low <= high <= max(values)
    rounding = 1e-15 * max(np.abs(values))
    assert low <= metric.value + rounding
    assert high >= metric.value - rounding


def test_grows_with_the_level() -> None:
    """Also where a tail holds less than one resample: the end is then close to the extreme one."""
    metric = over_images(np.random.default_rng(2).exponential(1, 100))
    levels = [0.5, 0.9, 0.99, 0.999, 1 - 1e-9, 1 - 1e-15]
    lows, highs = zip(*(metric.interval(p, n_resamples=100) for p in levels), strict=True)
    assert sorted(lows, reverse=True) == list(lows)
    assert sorted(highs) == list(highs)


def test_takes_means_that_differ_by_rounding_for_equal() -> None:
    """Sums of tenths are rounded; sums of whole numbers ten times as large are not."""
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
def test_counts_equal_means_half(means: list[float], share: float) -> None:
    assert image_mean._share_below(np.array(means), 0, image_mean.ROUNDING) == share


def test_corrects_as_in_the_textbook() -> None:
    """Efron and Tibshirani (1993, section 14.3): bias 0.146 and acceleration 0.061 turn 5 % and 95 %
    into 11.0 % and 98.5 %."""
    below = scipy.stats.norm.cdf(0.146)
    low, high = image_mean._bca_shares(below, 0.061, 0.9)
    assert low == pytest.approx(0.110, abs=5e-4)
    assert high == pytest.approx(0.985, abs=6e-4)


@pytest.mark.parametrize("acceleration", [1 / 6, -1 / 6])
def test_an_end_does_not_come_back_from_the_other_side(acceleration: float) -> None:
    """The denominator is 0 six standard deviations out, where 1 - level is 2e-9."""
    for below in (0.5, 0.9):
        for level in (1 - 1e-8, 1 - 1e-10, 1 - 1e-16):
            low, high = image_mean._bca_shares(below, acceleration, level)
            assert 0 <= low < below < high <= 1


@pytest.mark.filterwarnings("error")
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
def test_bad_settings(settings: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=rf"^{complaint}[^\n]*$"):
        over_images(np.arange(5)).interval(**settings)


@pytest.mark.parametrize("counted", [[0, 0, 0], [0, 1, 0]])
def test_needs_two_images(counted: list[int]) -> None:
    metric = over_images(np.arange(3), np.array(counted))
    with pytest.raises(NotAvailable, match=r"^images: got [01] that the metric counts, expected 2"):
        metric.interval()


@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
@pytest.mark.parametrize("n", [2, 120, 10_000])
def test_images_that_are_all_right_or_all_wrong_leave_room_for_others(n: int, level: float) -> None:
    """Clopper and Pearson's exact interval, as SciPy has it."""
    for value in (0.0, 1.0):
        found = ImageMean(np.full(n, value), np.ones(n)).interval(level)
        exact = scipy.stats.binomtest(round(n * value), n).proportion_ci(level, "exact")
        assert found == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_images_that_are_all_alike_leave_room_within_the_bounds() -> None:
    others = 1 - 0.025 ** (1 / 50)
    alike = np.full(50, 0.25)
    assert ImageMean(alike, np.ones(50)).interval() == pytest.approx(
        (0.25 - 0.25 * others, 0.25 + 0.75 * others)
    )
    wide = ImageMean(alike, np.ones(50), (-1.0, 1.0)).interval()
    assert wide == pytest.approx((0.25 - 1.25 * others, 0.25 + 0.75 * others))
