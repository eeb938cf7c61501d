"""Dossiers that no network made, and damaged ones: `verify` refuses them, and says what it left out."""

from __future__ import annotations

import functools
import hashlib
import json
import random
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run
from dossiers import (
    PLAN,
    SETTINGS_PLAN,
    change,
    change_arrays,
    check_refused,
    publish_again,
    quick,
    refresh_sums,
)

from lenetshift.checks.errors import Differs, StorageError
from lenetshift.predict.predict_shifts import predict_shifts
from lenetshift.storage.sealed import pack_arrays, pack_tensors, unpack_arrays, unpack_tensors
from lenetshift.study import plans, repetition, verification
from lenetshift.study.experiments import EXPERIMENTS, ground
from lenetshift.study.experiments.networks import build_network
from lenetshift.study.experiments.runs import GRID
from lenetshift.study.run_files import answers_path, read_run, weights_path
from lenetshift.study.verification import verify as verify_folder

DIFFERS = "lenetshift verify: differs: "


def change_weights(folder: Path, one, edit) -> None:
    """Change what the file of weights holds, and make the answers' file fit."""
    path = weights_path(folder, one)
    path.write_bytes(pack_tensors(edit(unpack_tensors(path.read_bytes()))))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def refer(arrays):
        about = json.loads(str(arrays["about"]))
        return {"about": np.array(json.dumps({**about, "checkpoint_sha256": digest}))}

    change_arrays(answers_path(folder, one), refer)


def with_weights(value: float):
    def edit(content):
        same = {name: torch.full_like(w, value) for name, w in content["state_dict"].items()}
        return {**content, "state_dict": same}

    return edit


def change_a_prediction(folder: Path) -> None:
    """One of the first run, after its last epoch; everything is made to fit."""

    def edit(arrays):
        predictions = arrays["predictions"].copy()
        predictions[-1, 5, 2, 5] ^= 1
        return {"predictions": predictions}

    change_arrays(answers_path(folder, PLAN.runs[0]), edit)
    publish_again(folder)


# Answers that no network gave


def test_predictions_that_no_network_gave(dossier) -> None:
    for one in PLAN.runs:
        change_arrays(
            answers_path(dossier, one), lambda arrays: {"predictions": 9 - arrays["predictions"]}
        )
    publish_again(dossier)
    done = run("verify", dossier)
    check_refused(done, 1, " of 3300 predictions differ (")
    assert "agree" not in done[1]
    status, text, _ = run("verify", dossier, "--evaluate", 0)
    assert status == 0
    assert "No weights were evaluated, so the predictions may be of no network" in text


def test_one_prediction_that_its_network_did_not_give(dossier, monkeypatch) -> None:
    """Also where rounding would explain it: on the ground of the study there is none."""
    change_a_prediction(dossier)
    monkeypatch.setattr(repetition, "ROUNDING", 10.0)
    message = (
        f"{DIFFERS}table/lenet5.seed0: evaluated from its weights, 1 of 3300 predictions differ "
        "(0.03 %): that of test image 5 at shift (0, 0) is "
    )
    check_refused(run("verify", dossier, "--evaluate", "all"), 1, message)


def test_weights_that_are_zero(dossier) -> None:
    for one in PLAN.runs:
        change_weights(dossier, one, with_weights(0.0))
    publish_again(dossier)
    check_refused(run("verify", dossier, "--evaluate", 1), 1, " of 3300 predictions differ (")


def test_losses_are_proved_by_training_again(dossier) -> None:
    for one in PLAN.runs:
        change_arrays(answers_path(dossier, one), lambda arrays: {"losses": arrays["losses"] / 2})
    publish_again(dossier)
    status, text, _ = run("verify", dossier)
    assert status == 0
    assert text.endswith("losses and earlier epochs were not recomputed: --retrain\n")
    done = run("verify", dossier, "--evaluate", 0, "--retrain")
    check_refused(done, 1, "trained again with the same versions and data, it differs")
    losses = r"(\d+) of \1 losses differ \(1e\+02 %\)"
    assert re.search(rf"\b0 of \d+ predictions differ; {losses}; 0 of \d+ weights", done[1])


