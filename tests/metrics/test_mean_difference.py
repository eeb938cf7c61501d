"""Differences of two means over the same images, against SciPy and distributions that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from lenetshift.checks.errors import NotAvailable
from lenetshift.metrics import ImageMean, MeanDifference, mean_difference
from lenetshift.metrics.image_mean import N_RESAMPLES, over_images


def correlated(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Values of two networks that find the same images hard; b is right 0.1 more often."""
    hardness = rng.beta(1, 2, n)
    a = rng.binomial(20, 0.9 * (1 - hardness)) / 20
    return a, np.minimum(1, a + rng.binomial(20, 0.1, n) / 20)


def own_weights(n: int, seed: int) -> MeanDifference:
    """One whose means are over different images, such as those that each network answers right."""
    rng = np.random.default_rng(seed)
    a, b = correlated(n, rng)
    return MeanDifference(over_images(a, rng.random(n) < 0.8), over_images(b, rng.random(n) < 0.6))


def test_the_value_is_the_difference_of_the_means() -> None:
    a = ImageMean(np.array([1.0, 0.5, 0.0]), np.array([1.0, 1.0, 2.0]))
    b = ImageMean(np.array([1.0, 1.0, 0.5]), np.array([0.0, 1.0, 1.0]))
    assert MeanDifference(a, b).value == pytest.approx(0.75 - 0.375)
    assert MeanDifference(b, a).value == pytest.approx(0.375 - 0.75)


def test_with_equal_weights_it_is_the_mean_of_the_paired_differences() -> None:
    rng = np.random.default_rng(0)
    a, b = correlated(300, rng)
    weights = rng.integers(1, 5, 300).astype(float)
    difference = MeanDifference(ImageMean(a, weights), ImageMean(b, weights))
    paired = ImageMean(b - a, weights)
    assert difference.value == pytest.approx(paired.value)
    how = {"level": 0.9, "n_resamples": 499, "seed": 3}
    assert difference.interval(**how) == paired.interval(**how)


def test_pairing_makes_the_interval_as_narrow_as_the_differences_are_alike() -> None:
    """Of 1,000 images a answers 700 right, b those and 20 more: the normal interval of the difference has
    the half-width 1.96 * sqrt(0.02 * 0.98 / 1000). Independent samples would give four times as much."""
    at = np.arange(1000)
    low, high = MeanDifference(over_images(at < 700), over_images(at < 720)).interval()
    half = 1.96 * math.sqrt(0.02 * 0.98 / 1000)
    assert high - low == pytest.approx(2 * half, rel=0.1)


@pytest.mark.parametrize("kind", ["equal weights", "own weights"])
def test_is_scipys(kind: str) -> None:
    """Both ends, averaged over 20 seeds, in standard errors, as in ``test_image_mean.py``."""
    difference = own_weights(400, 1)
    if kind == "equal weights":
        a, b = correlated(400, np.random.default_rng(1))
        difference = MeanDifference(over_images(a), over_images(b))
    samples = (difference.a.values, difference.a.weights, difference.b.values, difference.b.weights)

    def statistic(va, wa, vb, wb, axis=-1):  # type: ignore[no-untyped-def]
        return (vb * wb).sum(axis) / wb.sum(axis) - (va * wa).sum(axis) / wa.sum(axis)

    ends, expected = [], []
    for seed in range(20):
        ends.append(difference.interval(seed=seed))
        result = scipy.stats.bootstrap(
            samples, statistic, paired=True, vectorized=True, n_resamples=N_RESAMPLES, method="BCa",
            rng=np.random.default_rng(seed),
        )  # fmt: skip
        expected.append(result.confidence_interval)
    apart = np.mean(ends, axis=0) - np.mean(expected, axis=0)
    assert (np.abs(apart) < 0.1 * result.standard_error).all()


def test_leaves_each_image_out() -> None:
    difference = own_weights(30, 4)
    means = (difference.a, difference.b)
    kinds, counts = mean_difference._kinds(*means)
    assert counts.sum() == sum((difference.a.weights > 0) | (difference.b.weights > 0))
    found = np.repeat(mean_difference._jackknife(kinds, counts), counts)
    by_hand = []
    for i in range(30):
        others = np.arange(30) != i
        a, b = (ImageMean(mean.values[others], mean.weights[others]) for mean in means)
        if any(mean.weights[i] for mean in means):
            by_hand.append(b.value - a.value - difference.value)
    np.testing.assert_allclose(np.sort(found), np.sort(by_hand), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["equal weights", "own weights"])
