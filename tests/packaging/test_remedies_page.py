"""docs/remedies.md is what its command writes from the results, and the command measures what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from lenetshift import ShiftGrid, evaluate_shifts, load_mnist, train
from lenetshift.remedies import MaxBlurPool2d


@pytest.fixture
def remedies(script):
    return script("tools/generate/remedies.py")


@pytest.fixture
def text(remedies, script):
    return script("tools/generate/remedies_text.py")


def results(remedies) -> dict[str, Any]:
    return json.loads(remedies.RESULTS.read_text(encoding="utf-8"))


def test_the_page_is_what_the_command_writes(remedies) -> None:
    page = remedies.PAGE.read_text(encoding="utf-8")
    assert remedies.render(page, results(remedies)) == page


def test_the_results_have_every_run(remedies) -> None:
    found = results(remedies)
    names = [*remedies.REMEDIES, remedies.AVERAGING]
    assert set(found["runs"]) == {
        f"{network}/{name}/{seed}"
        for network in remedies.NETWORKS
        for name in names
        for seed in range(found["settings"]["seeds"])
    }
    for run in found["runs"].values():
        assert 0 <= run["worst_case_accuracy"] <= run["moved_accuracy"] <= 1
        assert min(run[name] for name in ("training_seconds", "answer_seconds")) > 0


def test_a_block_that_is_missing_or_unknown(remedies) -> None:
    found = results(remedies)
    with pytest.raises(ValueError, match="got no block 'origin', expected origin, table LeNet-5"):
        remedies.render("", found)
    page = remedies.PAGE.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="got the block 'tabel'"):
        remedies.render(f"{page}<!-- tabel: begin --><!-- tabel: end -->", found)


def made_up(**remedies: dict[str, tuple[float, float, float]]) -> dict[str, Any]:
    """Results of one network with three seeds; measures that are not given are those as it is."""
    own = {
        "unmoved_accuracy": (0.9, 0.91, 0.92),
        "moved_accuracy": (0.5, 0.51, 0.52),
        "worst_case_accuracy": (0.1, 0.1, 0.1),
        "flip_rate": (0.2, 0.2, 0.2),
        "answer_seconds": (1.0, 2.0, 4.0),
    }
    runs = {
        f"net/{name.replace('_', ' ')}/{seed}": {
            measure: {**own, **given}[measure][seed] for measure in own
        }
        for name, given in {"as_it_is": {}, **remedies}.items()
        for seed in range(3)
    }
    return {"settings": {"seeds": 3}, "runs": runs}


def test_sentences_follow_the_rules(text) -> None:
    found = made_up(
        dear={"moved_accuracy": (0.7, 0.71, 0.72), "answer_seconds": (3.0, 6.0, 12.0)},
        cheap={"moved_accuracy": (0.6, 0.61, 0.62), "unmoved_accuracy": (0.8, 0.81, 0.82)},
        shift_averaging={"moved_accuracy": (0.55, 0.56, 0.57), "answer_seconds": (2.0, 4.0, 8.0)},
        one_seed_worse={"moved_accuracy": (0.6, 0.61, 0.519), "flip_rate": (0.1, 0.1, 0.1)},
        small={"moved_accuracy": (0.509, 0.519, 0.529)},
        worse={"moved_accuracy": (0.4, 0.41, 0.42)},
    )
    assert text.sentences(found, "net") == [
        "For the most moved images right: **dear**, with 71.0 % instead of 51.0 %, and 10.0 % instead of "
        "10.0 % at every shift. An answer takes 3.0 times as long.",
        "Without training again: **shift averaging**, with 56.0 % instead of 51.0 %, and 10.0 % instead of "
        "10.0 % at every shift. An answer takes 2.0 times as long.",
        "With answers as fast as before: **cheap**, with 61.0 % instead of 51.0 %, and 10.0 % instead of "
        "10.0 % at every shift. An answer takes about as long as before.",
        "Clear gains on moved images: dear (+20.0 points); cheap (+10.0 points); shift averaging (+5.0 "
        "points).",
        "No clear change there: one seed worse (+6.6 points); small (+0.9 points).",
        "Clear losses there: worse (-10.0 points).",
        "Fewer flips without a gain there: one seed worse (-10.0 points).",
        "Clear losses on unmoved images: cheap (-10.0 points).",
    ]
    nothing = made_up(worse={"moved_accuracy": (0.4, 0.41, 0.42)})
    assert text.sentences(nothing, "net")[0] == "No remedy gives a clear gain on moved images."


def test_tables_have_means_and_spreads(text) -> None:
    found = made_up(dear={"moved_accuracy": (0.7, 0.71, 0.72), "answer_seconds": (3.0, 6.0, 8.0)})
    for run in found["runs"].values():
        run.update(consistency=0.5, training_seconds=2.0, evaluation_seconds=3.0)
    rows = text.blocks({**found, **ORIGIN})["table net"].splitlines()
    assert rows[3] == (
        "| dear | 91.0 ± 1.0 | 71.0 ± 1.0 | 10.0 ± 0.0 | 20.0 ± 0.0 | 50.0 ± 0.0 | 1.0 ± 0.0 | 2.7 ± 0.6 | "
        "1.0 ± 0.0 |"
    )


ORIGIN = {
    "settings": {
        "seeds": 3, "n_train": 1, "n_test": 1, "epochs": 1, "learning_rate": 1, "batch_size": 1,
    },
    "data": "", "lenetshift": "", "torch": "", "processor": "", "prices": {"net": {"9": 2.0}},
}  # fmt: skip


def test_networks_and_their_remedies(remedies) -> None:
    images = torch.rand(2, 1, 28, 28)
    for network in remedies.NETWORKS:
        plain = remedies.built(network, remedies.AS_IT_IS, 1)
        for remedy in remedies.REMEDIES:
            made = remedies.built(network, remedy, 1)
            assert made(images).shape == (2, 10)
            assert torch.equal(made[0].weight, plain[0].weight)  # the same first weights
    assert isinstance(remedies.built("small CNN", "max-blur pool", 0)[2], MaxBlurPool2d)


def test_a_run_measures_the_network_that_it_names(remedies) -> None:
    settings, threads = remedies.Settings(64, 8, 1, 1), torch.get_num_threads()
    try:
        found = remedies.perform("small CNN", "as it is", 3, settings, None)
    finally:
        torch.set_num_threads(threads)
    assert list(found) == ["as it is", "shift averaging"]
    train_set, test = (part.subset(n) for part, n in zip(load_mnist(), (64, 8), strict=True))
    model = remedies.built("small CNN", "as it is", 3)
    how = {"learning_rate": 0.1, "batch_size": 64, "seed": 3, "method": "autograd"}
    train(model, train_set, epochs=1, **how)
    evaluation = evaluate_shifts(model, test, grid=ShiftGrid(), progress=False)
    run = found["as it is"]
    assert run["moved_accuracy"] == evaluation.metric("moved_accuracy").value
    assert run["flip_rate"] == evaluation.metric("flip_rate").value
    assert run["parameters"] == 160 + 4640 + 51264 + 650
    assert found["shift averaging"]["method"] == "plain"


def test_docs_are_not_overwritten_by_a_part(remedies, capsys) -> None:
    for option in (["--quick"], ["--data", "somewhere"]):
        with pytest.raises(SystemExit):
            remedies.main(option)
        assert "--quick and --data need --out" in capsys.readouterr().err


@pytest.mark.slow
def test_the_quick_command_and_its_restart(remedies, tmp_path, capsys) -> None:
    how = ["--quick", "--out", str(tmp_path), "--workers", "1"]
    remedies.main(how)
    assert "28 of 28 runs" in capsys.readouterr().out
    path = tmp_path / "remedies" / "results.json"
    found = json.loads(path.read_text())
    assert found["prices"]
    del found["runs"]["LeNet-5/jitter/1"]
    path.rename(path.with_name("unfinished.json")).write_text(json.dumps(found))
    remedies.main(how)
    assert [each.name for each in path.parent.iterdir()] == ["results.json"]
    assert "1 of 1 runs" in capsys.readouterr().out
    again = json.loads(path.read_text())
    del again["runs"]["LeNet-5/jitter/1"]
    assert again == found
    assert "| jitter |" in (tmp_path / "remedies.md").read_text()