def test_losses_of_another_number_of_steps(dossier) -> None:
    for one in PLAN.runs:
        change_arrays(
            answers_path(dossier, one), lambda arrays: {"losses": arrays["losses"][:, :3]}
        )
    publish_again(dossier)
    message = "losses: got 3 steps in an epoch, trained again it has 10"
    check_refused(run("verify", dossier, "--evaluate", 0, "--retrain"), 1, message)


def test_a_prediction_beyond_the_classes(dossier) -> None:
    path = answers_path(dossier, PLAN.runs[0])
    change_arrays(path, lambda arrays: {"predictions": arrays["predictions"] + np.uint8(10)})
    message = f"{path}: predictions: got 13, expected classes in 0..9"
    check_refused(run("verify", dossier), 2, message)
    check_refused(quick(dossier, "--resume"), 2, message)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: {**c, "schema": 1}, "schema: got 1, expected 2"),
        (lambda c: {**c, "run": {**c["run"], "seed": 1}}, "run: got another, expected table/symmetric"),
        (lambda c: {**c, "run": torch.zeros(2)}, "run: got another, expected table/symmetric_lenet5.seed0"),
        (lambda c: {**c, "more": 1}, "expected a dict of schema, run, state_dict"),
        (lambda c: [c], "got list, expected a dict of schema, run, state_dict"),
        (lambda c: {**c, "state_dict": {}}, "state_dict: got others, expected the weights c1."),
        (
            lambda c: {**c, "state_dict": {n: w.double() for n, w in c["state_dict"].items()}},
            "state_dict['c1.weight']: got float64 [6, 1, 5, 5], expected float32 [6, 1, 5, 5]",
        ),
    ],
)  # fmt: skip
def test_weights_of_another_layout(dossier, edit, message) -> None:
    (one, _) = [each for each in PLAN.runs if each.network == "symmetric_lenet5"]
    change_weights(dossier, one, edit)
    publish_again(dossier)  # which reads only the weights that facts are of
    check_refused(run("verify", dossier, "--evaluate", 0), 2, message)


def test_a_false_number_of_parameters(dossier) -> None:
    def edit(arrays):
        about = json.loads(str(arrays["about"]))
        return {"about": np.array(json.dumps({**about, "parameters": about["parameters"] + 1}))}

    change_arrays(answers_path(dossier, PLAN.runs[0]), edit)
    publish_again(dossier)
    message = (
        f"{DIFFERS}dossier.json: runs[table/lenet5.seed0].parameters: got 60807, recomputed 60806"
    )
    check_refused(run("verify", dossier), 1, message)


# Runs that keep the accuracies of every epoch, and the last predictions


def change_accuracies(folder: Path, edit, runs=SETTINGS_PLAN.runs[:1]) -> None:
    """Change those of some runs, float64 [epochs, n], in place, and publish all anew."""
    for one in runs:

        def changed(arrays):
            accuracies = arrays["accuracies"].copy()
            edit(accuracies)
            return {"accuracies": accuracies}

        change_arrays(answers_path(folder, one), changed)
    status, _, errors = quick(folder, "--resume", experiment="settings")
    if status:
        raise StorageError(errors)


def test_a_dossier_whose_runs_keep_the_last_predictions(original_settings) -> None:
    status, text, errors = run("verify", original_settings, "--evaluate", "all", "--retrain")
    assert (status, errors) == (0, "")
    n_accuracies = r"0 of (12|15) accuracies differ"  # 15 with those on held-out images
    assert re.search(rf"0 of 3300 predictions differ; {n_accuracies}; 0 of \d+ losses differ", text)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda a: a[-1].__iadd__([1, 0, 0, -1]), "accuracies: unmoved after epoch 3: got "),
        (lambda a: a[-1].__iadd__([0, 0, 1, 0]), "accuracies: kept after epoch 3: got "),
        (lambda a: a[0].__iadd__([0, 1, 0, 0]), "accuracies: change after epoch 1: got "),
        (lambda a: a[0].__setitem__(2, 100.1), "kept after epoch 1: got 100.1, expected 100"),
        (lambda a: a[1].__setitem__(2, -1.0), "kept after epoch 2: got -1, expected 0"),
        (lambda a: a[1].fill(np.nan), "accuracies: got some that are not finite, expected finite"),
        (lambda a: a[0].fill(np.inf), "accuracies: got some that are not finite, expected finite"),
    ],
)
def test_accuracies_that_no_predictions_give(dossier_of_settings, edit, message) -> None:
    """They are refused when a dossier is made of them, and when it was made without these checks."""
    with pytest.raises(StorageError, match=re.escape(message)):
        change_accuracies(dossier_of_settings, edit)
    refresh_sums(dossier_of_settings)
    check_refused(run("verify", dossier_of_settings), 2, message)


