"""REPRODUCTION.md is generated from the stored summary, and a study gives such a summary."""

from __future__ import annotations

import copy
import json
import re

import pytest
from made_up_study import made_up_summary

from lenetshift.checks.errors import StorageError
from lenetshift.study import summary
from lenetshift.study.experiments import EXPERIMENTS, claims
from lenetshift.study.experiments.runs import Run
from lenetshift.study.experiments.statistics import holm
from lenetshift.study.experiments.table import COLUMNS, MODELS, report_value
from lenetshift.study.experiments.words import NETWORKS
from lenetshift.study.plans import Plan


@pytest.fixture
def reproduction(script):
    return script("tools/generate/reproduction.py")


@pytest.fixture
def kept(reproduction):
    """The stored summary."""
    return summary.read_summary(reproduction.KEPT / summary.SUMMARY)


@pytest.fixture(scope="session")
def made_up():
    """The summary of a whole study with made-up measures."""
    return made_up_summary()


def test_the_page_is_what_the_command_writes(reproduction, kept) -> None:
    text = reproduction.PAGE.read_text()
    assert reproduction.render(text, kept) == text
    assert "CHECK" not in text


def test_the_page_of_a_made_up_study(reproduction, made_up) -> None:
    """Every block and number of the page can be written, and writing it again changes nothing."""
    text = reproduction.render(reproduction.PAGE.read_text(), made_up)
    assert reproduction.render(text, made_up) == text
    assert "not finished" not in text
    assert not re.search(r"<!-- n [^>]+ -->\?", text)


def test_the_stored_verdicts_are_those_of_the_present_rules(reproduction, kept) -> None:
    assert reproduction.judged(kept) == kept


def test_parts_that_only_the_correction_leaves_open(script, made_up) -> None:
    """Those whose main look has a small enough p among the main looks, but not among all."""
    values = script("tools/generate/reproduction_values.py")
    main = [
        part["looks"][0] | {"part": part["name"]}
        for one in made_up["claims"]
        for part in one["parts"]
    ]
    corrected = holm([look["p"] for look in main])
    found = dict(values.if_only_main_looks(made_up))
    assert {*found} == {
        look["part"]
        for look, p in zip(main, corrected, strict=True)
        if p < 0.05 <= look["p_corrected"] and look["verdict"] == "left open"
    }
    assert {*found.values()} <= {"supported", "contradicted"}


def test_every_block_is_on_the_page(reproduction, made_up) -> None:
    text = reproduction.PAGE.read_text()
    for name in reproduction.blocks(made_up):
        assert text.count(f"<!-- {name}: begin -->") == 1, name
        assert text.count(f"<!-- {name}: end -->") == 1, name


def test_marks_of_numbers(reproduction) -> None:
    """Each has its end; none begins a line, where Markdown would take it for a block of HTML."""
    text = reproduction.PAGE.read_text()
    assert text.count("<!-- n ") == 2 * text.count("<!-- n -->") > 0
    assert not re.search(r"^\s*<!-- n ", text, re.MULTILINE)


def test_a_changed_number_on_the_page_is_noticed(reproduction, made_up) -> None:
    text = reproduction.render(reproduction.PAGE.read_text(), made_up)
    for shown, other in (("**deviates**", "**agrees**"), (" -->5<!-- n -->", " -->6<!-- n -->")):
        changed = text.replace(shown, other, 1)
        assert changed != text
        assert reproduction.render(changed, made_up) == text


def test_what_nobody_knows(reproduction, made_up) -> None:
    with pytest.raises(ValueError, match="got the block 'tabel', expected origin, verdicts"):
        reproduction.render("<!-- tabel: begin -->\n<!-- tabel: end -->", made_up)
    with pytest.raises(ValueError, match="got the number 'maen a', expected mean, cell"):
        reproduction.render("a <!-- n maen a -->3<!-- n -->", made_up)
    for what in (
        "mean table lenet5 2 mvoed",
        "mean table lenet5",
        "count deviats",
        "verdict 1 no such part",
        "verdict 9 convolution helps",
        "first lenet5_by_3 4",
    ):
        with pytest.raises(ValueError, match=f"got the number '{what}', which the study does not"):
            reproduction.render(f"a <!-- n {what} -->3<!-- n -->", made_up)


def test_numbers_in_sentences(reproduction, made_up) -> None:
    (row,) = [
        row
        for row in made_up["summaries"]
        if (row["experiment"], row["setting"], row["epochs"], row["measure"])
        == ("position_bias", "lenet5_by_3", 2, "answered 3 at dx=3")
    ]
    written = reproduction.render(
        "a <!-- n mean position_bias lenet5_by_3 2 answered 3 at dx=3 -->?<!-- n -->, "
        "<!-- n correlation 1 -->?<!-- n -->, <!-- n report_gap -->?<!-- n -->",
        made_up,
    )
    assert re.sub("<!--.*?-->", "", written) == f"a {row['mean']:.1f}, 0.70, 11.4"


