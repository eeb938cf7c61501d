"""The criteria, on made-up numbers: every verdict of every kind of criterion, of every look of every part."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from made_up import measures_of, shifted
from scipy import stats

from lenetshift.study.experiments import EXPERIMENTS, claims, convolution, criteria, nearest, table
from lenetshift.study.experiments.claims import (
    CONTRADICTED,
    DEPENDS,
    OPEN,
    PARTLY,
    PARTS,
    SUPPORTED,
)
from lenetshift.study.experiments.criteria import Criterion, Judgement, Look, Part, of
from lenetshift.study.experiments.position_bias import follows
from lenetshift.study.experiments.recorded import Recorded
from lenetshift.study.experiments.statistics import holm
from lenetshift.study.plans import Plan

TIGHT = [60.0, 60.1, 59.9, 60.0, 60.05]
LOOSE = [50.0, 70.0, 55.0, 65.0, 61.0]
TIGHT_TOO = [59.95, 60.0, 60.1, 60.05, 59.9]
LOOSE_TOO = [66.0, 52.0, 69.0, 51.0, 60.0]

LOOK = Look(2)


def plus(values, by):
    return [value + by for value in values]


def measures(unmoved=90.0, **settings):
    """Setting -> accuracies moved, after 2 epochs; all read enough unmoved."""
    return {
        (name, 2): {"moved": values, "unmoved": [unmoved] * len(values)}
        for name, values in settings.items()
    }


def side_of(judgement: Judgement) -> str:
    """What a judgement says if it is the only one."""
    corrected = claims._p(judgement)
    return claims._row(LOOK, judgement, corrected, quick=False)["verdict"]


# Kinds of criteria


@pytest.mark.parametrize(
    ("kind", "equal", "higher", "lower"),
    [
        (criteria.equivalent, SUPPORTED, CONTRADICTED, CONTRADICTED),
        (criteria.larger, CONTRADICTED, SUPPORTED, CONTRADICTED),
        (criteria.not_larger, SUPPORTED, CONTRADICTED, SUPPORTED),
    ],
)
def test_comparisons(kind, equal, higher, lower) -> None:
    def judge(first, second):
        return kind(of("a"), of("b")).judge(measures(a=first, b=second), LOOK)

    assert side_of(judge(TIGHT, plus(TIGHT_TOO, 0.2))) == equal
    assert side_of(judge(plus(TIGHT, 5), TIGHT_TOO)) == higher
    assert side_of(judge(TIGHT, plus(TIGHT_TOO, 5))) == lower
    assert side_of(judge(LOOSE, plus(LOOSE_TOO, -2))) == OPEN
    assert side_of(judge(plus(TIGHT, 1), TIGHT_TOO)) == OPEN  # at the margin
    assert side_of(judge(plus(TIGHT, 5), TIGHT_TOO[:-1])) == OPEN  # four seeds
    found = judge(plus(TIGHT, 5), TIGHT_TOO)
    assert (found.value, found.n, found.silent) == (pytest.approx(5.01), 5, "")


def test_a_comparison_is_two_sided() -> None:
    first, second = LOOSE, plus(LOOSE_TOO, -9)
    found = criteria.larger(of("a"), of("b")).judge(measures(a=first, b=second), LOOK)
    one_sided = stats.ttest_1samp(np.subtract(first, second), 1, alternative="greater").pvalue
    assert found.p_supports == pytest.approx(2 * one_sided)
    assert found.p_contradicts == 1
    assert 0.05 < found.p_supports < 1


def test_equivalence_is_the_larger_of_two_one_sided_tests() -> None:
    second = plus([59.9, 60.8, 59.1, 60.2, 59.9], 0.4)
    found = criteria.equivalent(of("a"), of("b")).judge(measures(a=TIGHT, b=second), LOOK)
    difference = np.subtract(TIGHT, second)
    above = stats.ttest_1samp(difference, -1, alternative="greater").pvalue
    below = stats.ttest_1samp(difference, 1, alternative="less").pvalue
    assert found.p_supports == pytest.approx(2 * max(above, below))
    assert max(above, below) > 2 * min(above, below)


def test_bounds() -> None:
    def judge(values, bound):
        return criteria.above(of("a"), bound).judge(measures(a=values), LOOK)

    assert [side_of(judge(TIGHT, bound)) for bound in (59, 61)] == [SUPPORTED, CONTRADICTED]
    assert side_of(judge(LOOSE, 61)) == OPEN
    near_the_end = judge([99.0, 98.0, 95.0, 99.5, 90.0], 50)
    assert near_the_end.interval.high == 100
    assert near_the_end.interval.low < 96


@pytest.mark.parametrize(
    ("successes", "n", "expected"),
    [(9, 10, SUPPORTED), (8, 10, OPEN), (1, 10, CONTRADICTED), (2, 10, OPEN), (4, 4, OPEN)],
)
def test_in_most_seeds(successes, n, expected) -> None:
    values = [90.0] * successes + [89.9] * (n - successes)
    found = criteria.in_most_seeds(of("a")).judge(measures(a=values), LOOK)
    assert side_of(found) == expected
    assert (found.value, found.n) == (100 * successes / n, n)
    assert found.interval.low <= found.value <= found.interval.high


def test_the_smaller_share_of_the_two_digits_follows_the_place() -> None:
    shares = {"answered 3 at dx=3": [80.0, 20.0], "answered 2 at dx=-3": [60.0, 90.0]}
    assert follows("a").read({("a", 2): shares}, LOOK) == [60.0, 20.0]


def test_points_lost_by_a_shift() -> None:
    of_dx = {"dx=0": [90.0, 80.0], "dx=-2": [70.0, 75.0], "dx=2": [60.0, 65.0]}
    assert convolution.lost_at("a", 2).read({("a", 2): of_dx}, LOOK) == [25.0, 10.0]


def test_accuracy_at_the_accuracy_of_another() -> None:
    """By hand: between two numbers of epochs, beyond them, and if an epoch has made it worse."""
    curve = {
        ("a", 1): {"unmoved": [80.0, 80.0, 92.0, 80.0], "moved": [30.0, 30.0, 50.0, 30.0]},
        ("a", 5): {"unmoved": [90.0, 90.0, 90.0, 90.0], "moved": [40.0, 40.0, 44.0, 40.0]},
        ("b", 2): {"unmoved": [85.0, 99.0, 91.0, 70.0]},
    }
    found = convolution.at_the_accuracy_of("a", "b").read(curve, LOOK)
    assert found == pytest.approx([35.0, 40.0, 47.0, 30.0])


# What decides nothing


def test_seeds_that_do_not_scatter_decide_nothing() -> None:
    same = measures(a=[70.0] * 5, b=[50.0] * 5)
    for kind in (criteria.larger, criteria.not_larger, criteria.equivalent):
        found = kind(of("a"), of("b")).judge(same, LOOK)
        assert (found.silent, side_of(found)) == ("the seeds do not scatter", OPEN)
    assert side_of(criteria.above(of("a"), 50).judge(same, LOOK)) == OPEN


@pytest.mark.parametrize(("unmoved", "expected"), [(19.9, OPEN), (20.0, SUPPORTED)])
def test_a_network_at_chance_decides_nothing(unmoved, expected) -> None:
    value = measures(a=plus(TIGHT, 5)) | measures(unmoved, b=TIGHT_TOO)
    found = criteria.larger(of("a"), of("b")).judge(value, LOOK)
    assert side_of(found) == expected
    assert found.silent == ("" if expected == SUPPORTED else "b has not learnt to read")
    assert side_of(criteria.above(of("b"), 50).judge(value, LOOK)) == expected


# Parts and claims


@functools.cache
def of_the_whole_plan():
    return measures_of(Plan(20, thorough=True))


def judged(value, images=range(10_000), quick=False):
    return {
        (claim["claim"], part["name"]): part
        for claim in claims.claims(value, images, quick)
        for part in claim["parts"]
    }


EVERY_PART = [
    pytest.param(experiment, part, id=f"{experiment}: {part.name}")
    for parts in PARTS.values()
    for experiment, part in parts
]


def test_every_part_belongs_to_a_claim() -> None:
    assert len(EVERY_PART) == sum(len(one.parts) for one in EXPERIMENTS.values())


@pytest.mark.parametrize(("experiment", "part"), EVERY_PART)
def test_every_look_can_be_supported_and_contradicted(experiment, part) -> None:
    """By moving one measure of one setting up or down. A setting or a measure that the runs do not have is a
    KeyError."""
    value = of_the_whole_plan()[experiment]
    assert len(set(part.looks)) == len(part.looks) > 0
    for look in part.looks:
        noted = Recorded({experiment: value})
        found = {side_of(part.criterion.judge(noted[experiment], look))}
        for setting, measure in {key[1::2] for key in noted.read}:
            for by in (35, -35):
                moved = shifted(value, setting, measure, by)
                found.add(side_of(part.criterion.judge(moved, look)))
        assert found >= {SUPPORTED, CONTRADICTED}, look


def test_what_a_study_without_differences_says() -> None:
    """All parts that report a difference are contradicted, all that report none supported."""
    parts = judged(of_the_whole_plan())
    verdicts = {name: part["verdict"] for (_, name), part in parts.items()}
    supported = {name for name, verdict in verdicts.items() if verdict == SUPPORTED}
    assert set(verdicts.values()) == {SUPPORTED, CONTRADICTED}
    assert supported == {
        "because of near pixels", "no features are extracted", "only centred digits",
        "not with untidy digits", "Model 3", "MLP, 2-fold", "MLP, 7-fold", "LeNet-5",
        "a sixth would do, unmoved", "a sixth would do, moved", "what it becomes", "too few epochs",
        "the answer follows the position", "it is the convolution", "no such network is robust",
            "jittered, at equal accuracy",
    }  # fmt: skip
    assert [claim["verdict"] for claim in claims.claims(of_the_whole_plan(), range(10_000))] == [
        PARTLY, PARTLY, SUPPORTED, PARTLY, PARTLY,
    ]  # fmt: skip


def test_all_looks_of_all_parts_are_corrected_together() -> None:
    looks = [look for part in judged(of_the_whole_plan()).values() for look in part["looks"]]
    assert len(looks) == sum(len(one.values[1].looks) for one in EVERY_PART) > 80
    assert [look["p_corrected"] for look in looks] == holm([look["p"] for look in looks])
    assert max(look["p"] for look in looks if not look["silent"]) <= 1


def test_a_look_that_only_the_correction_leaves_open(monkeypatch) -> None:
    def part(name, p):
        criterion = Criterion("so", "not so", lambda *_: Judgement(1.0, None, 5, p, 1.0))
        return "a", Part(0, name, "", "", criterion, (LOOK,), known=False)

    parts = {claim: () for claim in claims.SENTENCES}
    monkeypatch.setattr(claims, "PARTS", {**parts, 0: (part("weak", 0.03), part("strong", 0.02))})
    found = judged({"a": measures(a=TIGHT)})
    assert [one["verdict"] for one in found.values()] == [SUPPORTED, SUPPORTED]
    assert [one["looks"][0]["p_corrected"] for one in found.values()] == [0.04, 0.04]
    monkeypatch.setattr(
        claims, "PARTS", {**parts, 0: (part("weak", 0.04), part("weak, too", 0.03))}
    )
    found = judged({"a": measures(a=TIGHT)})
    assert [one["verdict"] for one in found.values()] == [OPEN, OPEN]


def test_a_parts_verdict_is_that_of_its_main_look() -> None:
    assert claims.together([SUPPORTED, OPEN, SUPPORTED]) == SUPPORTED
    assert claims.together([OPEN, SUPPORTED, SUPPORTED]) == OPEN
    assert claims.together([OPEN, SUPPORTED, CONTRADICTED]) == DEPENDS
    assert claims.together([CONTRADICTED, SUPPORTED]) == DEPENDS
    assert claims.together([]) == OPEN


def test_a_part_depends_if_measures_oppose() -> None:
    value = dict(of_the_whole_plan())
    value["pooling"] = shifted(value["pooling"], "lenet5_average", "kept", 30)
    part = judged(value)[2, "LeNet-5"]
    assert part["verdict"] == DEPENDS
    assert {look["measure"]: look["verdict"] for look in part["looks"]} == {
        "moved": SUPPORTED, "kept": CONTRADICTED, "change": SUPPORTED,
    }  # fmt: skip


def test_a_claim_is_what_all_its_parts_are() -> None:
    assert claims.combine([SUPPORTED, SUPPORTED]) == SUPPORTED
    assert claims.combine([CONTRADICTED]) == CONTRADICTED
    assert claims.combine([OPEN, OPEN]) == OPEN
    assert claims.combine([SUPPORTED, OPEN]) == PARTLY
    assert claims.combine([SUPPORTED, CONTRADICTED]) == PARTLY


def test_a_quick_study_has_no_verdicts() -> None:
    found = claims.claims(of_the_whole_plan(), range(10_000), quick=True)
    assert {claim["verdict"] for claim in found} == {None}
    parts = [part for claim in found for part in claim["parts"]]
    assert {part["verdict"] for part in parts} == {None}
    looks = [look for part in parts for look in part["looks"]]
    assert {(look["verdict"], look["interval"]) for look in looks} == {(None, None)}
    assert None not in {look["value"] for look in looks}


def test_what_was_not_run_is_left_open() -> None:
    found = claims.claims({}, range(10_000))
    assert {claim["verdict"] for claim in found} == {OPEN}
    assert {len(part["looks"]) for claim in found for part in claim["parts"]} == {0}
    few_images = judged(of_the_whole_plan(), images=[4017, 4888, 5392])
    assert few_images[4, "figures 3 and 4"]["verdict"] == OPEN
    assert few_images[4, "figures 1 and 2"]["verdict"] == CONTRADICTED


@pytest.mark.parametrize("seeds", [2, 4])
def test_a_study_of_few_seeds_leaves_all_open(seeds) -> None:
    parts = judged(measures_of(Plan(seeds)))
    assert {part["verdict"] for part in parts.values()} == {OPEN}
    looks = [look for part in parts.values() for look in part["looks"]]
    assert {look["silent"] for look in looks} == {"fewer than 5 seeds"}
    assert {look["p"] for look in looks} == {1.0}


def test_a_measure_of_another_name_is_an_error() -> None:
    """Not a part that is left open."""
    value = dict(of_the_whole_plan())
    value["table"] = dict(value["table"])
    of_biased = dict(value["table"]["biased_lenet5", 2])
    del of_biased["figures 1 and 2"]
    value["table"]["biased_lenet5", 2] = of_biased
    with pytest.raises(KeyError, match="figures 1 and 2"):
        claims.claims(value, range(10_000))


# Values


def test_what_is_read_is_noted_and_nothing_else() -> None:
    value = {
        "a": {("x", 2): {"moved": [1.0, 2.0], "unmoved": [3.0, 4.0]}, ("y", 1): {"moved": [5.0]}}
    }
    noted = Recorded(value)
    assert ("x", 2) in noted["a"]
    assert sorted(noted["a"]) == [("x", 2), ("y", 1)]
    assert list(noted["a"]["x", 2]) == ["moved", "unmoved"]
    assert noted.get("b") is None
    with pytest.raises(KeyError):
        noted["a"]["x", 2]["kept"]
    assert noted.values_read() == []
    assert noted["a"]["x", 2]["moved"] == [1.0, 2.0]
    assert noted["a"]["x", 2].get("moved") == [1.0, 2.0]
    row = {"experiment": "a", "setting": "x", "epochs": 2, "measure": "moved", "values": [1.0, 2.0]}
    assert noted.values_read() == [row]
    more = noted.values_read([("a", "y", 1, "moved")])
    assert more == [row, {**row, "setting": "y", "epochs": 1, "values": [5.0]}]


def test_the_noted_values_suffice_to_judge_again() -> None:
    noted = Recorded(of_the_whole_plan())
    found = claims.claims(noted, range(10_000))
    cells = table.cells(noted["table"])
    again = {}
    for row in noted.values_read(table.values_read()):
        of_setting = again.setdefault(row["experiment"], {})
        of_setting = of_setting.setdefault((row["setting"], row["epochs"]), {})
        of_setting[row["measure"]] = row["values"]
    assert claims.claims(again, range(10_000)) == found
    assert table.cells(again["table"]) == cells
    assert "settings" not in again  # which decides nothing
    first = next(iter(again["convolution"]))
    del again["convolution"][first]
    with pytest.raises(KeyError):
        claims.claims(again, range(10_000))


# Table 1


def of_the_table():
    return {
        (model, 2): {
            column: plus(TIGHT, table.report_value(model, column) - 60) for column in table.COLUMNS
        }
        for model in table.MODELS
    }


def test_cells() -> None:
    values = of_the_table()
    values["mlp", 2]["moved"] = plus(
        values["mlp", 2]["moved"], 0.15
    )  # far for a mean, not for a run
    values["lenet5", 2]["moved"] = plus(values["lenet5", 2]["moved"], 0.9)
    of_model_2 = values["symmetric_lenet5", 2]
    of_model_2["moved"] = plus(of_model_2["moved"], 12)
    odd, near = ("symmetric_lenet5", "moved"), ("lenet5", "moved")
    verdicts = {(v["model"], v["column"]): v for v in table.cells(values)}
    assert verdicts[odd]["verdict"] == table.DEVIATES
    assert verdicts[near]["verdict"] == table.WITHIN_A_POINT
    others = {v["verdict"] for cell, v in verdicts.items() if cell not in (odd, near)}
    assert others == {table.AGREES}
    assert verdicts[odd]["distance"] == pytest.approx(-12, abs=0.1)
    assert verdicts[odd]["distance_in_sds"] == pytest.approx(-12 / 0.0742, rel=0.01)
    assert verdicts[odd]["p_corrected"] == pytest.approx(8 * verdicts[odd]["p"])
    assert verdicts[odd]["report"] == pytest.approx(48.841, abs=1e-3)
    assert verdicts["lenet5", "unmoved"]["report"] == 96.96
    quick = table.cells(values, quick=True)
    assert {(cell["verdict"], cell["interval"]) for cell in quick} == {(None, None)}
    assert [cell["mean"] for cell in quick] == [cell["mean"] for cell in verdicts.values()]


def test_a_cell_of_seeds_that_do_not_scatter() -> None:
    values = of_the_table()
    values["mlp", 2]["unmoved"] = [50.0] * 5
    (cell,) = [c for c in table.cells(values) if (c["model"], c["column"]) == ("mlp", "unmoved")]
    assert (cell["distance_in_sds"], cell["p"], cell["verdict"]) == (None, 0.0, table.DEVIATES)
    assert cell["interval"] == (50.0, 50.0)


# Too few epochs

NEAR = nearest.OWN_EPOCHS
MODEL_2 = f"{nearest.SYMMETRIC}_{NEAR.name}"
LAST_LOOK = Look(32, "both accuracies")


def rows(epochs_of_model_2=range(9, 11), off=0.0, n=6):
    """All models give the report's rows, Model 2 after these epochs alone; others are ``off`` by points."""
    draws = np.random.default_rng(0)
    value = {}
    for model in table.MODELS:
        last = NEAR.epochs_of("lenet5" if model == nearest.SYMMETRIC else model)
        for epoch in range(1, last + 1):
            at_the_row = epoch == NEAR.epochs_of(model)
            by = 0.0 if at_the_row else 20.0
            if model == nearest.SYMMETRIC:
                by = 0.0 if epoch in epochs_of_model_2 else 20.0
            elif at_the_row:
                by = off
            value[f"{model}_{NEAR.name}", epoch] = {
                column: (table.report_value(model, column) + by + draws.normal(0, 0.3, n)).tolist()
                for column in table.COLUMNS
            }
    return value