def test_accuracies_of_earlier_epochs_are_proved_by_training_again(dossier_of_settings) -> None:
    def edit(accuracies) -> None:
        accuracies[0, 2] = 100 - accuracies[0, 2]

    change_accuracies(dossier_of_settings, edit, SETTINGS_PLAN.runs)
    status, _, errors = run("verify", dossier_of_settings, "--evaluate", "all")
    assert (status, errors) == (0, "")
    done = run("verify", dossier_of_settings, "--evaluate", 0, "--retrain")
    check_refused(done, 1, "trained again with the same versions and data, it differs")
    assert re.search(r"0 of 3300 predictions differ; 1 of 1[25] accuracies differ", done[1])


def test_the_accuracy_on_held_out_images_is_that_of_the_weights(dossier_of_settings) -> None:
    (one, *_) = [each for each in SETTINGS_PLAN.runs if each.held_out]

    def edit(accuracies) -> None:
        accuracies[-1, 4] = 100 - accuracies[-1, 4]

    change_accuracies(dossier_of_settings, edit, [one])
    status, _, errors = run("verify", dossier_of_settings, "--evaluate", 0)
    assert (status, errors) == (0, "")
    message = f"{DIFFERS}{one.name}: accuracy on held-out images: got "
    check_refused(run("verify", dossier_of_settings, "--evaluate", "all"), 1, message)


def test_accuracies_of_another_shape(dossier_of_settings) -> None:
    path = answers_path(dossier_of_settings, SETTINGS_PLAN.runs[0])
    change_arrays(path, lambda arrays: {"accuracies": arrays["accuracies"][:, :3]})
    message = f"{path}: accuracies: got float64 [3, 3], expected float64 [3, 4]"
    check_refused(run("verify", dossier_of_settings), 2, message)


def test_a_run_without_its_accuracies(dossier_of_settings) -> None:
    path = answers_path(dossier_of_settings, SETTINGS_PLAN.runs[0])
    names = ("about", "losses", "predictions")
    arrays = unpack_arrays(path.read_bytes(), (*names, "accuracies"))
    path.write_bytes(pack_arrays({name: arrays[name] for name in names}))
    message = f"{path}: got about, losses, predictions, expected "
    check_refused(run("verify", dossier_of_settings), 2, message)


# Facts


def first_fact(value):
    """Correlation of pixels that lie side by side."""
    return value["facts"]["pixel_correlation"]


@pytest.mark.parametrize(("by", "refused"), [(0.0019, False), (-0.0019, False), (0.0021, True)])
def test_facts_of_another_machine_differ_a_little(dossier, by, refused) -> None:
    def edit(value) -> None:
        first_fact(value)["1"] += by

    change(dossier, edit)
    if not refused:
        verify_folder(dossier)
        return
    message = f"{DIFFERS}dossier.json: facts[pixel_correlation][1]: 0."
    check_refused(run("verify", dossier), 1, message)


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda facts: facts["pixels_from_s2"].update(n_seeds=3), "facts[pixels_from_s2][n_seeds]: 3"),
        (lambda facts: facts["layer_similarity"]["mlp"].update(mean=None), "facts[layer_similarity][mlp]"),
        (lambda facts: facts["layer_similarity"].pop("mlp"), "facts[layer_similarity][mlp]: only in"),
        (lambda facts: facts.update(more=1), "facts[more]: only in the first"),
        (lambda facts: facts.update(pixel_correlation="some"), "facts[pixel_correlation]: str and dict"),
        (lambda facts: facts["pixel_correlation"].update({"1": "x"}), "facts[pixel_correlation][1]: "),
        (lambda facts: facts["pixel_correlation"].update({"1": 10**400}), "facts[pixel_correlation][1]: "),
        (lambda facts: facts["pixel_correlation"].update({"1": True}), "facts[pixel_correlation][1]: "),
    ],
)  # fmt: skip
def test_false_facts(dossier, edit, place) -> None:
    change(dossier, lambda value: edit(value["facts"]))
    check_refused(run("verify", dossier), 1, f"{DIFFERS}dossier.json: {place}")


