"""The criteria, on made-up numbers: every verdict of every kind of criterion, and of every part."""

from __future__ import annotations

import pytest

from lenetshift.study.experiments import claims, criteria, table
from lenetshift.study.experiments.claims import PARTLY
from lenetshift.study.experiments.criteria import CONTRADICTED, OPEN, SUPPORTED

TIGHT = [60.0, 60.1, 59.9, 60.0, 60.05]
LOOSE = [50.0, 70.0, 55.0, 65.0]


def shifted(values, by):
    return [value + by for value in values]


@pytest.mark.parametrize(
    ("kind", "equal", "larger", "smaller"),
    [
        (criteria.equivalent, SUPPORTED, CONTRADICTED, CONTRADICTED),
        (criteria.larger, CONTRADICTED, SUPPORTED, CONTRADICTED),
        (criteria.not_larger, SUPPORTED, CONTRADICTED, SUPPORTED),
        (criteria.different, CONTRADICTED, SUPPORTED, SUPPORTED),
    ],
)
def test_comparisons(kind, equal, larger, smaller) -> None:
    def judge(first, second):
        return kind(lambda _: first, lambda _: second).judge({})

    assert judge(TIGHT, shifted(TIGHT, 0.2)).verdict == equal
    assert judge(shifted(TIGHT, 5), TIGHT).verdict == larger
    assert judge(TIGHT, shifted(TIGHT, 5)).verdict == smaller
    assert judge(LOOSE, shifted(LOOSE, 2)).verdict == OPEN
    assert judge(shifted(TIGHT, 5), TIGHT).value == pytest.approx(5)


@pytest.mark.parametrize(
    ("kind", "of_59", "of_61"),
    [(criteria.below, CONTRADICTED, SUPPORTED), (criteria.above, SUPPORTED, CONTRADICTED)],
)
def test_bounds(kind, of_59, of_61) -> None:
    assert kind(lambda _: TIGHT, 59).judge({}).verdict == of_59
    assert kind(lambda _: TIGHT, 61).judge({}).verdict == of_61
    assert kind(lambda _: LOOSE, 61).judge({}).verdict == OPEN


def test_cells() -> None:
    values = {
        (model, 2): {
            column: shifted(TIGHT, table.report_value(model, column) - 60)
            for column in table.COLUMNS
        }
        for model in table.MODELS
    }
    of_mlp, of_model_2 = values["mlp", 2], values["symmetric_lenet5", 2]
    of_mlp["moved"] = shifted(of_mlp["moved"], 0.15)  # far for a mean, not for a run
    of_model_2["moved"] = shifted(of_model_2["moved"], 12)
    odd = ("symmetric_lenet5", "moved")
    verdicts = {(v["model"], v["column"]): v for v in table.cells(values)}
    assert {cell for cell, v in verdicts.items() if v["verdict"] == table.DEVIATES} == {odd}
    assert verdicts[odd]["distance"] == pytest.approx(-12, abs=0.1)
    assert verdicts[odd]["distance_in_sds"] == pytest.approx(-12 / 0.0742, rel=0.01)
    assert verdicts[odd]["p_corrected"] == pytest.approx(8 * verdicts[odd]["p"])
    assert verdicts[odd]["report"] == pytest.approx(48.841, abs=1e-3)
    assert verdicts["lenet5", "unmoved"]["report"] == 96.96


def test_a_claim_is_what_all_its_parts_are() -> None:
    assert claims.combine([SUPPORTED, SUPPORTED]) == SUPPORTED
    assert claims.combine([CONTRADICTED]) == CONTRADICTED
    assert claims.combine([OPEN, OPEN]) == OPEN
    assert claims.combine([SUPPORTED, OPEN]) == PARTLY
    assert claims.combine([SUPPORTED, CONTRADICTED]) == PARTLY


