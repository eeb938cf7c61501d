"""Statistics over seeds: against scipy's own tests, by hand, by simulation, and at their borders."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lenetshift.study.experiments.statistics import (
    Estimate,
    Sample,
    SeedInterval,
    difference_of,
    holm,
    mean_of,
    p_of_one_run,
    p_of_one_run_in_two,
    prediction_interval,
    sample,
    share_of_seeds,
    within,
)

VALUES = [61.2, 58.9, 60.4, 63.1, 57.7, 60.0]
OTHERS = [60.9, 61.7, 59.2, 62.5]
AS_MANY = [60.9, 61.7, 59.2, 62.5, 58.8, 61.1]
BOUNDS = [-7.0, -1.0, 0.0, 0.4, 1.0, 59.0, 60.2, 62.0]


def check(got: Estimate, test, bound: float) -> None:
    """Against one of scipy's tests, ``test(bound, alternative)``."""
    expected = [test(bound, way).pvalue for way in ("greater", "less")]
    assert [got.p_above(bound), got.p_below(bound)] == pytest.approx(expected, rel=1e-9)
    bounds = test(0, "two-sided").confidence_interval(0.95)
    assert tuple(got.interval) == pytest.approx((bounds.low, bounds.high), rel=1e-9)


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_mean_is_judged_by_students_test(bound) -> None:
    check(
        mean_of(VALUES), lambda to, way: stats.ttest_1samp(VALUES, to, alternative=way), bound
    )  # fmt: skip
    assert mean_of(VALUES).n == 6


@pytest.mark.parametrize("bound", BOUNDS)
def test_as_many_seeds_are_compared_seed_by_seed(bound) -> None:
    moved = np.array(AS_MANY)
    check(
        difference_of(VALUES, AS_MANY),
        lambda to, way: stats.ttest_rel(VALUES, moved + to, alternative=way),
        bound,
    )


@pytest.mark.parametrize("bound", BOUNDS)
def test_other_numbers_of_seeds_are_compared_by_welchs_test(bound) -> None:
    moved = np.array(OTHERS)
    check(
        difference_of(VALUES, OTHERS),
        lambda to, way: stats.ttest_ind(VALUES, moved + to, equal_var=False, alternative=way),
        bound,
    )
    assert difference_of(VALUES, OTHERS).n == difference_of(OTHERS, VALUES).n == 4


def test_seeds_that_share_their_scatter_tell_a_small_difference() -> None:
    """Which numbers that were compared as independent would not."""
    second = [value + 0.2 + 0.01 * k for k, value in enumerate(VALUES)]
    assert difference_of(second, VALUES).p_above(0) < 1e-5
    assert difference_of(second, VALUES[:-1]).p_above(0) > 0.3


def test_seeds_that_do_not_scatter() -> None:
    for got in (mean_of([5.0, 5.0]), difference_of([7.0, 7.0], [2.0, 2.0])):
        assert (got.value, got.error, got.interval) == (5.0, 0.0, SeedInterval(5.0, 5.0))
        assert [got.p_above(bound) for bound in (4, 5, 6)] == [0, 1, 1]
        assert [got.p_below(bound) for bound in (4, 5, 6)] == [1, 1, 0]
    three = difference_of([7.0, 7.0, 7.0], [2.0, 2.0])
    assert (three.value, three.error, three.p_above(4), three.n) == (5.0, 0.0, 0.0, 2)


def test_prediction_interval_covers_one_more_run_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    runs = generator.normal(60, 2, (4000, 6))
    inside = [prediction_interval(sample(row[:5])).includes(row[5]) for row in runs]
    assert abs(np.mean(inside) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / len(runs))


def test_p_of_one_run_is_the_prediction_interval_seen_the_other_way() -> None:
    s = sample(VALUES)
    bounds = prediction_interval(s)
    assert p_of_one_run(s, bounds.high) == pytest.approx(0.05, abs=1e-12)
    assert p_of_one_run(s, bounds.low) == pytest.approx(0.05, abs=1e-12)
    assert p_of_one_run(s, s.mean) == pytest.approx(1)