def test_too_few_epochs() -> None:
    def verdict(value):
        return side_of(nearest.too_few_epochs(value, LAST_LOOK))

    assert verdict(rows()) == SUPPORTED
    assert verdict(rows(epochs_of_model_2=())) == CONTRADICTED
    as_many_as_model_0 = (NEAR.epochs_of("lenet5"),)
    assert verdict(rows(epochs_of_model_2=as_many_as_model_0)) == OPEN  # not fewer
    assert verdict(rows(off=5)) == OPEN  # another model's row is missed
    assert verdict(rows(n=4)) == OPEN
    found = nearest.too_few_epochs(rows(epochs_of_model_2=(9,)), LAST_LOOK)
    assert found.value == pytest.approx(table.report_value(nearest.SYMMETRIC, "moved"), abs=0.5)
    assert (found.n, found.interval.includes(found.value)) == (6, True)


def test_both_accuracies_count() -> None:
    """The row of Model 2 is missed if only one of its accuracies is met."""
    for column in table.COLUMNS:
        value = shifted(rows(), MODEL_2, column, 20)
        assert side_of(nearest.too_few_epochs(value, LAST_LOOK)) == CONTRADICTED


@pytest.mark.parametrize("n", [2, 3, 4])
def test_too_few_epochs_of_too_few_seeds(n) -> None:
    found = nearest.too_few_epochs(rows(n=n), LAST_LOOK)
    assert (found.n, found.silent, found.decided) == (n, "fewer than 5 seeds", "")
