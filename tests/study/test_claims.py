"""The verdict rules, on made-up numbers: every outcome of every kind of rule."""

from __future__ import annotations

import pytest

from lenetshift.study.experiments import claims
from lenetshift.study.experiments.claims import CONTRADICTED, OPEN, PARTLY, SUPPORTED
from lenetshift.study.experiments.table import MODELS

TIGHT = [60.0, 60.1, 59.9, 60.0, 60.05]
LOOSE = [50.0, 70.0, 55.0, 65.0]


def shifted(values, by):
    return [value + by for value in values]


@pytest.mark.parametrize(
    ("judge", "equal", "larger", "smaller"),
    [
        (claims.is_equal, SUPPORTED, CONTRADICTED, CONTRADICTED),
        (claims.is_larger, CONTRADICTED, SUPPORTED, CONTRADICTED),
        (claims.is_not_larger, SUPPORTED, CONTRADICTED, SUPPORTED),
        (claims.differs, CONTRADICTED, SUPPORTED, SUPPORTED),
    ],
)
def test_comparisons(judge, equal, larger, smaller) -> None:
    assert judge(TIGHT, shifted(TIGHT, 0.2)).verdict == equal
    assert judge(shifted(TIGHT, 5), TIGHT).verdict == larger
    assert judge(TIGHT, shifted(TIGHT, 5)).verdict == smaller
    assert judge(LOOSE, shifted(LOOSE, 2)).verdict == OPEN
    assert judge(shifted(TIGHT, 5), TIGHT).value == pytest.approx(5)


def test_bounds() -> None:
    assert claims.is_below(TIGHT, 61).verdict == SUPPORTED
    assert claims.is_below(TIGHT, 59).verdict == CONTRADICTED
    assert claims.is_below(LOOSE, 61).verdict == OPEN
    assert claims.is_above(TIGHT, 61).verdict == CONTRADICTED
    assert claims.is_above(TIGHT, 59).verdict == SUPPORTED
    assert claims.is_above(LOOSE, 61).verdict == OPEN


def test_cells() -> None:
    values = {
        (model, column): shifted(TIGHT, claims.report_value(model, column) - 60)
        for model in MODELS
        for column in ("unmoved", "moved")
    }
    values["mlp", "moved"] = shifted(values["mlp", "moved"], 0.15)  # far for a mean, not for a run
    odd = ("symmetric_lenet5", "moved")
    values[odd] = shifted(values[odd], 12)
    verdicts = {(v.model, v.column): v for v in claims.cells(values)}
    assert {cell for cell, v in verdicts.items() if v.verdict == claims.DEVIATES} == {odd}
    assert verdicts[odd].distance == pytest.approx(-12, abs=0.1)
    assert verdicts[odd].distance_in_sds == pytest.approx(-12 / 0.0742, rel=0.01)
    assert verdicts[odd].p_corrected == pytest.approx(8 * verdicts[odd].p)
    assert verdicts[odd].report == pytest.approx(48.841, abs=1e-3)
    assert verdicts["lenet5", "unmoved"].report == 96.96


def test_a_claim_is_what_all_its_parts_are() -> None:
    assert claims.combine([SUPPORTED, SUPPORTED]) == SUPPORTED
    assert claims.combine([CONTRADICTED]) == CONTRADICTED
    assert claims.combine([OPEN, OPEN]) == OPEN
    assert claims.combine([SUPPORTED, OPEN]) == PARTLY
    assert claims.combine([SUPPORTED, CONTRADICTED]) == PARTLY


