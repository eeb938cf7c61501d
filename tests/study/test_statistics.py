"""Statistics over seeds: against scipy's own tests, by simulation, and at their borders."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lenetshift.study.experiments.statistics import (
    Sample,
    SeedInterval,
    difference,
    holm,
    interval_of_mean,
    p_of_one_run,
    prediction_interval,
    sample,
)

VALUES = [61.2, 58.9, 60.4, 63.1, 57.7, 60.0]
OTHERS = [60.9, 61.7, 59.2, 62.5]


def test_interval_of_the_mean_is_students() -> None:
    expected = stats.t.interval(0.95, 5, np.mean(VALUES), stats.sem(VALUES))
    got = interval_of_mean(sample(VALUES))
    assert (got.low, got.high) == pytest.approx(expected, rel=1e-12)


def test_prediction_interval_covers_one_more_run_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    runs = generator.normal(60, 2, (4000, 6))
    inside = [prediction_interval(sample(row[:5])).includes(row[5]) for row in runs]
    assert abs(np.mean(inside) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / len(runs))


def test_p_of_one_run_is_the_prediction_interval_seen_the_other_way() -> None:
    s = sample(VALUES)
    bounds = prediction_interval(s)
    assert p_of_one_run(s, bounds.high) == pytest.approx(0.05, abs=1e-12)
    assert p_of_one_run(s, s.mean) == pytest.approx(1)


def test_difference_is_welchs() -> None:
    got = difference(VALUES, OTHERS, margin=1)
    expected = stats.ttest_ind(VALUES, OTHERS, equal_var=False)
    assert got.p_different == pytest.approx(expected.pvalue, rel=1e-12)
    bounds = expected.confidence_interval(0.95)
    assert (got.interval.low, got.interval.high) == pytest.approx((bounds.low, bounds.high))


@pytest.mark.parametrize("shift", [0.0, 0.4, -0.4, 2.5, -2.5])
def test_equivalence_is_the_larger_of_two_one_sided_tests(shift: float) -> None:
    a, b = np.array(VALUES) + shift, np.array(OTHERS)
    above = stats.ttest_ind(a, b - 1, equal_var=False, alternative="greater").pvalue
    below = stats.ttest_ind(a, b + 1, equal_var=False, alternative="less").pvalue
    assert difference(a, b, margin=1).p_equivalent == pytest.approx(max(above, below), rel=1e-9)


def test_relations() -> None:
    generator = np.random.default_rng(1)
    a = generator.normal(60, 0.5, 20)
    assert difference(a, a + generator.normal(0, 0.1, 20), margin=1).relation == "equivalent"
    assert difference(a + 5, a, margin=1).relation == "larger"
    assert difference(a - 5, a, margin=1).relation == "smaller"
    # Too few seeds to say either.
    assert difference([58, 62], [57, 64], margin=1).relation == "open"
    # A difference that is there, and does not matter.
    assert difference(a + 0.8, a, margin=1).relation != "larger"


def test_difference_of_seeds_that_agree_to_the_last_digit() -> None:
    assert difference([50, 50], [50, 50], margin=1).relation == "equivalent"
    assert difference([60, 60], [50, 50], margin=1).relation == "larger"
    one_more, same = (difference([mean, mean], [50, 50], margin=1) for mean in (51, 50))
    for got, low, p_different, p_equivalent in ((one_more, 1, 0, 1), (same, 0, 1, 0)):
        assert got.interval == SeedInterval(low, low)
        assert (got.p_different, got.p_equivalent) == (p_different, p_equivalent)


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