def measures(**changes):
    """Measures that support every part of every claim; ``changes`` add to some accuracies."""
    by_dx = {f"dx={dx}": shifted(TIGHT, 30 - 5 * max(abs(dx) - 2, 0)) for dx in range(-5, 6)}

    def of(name, moved=60.0, **more):
        moved = shifted(TIGHT, moved - 60 + changes.get(name, 0))
        return {"moved": moved, "unmoved": shifted(TIGHT, 36.18), **more}

    follows = {"answered 3 at dx=3": shifted(TIGHT, 30), "answered 2 at dx=-3": shifted(TIGHT, 20)}
    figures = {"figures 1 and 2": shifted(TIGHT, 20), "figures 3 and 4": [100.0] * len(TIGHT)}
    return {
        "table": {
            ("lenet5", 2): of("lenet5", **by_dx),
            ("mlp", 2): of("mlp", 41),
            ("pooled_mlp", 2): of("pooled", 41),
            ("biased_lenet5", 2): of("biased", **follows, **figures),
        },
        "convolution": {
            ("lenet5_jittered", 2): of("jittered"),
            ("mlp_jittered", 2): of("mlp_jittered"),
        },
        "pooling": {
            **{(f"mlp{end}", 2): of(end) for end in ("", "_average_2", "_average_7")},
            ("lenet5_average", 2): of("average"),
            ("lenet5_subsampling", 2): of("subsampling"),
        },
        "symmetry": {
            ("lenet5", 1): of("first"),
            ("symmetric_lenet5", 1): of("first_symmetric", 48.841),
            ("lenet5", 12): of("last"),
            ("symmetric_lenet5", 12): of("last_symmetric"),
        },
        "position_bias": {("lenet5_global_max_c5_by_3", 2): of("global", **follows)},
        "place_blind": {
            ("lenet5_centred", 2): of("centred"),
            ("place_blind_centred", 2): of("blind"),
        },
    }


def parts(value, images=range(10_000)):
    return {part["name"]: part for v in claims.claims(value, images) for part in v["parts"]}


def verdicts(value, images=range(10_000)):
    return {name: part["verdict"] for name, part in parts(value, images).items()}


def of_claims(value, images=range(10_000)):
    return [v["verdict"] for v in claims.claims(value, images)]


def test_all_parts_can_be_supported() -> None:
    found = verdicts(measures())
    assert found.pop("a sixth would do") == OPEN  # no experiment tests it
    assert set(found.values()) == {SUPPORTED}, found
    assert of_claims(measures()) == [SUPPORTED, PARTLY, SUPPORTED, SUPPORTED]


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
    assert verdicts(measures())[part] == SUPPORTED
    assert verdicts(measures(**{change: by}))[part] == CONTRADICTED


def test_epochs_at_one_learning_rate_do_not_contradict_other_settings() -> None:
    """The report gives neither learning rate nor batch size."""
    found = parts(measures(first_symmetric=5))["too few epochs"]
    assert found["verdict"] == OPEN
    assert found["value"] == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize(
    ("experiment", "setting", "name", "by", "part"),
    [
        ("table", "lenet5", "dx=2", -60, "well below the kernel"),
        ("table", "lenet5", "dx=5", 28, "not at the kernel's size"),
        ("table", "biased_lenet5", "answered 2 at dx=-3", -60, "the answer follows the position"),
        ("table", "biased_lenet5", "figures 1 and 2", -60, "figures 1 and 2"),
        ("table", "biased_lenet5", "figures 3 and 4", -60, "figures 3 and 4"),
        (
            "position_bias", "lenet5_global_max_c5_by_3", "answered 3 at dx=3", -60,
            "it is the convolution",
        ),
    ],
)  # fmt: skip
def test_each_bound_can_be_broken(experiment, setting, name, by, part) -> None:
    value = measures()
    of = value[experiment][setting, 2]
    of[name] = shifted(of[name], by)
    assert verdicts(value)[part] == CONTRADICTED


def test_what_was_not_run_is_left_open() -> None:
    assert set(of_claims({})) == {OPEN}
    only_table = {"table": measures()["table"]}
    assert of_claims(only_table) == [PARTLY, PARTLY, OPEN, PARTLY]
    few_images = verdicts(measures(), images=[4017, 4888, 5392])
    assert few_images.pop("figures 3 and 4") == OPEN
    assert few_images.pop("figures 1 and 2") == SUPPORTED


@pytest.mark.parametrize(
    ("experiment", "setting", "epochs"),
    [(experiment, *key) for experiment, of in measures().items() for key in of],
)
def test_a_setting_of_another_name_is_an_error(experiment, setting, epochs) -> None:
    """Not a part that is left open."""
    value = measures()
    value[experiment][f"{setting}_", epochs] = value[experiment].pop((setting, epochs))
    with pytest.raises(KeyError, match=setting):
        claims.claims(value, range(10_000))


def test_a_measure_of_another_name_is_an_error() -> None:
    value = measures()
    value["table"]["biased_lenet5", 2].pop("figures 1 and 2")
    with pytest.raises(KeyError, match="figures 1 and 2"):
        claims.claims(value, range(10_000))