def test_p_of_one_run_in_two_by_hand() -> None:
    """Deviations (-2, -1), (0, 2), (2, -1) from the mean (3, 4): variances 4 and 3, covariance 0. For
    (5, 7): 3/4 (4/4 + 9/3) = 3, and F = 3 (3 - 2) / (2 (3 - 1)) = 3/4 with 2 and 1 degrees of freedom,
    which is exceeded with probability (1 + 2 F)^(-1/2)."""
    first, second = [1.0, 3.0, 5.0], [3.0, 6.0, 3.0]
    assert p_of_one_run_in_two(first, second, (5.0, 7.0)) == pytest.approx(2.5**-0.5)
    assert p_of_one_run_in_two(first, second, (3.0, 4.0)) == pytest.approx(1)


def test_p_of_one_run_in_two_is_that_of_one_if_it_is_turned() -> None:
    """The distance does not depend on the units or the axes of both measures."""
    turned = [a + 3 * b for a, b in zip(VALUES, AS_MANY, strict=True)]
    plain = p_of_one_run_in_two(VALUES, AS_MANY, (63.0, 60.0))
    assert p_of_one_run_in_two(turned, AS_MANY, (63.0 + 180.0, 60.0)) == pytest.approx(plain)


@pytest.mark.parametrize("n", [5, 20])
def test_p_of_one_run_in_two_is_small_as_often_as_it_says(n) -> None:
    draws = np.random.default_rng(1)
    mixed = draws.normal(size=(4000, n + 1, 2)) @ np.array([[2.0, 1.5], [0.0, 0.7]])
    found = [p_of_one_run_in_two(*runs[:-1].T, tuple(runs[-1])) for runs in mixed]
    for level in (0.05, 0.5):
        share = np.mean(np.array(found) < level)
        assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / len(mixed))


def test_p_of_one_run_in_two_at_its_borders() -> None:
    with pytest.raises(ValueError, match=r"^seeds: got 2, expected 3 or more$"):
        p_of_one_run_in_two([1.0, 2.0], [2.0, 1.0], (1.0, 1.0))
    on_a_line = [1.0, 2.0, 3.0], [2.0, 4.0, 6.0]
    assert p_of_one_run_in_two(*on_a_line, (2.0, 4.0)) == 1
    assert p_of_one_run_in_two(*on_a_line, (2.0, 4.1)) == 0


def test_share_of_seeds_is_clopper_and_pearsons() -> None:
    """Both ends are quantiles of beta distributions."""
    for k, n in ((0, 5), (3, 5), (9, 10), (20, 20)):
        low = 100 * stats.beta.ppf(0.025, k, n - k + 1) if k else 0
        high = 100 * stats.beta.ppf(0.975, k + 1, n - k) if k < n else 100
        assert tuple(share_of_seeds(k, n)) == pytest.approx((low, high))


def test_within() -> None:
    assert within(SeedInterval(-3, 20), 0, 100) == (0, 20)
    assert within(SeedInterval(96, 104), 0, 100) == (96, 100)
    assert within(SeedInterval(40, 60), 0, 100) == (40, 60)
    assert within(SeedInterval(101, 104), 0, 100) == (100, 100)
    assert within(SeedInterval(-4, -1), 0, 100) == (0, 0)


def test_an_interval_includes_its_ends() -> None:
    inside = [SeedInterval(1, 2).includes(value) for value in (0.999, 1, 1.5, 2, 2.001)]
    assert inside == [False, True, True, True, False]


def test_samples_are_taken_in_float64() -> None:
    values = np.array([1e8, 1e8 + 8, 1e8 + 16], np.float32)
    assert sample(values) == sample(values.tolist()) == Sample(3, 1e8 + 8, 8.0)


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_too_few_seeds_and_values_that_are_not_finite() -> None:
    with pytest.raises(ValueError, match=r"^seeds: got 1, expected 2 or more$"):
        sample([1.0])
    with pytest.raises(
        ValueError, match=r"^values: got some that are not finite, expected finite values$"
    ):
        sample([1.0, float("nan")])


def test_a_spread_of_zero() -> None:
    s = Sample(5, 60.0, 0.0)
    assert p_of_one_run(s, 60.0) == 1
    assert p_of_one_run(s, 61.0) == 0