def measured(**changes):
    """Measures that support every part of every claim; ``changes`` add to some accuracies."""
    by_dx = {f"dx={dx}": shifted(TIGHT, 30 - 5 * max(abs(dx) - 2, 0)) for dx in range(-5, 6)}

    def of(name, moved=60.0, **more):
        moved = shifted(TIGHT, moved - 60 + changes.get(name, 0))
        return {"moved": moved, "unmoved": shifted(TIGHT, 36.18), **more}

    follows = {"answered 3 at dx=3": shifted(TIGHT, 30), "answered 2 at dx=-3": shifted(TIGHT, 20)}
    figures = {"figures 1 and 2": shifted(TIGHT, 20), "figures 3 and 4": [100.0] * len(TIGHT)}
    return {
        ("table", "lenet5", 2): of("lenet5", **by_dx),
        ("table", "mlp", 2): of("mlp", 41),
        ("table", "pooled_mlp", 2): of("pooled", 41),
        ("table", "biased_lenet5", 2): of("biased", **follows, **figures),
        ("convolution", "lenet5_jittered", 2): of("jittered"),
        ("convolution", "mlp_jittered", 2): of("mlp_jittered"),
        **{("pooling", f"mlp{end}", 2): of(end) for end in ("", "_average_2", "_average_7")},
        ("pooling", "lenet5_average", 2): of("average"),
        ("pooling", "lenet5_subsampling", 2): of("subsampling"),
        ("symmetry", "lenet5", 1): of("first"),
        ("symmetry", "symmetric_lenet5", 1): of("first_symmetric", 48.841),
        ("symmetry", "lenet5", 12): of("last"),
        ("symmetry", "symmetric_lenet5", 12): of("last_symmetric"),
        ("position_bias", "lenet5_global_max_c5_by_3", 2): of("global", **follows),
        ("place_blind", "lenet5_centred", 2): of("centred"),
        ("place_blind", "place_blind_centred", 2): of("blind"),
    }


def parts(value):
    return {part.rule.name: part.finding.verdict for v in claims.claims(value) for part in v.parts}


def test_all_parts_can_be_supported() -> None:
    verdicts = parts(measured())
    assert verdicts.pop("a sixth would do") == OPEN  # which nothing here tests
    assert set(verdicts.values()) == {SUPPORTED}, verdicts
    assert [v.verdict for v in claims.claims(measured())] == [
        SUPPORTED, PARTLY, SUPPORTED, SUPPORTED,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "by", "part"),
    [
        ("mlp", 25, "convolution helps"),
        ("jittered", 5, "only centred digits"),
        ("pooled", 5, "Model 3"),
        ("_average_2", 5, "perceptron, 2-fold"),
        ("_average_7", 5, "perceptron, 7-fold"),
        ("average", 5, "LeNet-5"),
        ("last", 5, "what it becomes"),
        ("first", -11.1, "how fast it learns"),
        ("blind", 20, "no shape wherever it is"),
    ],
)
def test_each_part_can_be_contradicted(change, by, part) -> None:
    verdicts = parts(measured(**{change: by}))
    before = parts(measured())
    assert {name for name in verdicts if verdicts[name] != before[name]} >= {part}
    assert verdicts[part] == CONTRADICTED


def test_epochs_at_one_learning_rate_do_not_contradict_other_settings() -> None:
    """The report gives neither learning rate nor batch size."""
    findings = {
        part.rule.name: part.finding
        for verdict in claims.claims(measured(first_symmetric=5))
        for part in verdict.parts
    }
    assert findings["too few epochs"].verdict == OPEN
    assert findings["too few epochs"].value == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize(
    ("run", "name", "by", "part"),
    [
        (("table", "lenet5", 2), "dx=2", -60, "well below the kernel"),
        (("table", "lenet5", 2), "dx=5", 28, "not at the kernel's size"),
        (("table", "biased_lenet5", 2), "answered 2 at dx=-3", -60, "the answer follows the position"),
        (("table", "biased_lenet5", 2), "figures 1 and 2", -60, "figures 1 and 2"),
        (("table", "biased_lenet5", 2), "figures 3 and 4", -60, "figures 3 and 4"),
        (
            ("position_bias", "lenet5_global_max_c5_by_3", 2), "answered 3 at dx=3", -60,
            "it is the convolution",
        ),
    ],
)  # fmt: skip
def test_each_bound_can_be_broken(run, name, by, part) -> None:
    value = measured()
    value[run][name] = shifted(value[run][name], by)
    assert parts(value)[part] == CONTRADICTED


def test_what_was_not_run_is_left_open() -> None:
    assert {v.verdict for v in claims.claims({})} == {OPEN}
    only_table = {key: value for key, value in measured().items() if key[0] == "table"}
    assert [v.verdict for v in claims.claims(only_table)] == [PARTLY, PARTLY, OPEN, PARTLY]