def test_facts_without_the_experiment_that_they_need(dossier_of_settings, original) -> None:
    value = json.loads((dossier_of_settings / "dossier.json").read_text())
    assert value["facts"] is None
    facts = json.loads((original / "dossier.json").read_text())["facts"]
    change(dossier_of_settings, lambda value: value.update(facts=facts))
    message = f"{DIFFERS}dossier.json: facts: dict and NoneType"
    check_refused(run("verify", dossier_of_settings), 1, message)


def test_a_network_that_diverged_has_no_facts(dossier) -> None:
    """The means are those of the others."""
    before = json.loads((dossier / "dossier.json").read_text())["facts"]
    assert before["aligned_similarity"]["n_seeds"] == 2
    one, other = (each for each in PLAN.runs if each.setting == "lenet5")
    change_weights(dossier, one, with_weights(float("nan")))
    publish_again(dossier)
    facts = json.loads((dossier / "dossier.json").read_text())["facts"]
    assert facts["aligned_similarity"]["n_seeds"] == 1
    assert facts["pixels_from_s2"]["n_seeds"] == facts["layer_similarity"]["lenet5"]["n_seeds"] == 1
    assert facts["layer_similarity"]["mlp"] == before["layer_similarity"]["mlp"]
    assert facts["pixel_correlation"] == before["pixel_correlation"]
    change_weights(dossier, other, with_weights(float("nan")))
    publish_again(dossier)
    facts = json.loads((dossier / "dossier.json").read_text())["facts"]
    assert facts["pixels_from_s2"] == {"n_seeds": 0, "mean": None}
    verify_folder(dossier)


# Genuine dossiers