def test_the_largest_gap_is_between_equal_epochs(reproduction, made_up) -> None:
    """Networks that have not learnt, and trainings with held-out images, do not count."""
    value = copy.deepcopy(made_up)

    def curve(unmoved, moved, **more):
        return {"unmoved": unmoved, "moved": moved, **more}

    held_out = {"held_out": [95.0, 95.0]}
    value["settings"]["trajectories"] = {
        "a": {
            "lenet5": curve([89.0, 95.0], [60.0, 61.0]),
            "symmetric_lenet5": curve([95.0, 95.0], [30.0, 58.5]),
        },
        "b": {
            "lenet5": curve([95.0, 95.0], [60.0, 60.0], **held_out),
            "symmetric_lenet5": curve([95.0, 95.0], [30.0, 30.0], **held_out),
        },
        "c": {"mlp": curve([95.0], [60.0])},
    }
    assert "-->2.5<" in reproduction.render("a <!-- n largest_gap -->?<!-- n -->", value)


def test_model_2_where_it_reads_as_many_unmoved_digits_as_the_reports(
    reproduction, made_up
) -> None:
    """Between the two epochs of each seed: halfway, and a quarter of the way."""
    value = copy.deepcopy(made_up)
    goal = report_value("symmetric_lenet5", "unmoved")
    curves = {
        ("unmoved", 1): [goal - 1, goal - 0.25],
        ("unmoved", 2): [goal + 1, goal + 0.75],
        ("moved", 1): [50.0, 50.0],
        ("moved", 2): [54.0, 58.0],
    }
    value["values"] = [
        {
            "experiment": "nearest",
            "setting": "symmetric_lenet5_relu_rate0.003_batch32",
            **{"measure": measure, "epochs": epochs, "values": values},
        }
        for (measure, epochs), values in curves.items()
    ]
    number = reproduction.reproduction_numbers.number
    assert number(value, "moved_on_the_reports_unmoved mean") == "52.0"
    curves["moved", 1][0] = 46.0
    assert number(value, "moved_on_the_reports_unmoved mean") == "51.0"
    assert number(value, "moved_on_the_reports_unmoved sd") == "1.4"


def test_the_distance_of_the_means_over_all_seeds(reproduction, made_up) -> None:
    value = copy.deepcopy(made_up)
    near = reproduction.reproduction_numbers.NEAREST_BY_KIND["own epochs"]
    off = iter([3.0, 0, 0, 0, 0, -4.0, 0, 0])
    for model in MODELS:
        for column in COLUMNS:
            (row,) = (
                row
                for row in value["summaries"]
                if (row["experiment"], row["setting"], row["epochs"], row["measure"])
                == ("nearest", f"{model}_{near.name}", near.epochs_of(model), column)
            )
            row["mean"] = report_value(model, column) + next(off)
    text = "a <!-- n distance_over_seeds own epochs -->?<!-- n -->"
    assert f"-->{(25 / 8) ** 0.5:.1f}<" in reproduction.render(text, value)
    number = reproduction.reproduction_numbers.number
    gap = float(number(value, "report_gap")) + 4  # Model 2's row lies 4 points below the report's
    assert float(number(value, "gap_over_seeds own epochs")) == pytest.approx(gap, abs=0.06)


def test_numbers_have_no_minus_before_a_zero_and_a_p_that_tells_its_side(reproduction) -> None:
    of = reproduction.reproduction_claims
    assert of.interval([-0.04, 1.25]) == "[0.0, 1.2]"
    assert of.probability(0.0475) == "p = 0.048"
    assert of.probability(0.35) == "p = 0.35"
    assert of.probability(0.0004) == "p < 0.001"


LOOK = {
    **{"epochs": 2, "measure": "moved", "verdict": "contradicted", "value": 3.25, "n": 20},
    **{"interval": [2.0, 4.5], "p": 1e-9, "p_corrected": 1e-7, "silent": ""},
}


def claim_of(reproduction, verdict: str, *looks) -> str:
    """The block of a claim with one part."""
    part = {
        **{"name": "a part", "hypothesis": "It is so.", "measure": "this less that"},
        **{"supports": "larger", "contradicts": "smaller", "known": True},
        **{"verdict": verdict, "looks": list(looks)},
    }
    one = {"claim": 1, "sentence": "It holds.", "verdict": verdict, "parts": [part]}
    return reproduction.reproduction_claims.claim(one)


def test_a_claim_that_depends(reproduction) -> None:
    change = {"verdict": "supported", "measure": "change", "value": -1.0, "p_corrected": 0.004}
    text = claim_of(reproduction, "depends", LOOK, LOOK | change | {"epochs": 10})
    assert (
        "| a part | It is so. | this less that; supported if larger | "
        "3.2 [2.0, 4.5] after 2 epochs by *moved*, 20 seeds, p < 0.001: contradicted | after | **depends** |"
    ) in text
    assert text.endswith(
        "- *a part*: depends: contradicted after 2 epochs by *moved* (3.2; p < 0.001); "
        "supported after 10 epochs by *change* (-1.0; p = 0.004).\n\n</details>"
    )


