"""REPRODUCTION.md is generated from the stored summary, and a study gives such a summary."""

from __future__ import annotations

import json

import pytest

from lenetshift.checks.errors import StorageError
from lenetshift.study import summary
from lenetshift.study.experiments import EXPERIMENTS, claims, settings_grid


@pytest.fixture
def reproduction(script):
    return script("tools/generate/reproduction.py")


def test_the_page_is_what_the_command_writes(reproduction) -> None:
    text = reproduction.PAGE.read_text()
    assert reproduction.render(text) == text


def test_every_block_is_on_the_page(reproduction) -> None:
    kept = summary.read_summary(reproduction.KEPT / summary.SUMMARY)
    text = reproduction.PAGE.read_text()
    for name in reproduction.blocks(kept):
        assert text.count(f"<!-- {name}: begin -->") == 1, name
        assert text.count(f"<!-- {name}: end -->") == 1, name


def test_a_changed_number_on_the_page_is_noticed(reproduction) -> None:
    text = reproduction.PAGE.read_text()
    changed = text.replace("**agrees**", "**deviates**", 1)
    assert changed != text
    assert reproduction.render(changed) == text


def test_a_block_that_nobody_knows(reproduction) -> None:
    with pytest.raises(ValueError, match="got the block 'tabel', expected origin, verdicts"):
        reproduction.render("<!-- tabel: begin -->\n<!-- tabel: end -->")


def test_what_is_kept(reproduction) -> None:
    """The summary is of a whole study at its defaults, with every experiment, and it is small."""
    kept = summary.read_summary(reproduction.KEPT / summary.SUMMARY)
    assert kept["note"] == ""
    assert kept["study"] == {"seeds": 20, "experiments": list(EXPERIMENTS), "quick": False}
    assert len(kept["table"]["cells"]) == 8
    for claim in kept["claims"]:
        number = claim["claim"]
        assert claim["sentence"] == claims.SENTENCES[number]
        for (_, part), of in zip(claims.PARTS[number], claim["parts"], strict=True):
            kept_words = (of["name"], of["hypothesis"], of["measure"])
            assert (part.name, part.hypothesis, part.measure) == kept_words
            assert part.criterion.supports == of["supports"]
            assert part.criterion.contradicts == of["contradicts"]
    assert sum(path.stat().st_size for path in reproduction.KEPT.iterdir()) < 3e6


def test_no_kept_verdict_is_one_that_its_rule_cannot_give(reproduction) -> None:
    kept = summary.read_summary(reproduction.KEPT / summary.SUMMARY)
    for claim in kept["claims"]:
        verdicts = [part["verdict"] for part in claim["parts"]]
        assert claim["verdict"] == claims.combine(verdicts)
        for part in claim["parts"]:
            for verdict, when in (("supported", "supports"), ("contradicted", "contradicts")):
                assert not (part["verdict"] == verdict and part[when].startswith("nothing here"))


def test_settings_that_were_not_tried_are_not_judged(reproduction) -> None:
    """The grid has no learning rate below 0.01, and one number of epochs for all models."""
    text = " ".join(reproduction.PAGE.read_text().split())
    for sentence in (
        "with any settings that we tried",
        "Nowhere does the symmetric network's row come out",
        "unknown settings do not excuse",
        "do not occur together",
    ):
        assert sentence not in text
    numbers = ", ".join(map(str, settings_grid.EPOCHS[:-1])) + f" and {settings_grid.EPOCHS[-1]}"
    assert text.count(f"equal numbers of epochs ({numbers})") == 1
    assert text.count(f"equal numbers of epochs for all models ({numbers})") == 1
    remaining = "small learning rates with each model's own number of epochs remain"
    assert text.lower().count(remaining) == 2


def test_a_summary(tmp_path) -> None:
    rows = [{"experiment": "table", "mean": 1.5}, {"experiment": "settings_grid", "mean": 2.5}]
    dossier = json.dumps({"note": "a", "summaries": rows, "runs": [1, 2, 3]}).encode()
    made = summary.summarize_dossier(dossier)
    assert made["n_runs"] == 3
    assert made["summaries"] == rows[:1]
    assert "runs" not in made
    summary.write_summary(tmp_path / "summary.json", made)
    assert json.loads((tmp_path / "summary.json").read_text()) == made
    assert summary.summarize_dossier(dossier + b" ")["dossier_sha256"] != made["dossier_sha256"]


def test_no_summary(tmp_path) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*nowhere\.json: No such file"):
        summary.read_summary(tmp_path / "nowhere.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(StorageError, match=r"bad\.json: not JSON"):
        summary.read_summary(tmp_path / "bad.json")
    (tmp_path / "bad.json").write_text('{"note": 3}')
    with pytest.raises(StorageError, match=r'bad\.json: \$: got no "schema" and no '):
        summary.read_summary(tmp_path / "bad.json")