def test_a_run_that_diverged(dossier) -> None:
    """Its losses and weights are NaN, its answers those of such a network."""
    one = PLAN.runs[0]
    change_weights(dossier, one, with_weights(float("nan")))
    network = build_network(one.network, one.activation, one.seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(float("nan"))
    answers = predict_shifts(network, PLAN.datasets()[1].images, GRID).numpy()[None]

    def edit(arrays):
        return {"predictions": answers, "losses": np.full_like(arrays["losses"], np.nan)}

    change_arrays(answers_path(dossier, one), edit)
    publish_again(dossier)
    assert "table,lenet5,0,2,loss,\n" in (dossier / "runs.csv").read_text()
    status, text, errors = run("verify", dossier, "--evaluate", "all")
    assert (status, errors) == (0, "")
    assert f"last predictions of {len(PLAN.runs)} of {len(PLAN.runs)} runs agree; losses" in text
    earlier = (dossier / "runs.csv").read_text().replace("loss,\n", "loss,nan\n")
    (dossier / "runs.csv").write_text(earlier)  # as version 0.1 wrote it
    refresh_sums(dossier)
    verify_folder(dossier)


def test_files_of_others_are_named_and_left_alone(dossier) -> None:
    (dossier / "notes").mkdir()
    (dossier / "letter.txt").write_text("mine")
    status, text, errors = run("verify", dossier)
    assert (status, errors) == (0, "")
    assert "Not of the dossier, left alone: letter.txt, notes\n" in text
    (dossier / "runs" / "table" / "more.npz").write_text("mine")
    check_refused(run("verify", dossier), 1, f"{DIFFERS}runs/table/more.npz: not of the runs that")


def test_the_runs_are_drawn_anew(original) -> None:
    drawn = [repetition.draw_runs(PLAN, 5) for _ in range(20)]
    assert all(len(set(runs)) == 5 for runs in drawn)
    assert any(runs != drawn[0] for runs in drawn)
    assert repetition.draw_runs(PLAN, None) == repetition.draw_runs(PLAN, 999) == PLAN.runs
    status, text, _ = run("verify", original, "--evaluate", 2)
    assert status == 0
    (names,) = re.findall(r"^Evaluated again: (.*), (.*)$", text, re.MULTILINE)
    assert set(names) <= {one.name for one in PLAN.runs}
    assert "Weights and last predictions of 2 of 10 runs agree; the other 8 were not" in text


@pytest.fixture
def elsewhere(monkeypatch) -> None:
    """This machine is not the one that made the study."""
    monkeypatch.setattr(ground, "isa", lambda: "another")


@pytest.mark.usefixtures("elsewhere")
def test_rounding_of_another_machine(dossier, monkeypatch) -> None:
    change_dossier = "1 of 3300 predictions differ (0.03 %), more than rounding explains"
    with monkeypatch.context() as there:
        there.setattr(ground, "isa", lambda: made_with)
        made_with = json.loads((dossier / "dossier.json").read_text())["ground"]["isa"]
        change_a_prediction(dossier)
    check_refused(run("verify", dossier, "--evaluate", "all"), 1, change_dossier)
    monkeypatch.setattr(repetition, "ROUNDING", 10.0)
    status, text, _ = run("verify", dossier, "--evaluate", "all")
    assert status == 0
    line = (
        "table/lenet5.seed0: 1 of 3300 predictions differ (0.03 %), no more than rounding explains"
    )
    assert line in text
    monkeypatch.setattr(repetition, "MOST_BY_ROUNDING", 1e-4)
    check_refused(run("verify", dossier, "--evaluate", "all"), 1, change_dossier)


@pytest.mark.usefixtures("elsewhere")
def test_training_again_elsewhere_is_not_judged(original, monkeypatch) -> None:
    monkeypatch.setattr(repetition, "_different", lambda then, now: then.size)
    status, text, _ = run("verify", original, "--evaluate", 0, "--retrain")
    assert status == 0
    assert re.search(r"\b(\d+) of \1 predictions differ \(1e\+02 %\)", text)
    assert re.search(
        r"^That is not judged: the study was made with isa \w+, not another$", text, re.M
    )


# Plans


def test_the_number_of_runs_of_a_plan() -> None:
    for name in EXPERIMENTS:
        for seeds in (2, 3, 5, 6, 9, 10, 11, 12, 20):
            for thorough in (False, True):
                plan = plans.Plan(seeds, (name,), thorough=thorough)
                assert plan.n_runs == len(plan.runs)


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({"seeds": 10**9}, "runs: got 10 items, recomputed 5000000000, those of the plan in study"),
        ({"seeds": 10**400}, "study.seeds: got 1000"),
        ({"experiments": ["table", "symmetry"]}, "runs: got 10 items, recomputed 14, those of"),
        (
            {"experiments": ["symmetry", "table"]},
            'study.experiments[0]: got "symmetry", recomputed',
        ),
        ({"thorough": True}, "study: thorough: got a quick study, expected one that is not"),
        ({"experiments": ["tables"]}, "study: experiment: got 'tables', expected 'table' or "),
        ({"experiments": ["symmetry"]}, "runs: got 10 items, recomputed 4, those of"),
    ],
)
def test_a_plan_that_the_runs_are_not_of(dossier, study, message) -> None:
    change(dossier, lambda value: value["study"].update(study))
    done = run("verify", dossier)
    check_refused(done, 1, f"{DIFFERS}dossier.json: ")
    assert message in done[2]


def test_a_setting_that_the_plan_does_not_prescribe(dossier) -> None:
    change(dossier, lambda value: value["runs"][0]["run"].update(learning_rate=0.2))
    message = "dossier.json: runs[table/lenet5.seed0].run.learning_rate: got 0.2, recomputed 0.1"
    check_refused(run("verify", dossier), 1, message)


@pytest.mark.parametrize("value", ["-1", "1.5", "some", "1" * 20])
def test_bad_numbers_of_runs(value, tmp_path) -> None:
    message = f"argument --evaluate: got '{value}', expected a number of runs, or all"
    check_refused(run("verify", tmp_path, f"--evaluate={value}"), 2, message)


# Damaged files


def test_two_lines_of_one_file(dossier) -> None:
    with open(dossier / "SHA256SUMS", "a") as file:
        file.write(f"{64 * '0'}  dossier.json\n")
    message = "SHA256SUMS: got two lines for dossier.json, expected one"
    check_refused(run("verify", dossier), 1, message)