def test_a_claim_with_looks_alike(reproduction) -> None:
    later = [LOOK | {"epochs": 10, "p_corrected": 0.02, "value": 1.5}, LOOK | {"epochs": 1}]
    silent = LOOK | {"verdict": "left open", "silent": "the seeds do not scatter"}
    text = claim_of(reproduction, "contradicted", LOOK, *later, silent)
    assert text.endswith(
        "- *a part*: contradicted after 1 and 10 epochs by *moved* (3.2, 1.5; p ≤ 0.020); "
        "left open after 2 epochs by *moved* (3.2; the seeds do not scatter).\n\n</details>"
    )
    assert "nothing here tests it" in claim_of(reproduction, "left open")


def test_every_network_of_a_figure_or_table_has_words() -> None:
    """Those of the ladder have words of their own."""
    plan = Plan(5)
    settings: list[Run] = plan.runs
    of_networks = {r.network for r in settings if r.experiment not in ("ladder", "settings")}
    named_alike = {r.setting for r in settings if r.experiment in ("locality", "pooling")}
    assert of_networks | named_alike <= set(NETWORKS)
    assert len(set(NETWORKS.values())) == len(NETWORKS)


def test_figures_name_no_setting_by_its_code_name(made_up) -> None:
    for name in made_up["study"]["experiments"]:
        figure = EXPERIMENTS[name].draw({**made_up, "runs": []})
        texts = [text.get_text() for text in figure.findobj(match=lambda o: hasattr(o, "get_text"))]
        assert [text for text in texts if "_" in text] == [], name


def test_what_is_kept(reproduction, kept) -> None:
    """The summary is of a whole study at its defaults, with every experiment, and it is small."""
    assert kept["note"] == ""
    assert kept["study"]["seeds"] == 20
    assert kept["study"]["experiments"] == list(EXPERIMENTS)
    assert not kept["study"]["quick"]
    assert len(kept["table"]["cells"]) == 8
    for claim in kept["claims"]:
        number = claim["claim"]
        assert claim["sentence"] == claims.SENTENCES[number]
        for (_, part), of in zip(claims.PARTS[number], claim["parts"], strict=True):
            kept_words = (of["name"], of["hypothesis"], of["measure"], of["known"])
            assert (part.name, part.hypothesis, part.measure, part.known) == kept_words
            assert part.criterion.supports == of["supports"]
            assert part.criterion.contradicts == of["contradicts"]
    assert sum(path.stat().st_size for path in reproduction.KEPT.iterdir()) < 6e6


@pytest.mark.parametrize("stored", [True, False])
def test_no_verdict_is_one_that_its_rule_cannot_give(request, stored) -> None:
    value = request.getfixturevalue("kept" if stored else "made_up")
    for claim in value["claims"]:
        verdicts = [part["verdict"] for part in claim["parts"]]
        assert claim["verdict"] == claims.combine(verdicts)
        for part in claim["parts"]:
            of_looks = [look["verdict"] for look in part["looks"]]
            assert part["verdict"] == claims.together(of_looks)
            for look in part["looks"]:
                assert look["verdict"] == claims.OPEN or not look["silent"]


def test_a_summary(tmp_path) -> None:
    rows = [{"experiment": "table", "mean": 1.5}, {"experiment": "settings", "mean": 2.5}]
    dossier = json.dumps({"note": "a", "summaries": rows, "runs": [1, 2, 3]}).encode()
    made = summary.summarize_dossier(dossier)
    assert made["n_runs"] == 3
    assert made["summaries"] == rows[:1]
    assert "runs" not in made
    summary.write_summary(tmp_path / "summary.json", made)
    assert json.loads((tmp_path / "summary.json").read_text()) == made
    assert summary.summarize_dossier(dossier + b" ")["dossier_sha256"] != made["dossier_sha256"]


def test_a_summary_that_is_stored(tmp_path, made_up) -> None:
    """It fits the schema, and reading it gives what was written."""
    summary.write_summary(tmp_path / "summary.json", made_up)
    assert summary.read_summary(tmp_path / "summary.json") == made_up


def test_no_summary(tmp_path) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*nowhere\.json: No such file"):
        summary.read_summary(tmp_path / "nowhere.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(StorageError, match=r"bad\.json: not JSON"):
        summary.read_summary(tmp_path / "bad.json")
    (tmp_path / "bad.json").write_text('{"note": 3}')
    with pytest.raises(StorageError, match=r'bad\.json: \$: got no "schema" and no '):
        summary.read_summary(tmp_path / "bad.json")