def test_covers_the_truth_as_often_as_it_says(kind: str) -> None:
    """200 samples of 80 images. At 90 %, 154 to 198 intervals contain the true difference in all but one
    of a million series (a binomial distribution, with a few per cent for BCa on few values)."""
    rng = np.random.default_rng(5)
    truth = 0.0
    if kind == "equal weights":
        a, b = correlated(1_000_000, np.random.default_rng(6))
        truth = float((b - a).mean())
    else:
        values = _conditional(1_000_000, np.random.default_rng(6))
        truth = MeanDifference(*values).value
    covered = 0
    for _ in range(200):
        if kind == "equal weights":
            means = [over_images(each) for each in correlated(80, rng)]
        else:
            means = list(_conditional(80, rng))
        low, high = MeanDifference(*means).interval(0.9, n_resamples=499)
        covered += low <= truth <= high
    assert 154 <= covered <= 198


def _conditional(n: int, rng: np.random.Generator) -> tuple[ImageMean, ImageMean]:
    """Means over the images that each network itself answers right."""
    a, b = correlated(n, rng)
    return over_images(a, rng.random(n) < a), over_images(b, rng.random(n) < b)


def test_values_that_do_not_count_mean_nothing() -> None:
    difference = own_weights(100, 2)
    a, b = difference.a, difference.b
    hidden = MeanDifference(
        ImageMean(np.where(a.weights > 0, a.values, np.nan), a.weights),
        ImageMean(np.where(b.weights > 0, b.values, np.nan), b.weights),
    )
    assert hidden.value == difference.value
    assert hidden.interval() == difference.interval()
    counted = (a.weights > 0) | (b.weights > 0)
    fewer = [ImageMean(mean.values[counted], mean.weights[counted]) for mean in (a, b)]
    assert MeanDifference(*fewer).interval() == difference.interval()


def test_does_not_depend_on_the_order_of_the_images() -> None:
    difference = own_weights(200, 3)
    order = np.random.default_rng(0).permutation(200)
    again = [
        ImageMean(mean.values[order], mean.weights[order]) for mean in (difference.a, difference.b)
    ]
    assert MeanDifference(*again).interval() == difference.interval()


@pytest.mark.filterwarnings("error")
@pytest.mark.filterwarnings("error")
def test_resamples_without_an_image_that_counts_are_left_out() -> None:
    """Only 2 of 20 images count for b: an eighth of the resamples has neither."""
    values = np.linspace(0, 1, 20)
    difference = MeanDifference(over_images(values), over_images(values, np.arange(20) > 17))
    low, high = difference.interval()
    assert 0 < low <= difference.value <= high < 1


def test_bad_input() -> None:
    a, b = over_images(np.arange(5)), over_images(np.arange(6))
    with pytest.raises(ValueError, match=r"^b: got 6 images, expected 5 as a$"):
        MeanDifference(a, b)
    with pytest.raises(ValueError, match=r"^a: got float, expected an ImageMean$"):
        MeanDifference(0.5, b)  # type: ignore[arg-type]
    one = over_images(np.arange(5), np.arange(5) == 2)
    for pair in ((a, one), (one, a), (one, one)):
        with pytest.raises(
            NotAvailable, match=r"^images: got 1 that the metric counts, expected 2"
        ):
            MeanDifference(*pair).interval()
    other = over_images(np.arange(5), np.arange(5) > 1)
    for settings, complaint in (
        ({"level": 1}, "level: got 1, expected a number between 0 and 1"),
        ({"n_resamples": 38}, "n_resamples: got 38, expected an int of 39 or more"),
        ({"seed": -1}, "seed: got -1, expected an int in 0"),
    ):
        for second in (a, other):
            with pytest.raises(ValueError, match=rf"^{complaint}"):
                MeanDifference(a, second).interval(**settings)


def test_networks_that_never_differ_leave_room_for_images_on_which_they_do() -> None:
    ones, others = np.ones(120), 1 - 0.025 ** (1 / 120)
    same = ImageMean((np.arange(120) < 70).astype(float), ones)
    assert MeanDifference(same, same).interval() == pytest.approx((-others, others))
    better, worse = ImageMean(ones, ones), ImageMean(0 * ones, ones)
    assert MeanDifference(worse, better).interval() == pytest.approx((1 - 2 * others, 1.0))


def test_means_over_other_images_that_do_not_vary() -> None:
    """Each mean's own interval; the difference lies between their ends."""
    first, second = (np.arange(100) < 60).astype(float), (np.arange(100) >= 30).astype(float)
    a, b = ImageMean(np.zeros(100), first), ImageMean(np.ones(100), second)
    low, high = MeanDifference(a, b).interval()
    assert high == 1.0
    assert low == pytest.approx(b.interval().low - a.interval().high)
    assert low < 1.0
