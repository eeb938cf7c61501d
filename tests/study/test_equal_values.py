"""Seeds or numbers of epochs with equal values: rounding or the order of sorting decides nothing."""

from __future__ import annotations

import numpy as np
import pytest

from lenetshift.study.experiments.convolution import at_the_accuracy_of
from lenetshift.study.experiments.criteria import Look, above, larger, of
from lenetshift.study.experiments.statistics import Sample, p_of_one_run, sample

N_SEEDS = 20
EQUAL = [96.37] * N_SEEDS
LOOK = Look(2)


def test_equal_values_do_not_scatter() -> None:
    assert np.std(EQUAL, ddof=1) > 0  # by rounding
    s = sample(EQUAL)
    assert s == Sample(N_SEEDS, pytest.approx(96.37), 0.0)
    assert p_of_one_run(s, 96.37) == 1
    assert p_of_one_run(s, 96.38) == 0


def test_seeds_that_do_not_scatter_decide_nothing() -> None:
    unmoved = np.linspace(95, 97, N_SEEDS)
    measures = {
        ("first", 2): {"unmoved": unmoved, "moved": unmoved - 30.1},
        ("second", 2): {"unmoved": unmoved, "moved": unmoved - 36.4},
        ("third", 2): {"unmoved": unmoved, "moved": EQUAL},
    }
    for criterion in (larger(of("first"), of("second")), above(of("third"), 50)):
        assert criterion.judge(measures, LOOK).silent == "the seeds do not scatter"


def test_numbers_of_epochs_with_equal_accuracy_unmoved_stay_in_their_order() -> None:
    measures = {
        ("slow", epoch): {"unmoved": [90.0 + epoch % 2], "moved": [float(epoch)]}
        for epoch in range(1, 41)
    }
    for wanted, expected in ((89.0, 2.0), (90.0, 40.0), (90.5, 20.5), (91.0, 39.0), (92.0, 39.0)):
        measures["fast", 2] = {"unmoved": [wanted]}
        assert at_the_accuracy_of("slow", "fast").read(measures, LOOK) == [expected]