def test_a_number_that_no_float_can_hold(dossier) -> None:
    change(dossier, lambda value: value["runs"][0].update(parameters=10**400))
    message = "dossier.json: runs[table/lenet5.seed0].parameters: got 1000"
    check_refused(run("verify", dossier), 1, message)


def test_a_key_twice(dossier) -> None:
    path = dossier / "dossier.json"
    path.write_text(path.read_text().replace('"quick": true', '"quick": true, "quick": true'))
    refresh_sums(dossier)
    message = 'dossier.json: not JSON: got the key "quick" twice in an object, expected it once'
    check_refused(run("verify", dossier), 1, message)


def places(value, where=()):
    """The keys that lead to each value of a dossier, except to the items of its lists of many."""
    yield where
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*where, key))
    elif isinstance(value, list):
        for index, item in list(enumerate(value))[:2]:
            yield from places(item, (*where, index))


class Doubled(dict):
    """An object whose keys json.dumps writes twice."""

    def items(self):
        return [*super().items(), *super().items()]


NOTHING = object()
REPLACEMENTS = (
    *(NOTHING, None, True, float("inf"), float("nan"), 1e308, 10**400, 10**9, -1, 2.0),
    *("", "\ud800\0\n", "x" * 10_000, [], {}, [[]], Doubled({"a": 1})),
    "DEEP",
)


def mutated(text: str, where, replacement) -> str:
    value = of = json.loads(text)
    for key in where[:-1]:
        of = of[key]
    if replacement is NOTHING:
        del of[where[-1]]
    else:
        of[where[-1]] = replacement
    return json.dumps(value).replace('"DEEP"', "[" * 900 + "]" * 900)


def value_at(value, where):
    for key in where:
        value = value[key]
    return value


def refusal_of(read) -> str:
    """The line in which something is refused; empty if it is not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read()
    except (Differs, StorageError) as refusal:
        return str(refusal)
    return ""


def test_whatever_a_dossier_holds_is_refused_in_a_line(dossier, monkeypatch) -> None:
    """Hundreds of mutations, always the same: never another exception, and never without end."""
    kept = functools.cache(lambda: computed(PLAN, dossier, value["ground"]))
    computed = verification.contents

    def same(plan, folder, ground):
        return (
            kept() if (plan, ground) == (PLAN, value["ground"]) else computed(plan, folder, ground)
        )

    monkeypatch.setattr(verification, "contents", same)
    path = dossier / "dossier.json"
    text = path.read_text()
    value = json.loads(text)
    draws = random.Random(0)
    everywhere = list(places(value))[1:]
    top = [where for where in everywhere if len(where) < 3 and where[0] != "environment"]
    chosen = [(where, new) for where in top for new in draws.sample(REPLACEMENTS, 2)]
    chosen += [(draws.choice(everywhere), draws.choice(REPLACEMENTS)) for _ in range(130)]
    assert len(chosen) > 200
    for where, new in chosen:
        path.write_text(mutated(text, where, new))
        refresh_sums(dossier)
        said = refusal_of(lambda: verify_folder(dossier))
        assert said.isprintable(), (where, new)
        assert len(said) < 1000, (where, new)
        assert said or where[0] == "environment" or value_at(value, where) == new, (where, new)


def test_whatever_a_run_says_about_itself_is_refused_in_a_line(dossier) -> None:
    path = answers_path(dossier, PLAN.runs[0])
    arrays = unpack_arrays(path.read_bytes(), ("about", "losses", "predictions"))
    text, ground = str(arrays["about"]), PLAN.ground()
    for where in list(places(json.loads(text)))[1:]:
        for new in REPLACEMENTS:
            about = mutated(text, where, new)
            path.write_bytes(pack_arrays({**arrays, "about": np.array(about)}))
            said = refusal_of(lambda: read_run(dossier, PLAN.runs[0], ground))
            assert said.isprintable(), (where, new)
            assert len(said) < 1000, (where, new)
            same = where == ("parameters",) or value_at(json.loads(text), where) == new
            assert said or same, (where, new)  # their number is compared by verify
