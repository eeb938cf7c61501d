"""A quick study: resumed, damaged, and its dossier falsified in every way."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from command_line import run
from dossiers import PLAN, change, change_arrays, check_refused, files_of, quick, refresh_sums

import lenetshift
from lenetshift.checks.errors import StorageError
from lenetshift.cli.study import format_verdicts
from lenetshift.storage.files import write_json
from lenetshift.storage.folder import sole_user
from lenetshift.storage.schemas import schema
from lenetshift.storage.sealed import pack_arrays, unpack_arrays
from lenetshift.study import plans, processes, run_files, studies
from lenetshift.study.experiments import EXPERIMENTS, ground, table
from lenetshift.study.experiments.claims import claims
from lenetshift.study.experiments.runs import LAST, Run
from lenetshift.study.experiments.trainings import perform_all
from lenetshift.study.summary import SCHEMA_FILE
from lenetshift.study.verification import Differs
from lenetshift.study.verification import verify as verify_folder


def flip_a_bit(path: Path) -> None:
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 1
    path.write_bytes(contents)


def test_a_dossier_is_true(original) -> None:
    status, text, errors = run("verify", original, "--retrain")
    assert (status, errors) == (0, "")
    n = len(PLAN.runs)
    assert f"{n} runs: numbers, intervals and verdicts follow from their stored predictions" in text
    assert re.search(
        r"\b0 of \d+ predictions differ; 0 of \d+ losses differ; 0 of \d+ weights", text
    )
    *_, proved = text.splitlines()
    assert re.fullmatch(
        rf"Weights and last predictions of 5 of {n} runs agree; the other {n - 5} were not evaluated: "
        r"--evaluate all; losses and earlier epochs were recomputed for table/\w+\.seed\d alone",
        proved,
    )


@pytest.mark.usefixtures("untrained")
def test_a_disk_that_is_full_at_the_end_hides_no_verdict(tmp_path, monkeypatch) -> None:
    def full(*_) -> None:
        raise OSError(28, "No space left on device", "dossier.json")

    monkeypatch.setattr(lenetshift.study.publish, "publish", full)
    status, text, errors = quick(tmp_path)
    assert status == 2
    assert errors.endswith("error: dossier.json: No space left on device\n")
    assert "Claim 4. " in text


@pytest.mark.usefixtures("untrained")
def test_another_dossier_in_the_same_folder(tmp_path) -> None:
    for experiment, names in (("table", {"table", "table1"}), ("symmetry", {"symmetry"})):
        options = ("--quick", "--jobs", 1, "--out", tmp_path, "--resume")
        status, text, errors = run("study", *options, "--experiments", experiment)
        assert status == 0, errors
        assert ("Not of this study: 20 files in runs, such as runs/table/" in text) == (
            experiment == "symmetry"
        )
        if experiment == "symmetry":  # struck out, but its runs are still there
            message = (
                r"^\d+ files, such as runs/table/.*: not of the runs that dossier.json lists; "
            )
            with pytest.raises(Differs, match=message):
                verify_folder(tmp_path)
            shutil.rmtree(tmp_path / "runs" / "table")
        verify_folder(tmp_path)
        always = {"dossier", "claims", "runs", "summaries", "labels", "SHA256SUMS"}
        assert {path.stem for path in tmp_path.iterdir()} == always | names


@pytest.mark.usefixtures("untrained")
def test_experiments_separated_by_commas_and_spaces(tmp_path) -> None:
    options = ("--quick", "--jobs", 1, "--out", tmp_path)
    status, _, errors = run("study", *options, "--experiments", "symmetry,table", "convolution")
    assert status == 0, errors
    names = json.loads((tmp_path / "dossier.json").read_text())["study"]["experiments"]
    assert names == ["table", "convolution", "symmetry"]


@pytest.mark.usefixtures("untrained")
def test_all_experiments(tmp_path) -> None:
    status, text, errors = run("study", "--quick", "--jobs", 1, "--out", tmp_path / "all")
    assert status == 0, errors
    value = verify_folder(tmp_path / "all")
    parts = [part for claim in value["claims"] for part in claim["parts"]]
    untested = [part["name"] for part in parts if not part["looks"]]
    # A quick look does not train long enough; the 60 test images include none of the report's figures.
    assert untested == ["too few epochs", "figures 1 and 2", "figures 3 and 4"]
    names = [part["name"] for part in parts]
    lines = list(csv.DictReader((tmp_path / "all" / "claims.csv").open()))
    assert list(dict.fromkeys(line["name"] for line in lines)) == names
    assert {line["epochs"] for line in lines if line["name"] in untested} == {""}
    assert {path.stem for path in (tmp_path / "all").glob("*.svg")} == set(EXPERIMENTS)
    assert {path.stem for path in (tmp_path / "all").glob("*.png")} == set(EXPERIMENTS)
    assert "Model 2 symmetric LeNet-5, moved" in text


def test_a_quick_study_says_nothing_of_the_report(original) -> None:
    """Neither verdicts nor intervals, in the dossier, in its tables and in what is printed."""
    value = json.loads((original / "dossier.json").read_text())
    parts = [part for claim in value["claims"] for part in claim["parts"]]
    looks = [look for part in parts for look in part["looks"]]
    cells = value["table"]["cells"]
    assert {one["verdict"] for one in (*value["claims"], *parts, *looks, *cells)} == {None}
    assert {str(one["interval"]) for one in (*looks, *cells, *value["summaries"])} == {"None"}
    assert {one["value"] is None for one in looks} == {False}
    for name in ("claims.csv", "table1.csv", "summaries.csv"):
        for line in csv.DictReader((original / name).open()):
            assert line["study"] == "quick: no verdicts"
            empty = ("verdict", "low", "high", "of_the_part", "of_the_claim")
            assert {line[column] for column in empty if column in line} == {""}
    text = format_verdicts(value)
    assert "[" not in text
    assert "lie in the interval" not in text
    words = ("supported", "contradicted", "left open", "partly", "depends", "agrees", "deviates")
    assert not [word for word in words if word in text]
    assert re.search(r"^  the answer follows the position: \d+\.\d$", text, re.M)


def test_a_whole_study_has_verdicts_and_intervals(original_with_verdicts) -> None:
    value = json.loads((original_with_verdicts / "dossier.json").read_text())
    verdicts = {cell["verdict"] for cell in value["table"]["cells"]}
    assert verdicts <= {"agrees", "within a point", "deviates"}
    part = value["claims"][4]["parts"][0]
    assert [look["epochs"] for look in part["looks"]] == [2, 1, 5, 10]
    assert part["verdict"] in ("supported", "contradicted", "left open", "depends")
    assert all(row["interval"] for row in value["summaries"])
    text = format_verdicts(value)
    assert re.search(
        r"^  (left open|supported|contradicted|depends) +the answer follows", text, re.M
    )
    assert "(5 seeds; 95 % of runs lie in the interval)" in text
    assert text.count(" [") > 8
    assert "study" not in (original_with_verdicts / "claims.csv").read_text().splitlines()[0]


def test_the_values_of_a_dossier_suffice_to_judge_again(original_with_verdicts) -> None:
    value = json.loads((original_with_verdicts / "dossier.json").read_text())
    measures = {}
    for row in value["values"]:
        of_setting = measures.setdefault(row["experiment"], {})
        of_setting.setdefault((row["setting"], row["epochs"]), {})[row["measure"]] = row["values"]
    again = claims(measures, range(40))
    assert json.loads(json.dumps(again)) == value["claims"]
    assert json.loads(json.dumps(table.cells(measures["table"]))) == value["table"]["cells"]


def test_runs_of_two_experiments_may_be_one_training(original) -> None:
    value = json.loads((original / "dossier.json").read_text())
    assert value["n_trainings"] == len(PLAN.runs)
    both = plans.Plan(2, ("table", "convolution"), quick=True)
    assert len({run.training_of_its_own for run in both.runs}) == len(both.runs) - 2 * 4


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema(SCHEMA_FILE))


def test_sha256sum_agrees(original) -> None:
    command = ["sha256sum", "--quiet", "-c", "SHA256SUMS"]
    done = subprocess.run(command, cwd=original, capture_output=True)
    assert done.returncode == 0, done.stdout


def test_every_figure_is_there(original) -> None:
    assert {p.name for p in original.iterdir()} == {
        *("dossier.json", "SHA256SUMS", "labels.npz", "table.png", "table.svg", "runs"),
        *("claims.csv", "runs.csv", "summaries.csv", "table1.csv"),
    }


def test_one_changed_prediction(dossier) -> None:
    """Sealed again, hashed again, and everything that the dossier says about it changed to fit."""

    def edit(arrays):
        predictions = arrays["predictions"].copy()
        predictions[0, 5, 2, 5] ^= 1
        return {"predictions": predictions}

    path = run_files.answers_path(dossier, PLAN.runs[0])
    change_arrays(path, edit)
    refresh_sums(dossier)
    begin = "lenetshift verify: differs: dossier.json: runs[table/lenet5.seed0]."
    check_refused(run("verify", dossier), 1, f"{begin}answers_sha256: got ")

    def forge(value) -> None:
        value["runs"][0]["answers_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()

    change(dossier, forge)
    check_refused(run("verify", dossier), 1, f"{begin}after_epoch.2.")


@pytest.mark.parametrize("path_of", [run_files.answers_path, run_files.weights_path])
def test_one_changed_byte_of_a_runs_file(dossier, path_of) -> None:
    path = path_of(dossier, PLAN.runs[3])
    flip_a_bit(path)
    refresh_sums(dossier)
    check_refused(run("verify", dossier), 2, f"error: argument DIR: {path}: damaged")


def test_one_changed_label(dossier) -> None:
    labels = unpack_arrays((dossier / "labels.npz").read_bytes(), ("labels",))["labels"].copy()
    expected = int(labels[7])
    labels[7] = (expected + 1) % 10
    (dossier / "labels.npz").write_bytes(pack_arrays({"labels": labels}))
    refresh_sums(dossier)
    message = rf"labels.npz: label 7 is {(expected + 1) % 10}, the data have {expected}"
    with pytest.raises(Differs, match=message):
        verify_folder(dossier)


@pytest.mark.parametrize(
    "labels",
    [
        np.array("7"),
        np.array(7, np.uint8),
        np.array(["7"] * 60),
        np.zeros((60, 1), np.uint8),
        np.zeros(60),
    ],
)
def test_labels_of_another_kind(dossier, labels) -> None:
    (dossier / "labels.npz").write_bytes(pack_arrays({"labels": labels}))
    refresh_sums(dossier)
    with pytest.raises(Differs, match=r"^labels\.npz: got .*, expected uint8 \[N\]$"):
        verify_folder(dossier)


def test_sums_of_an_impossible_name(dossier) -> None:
    with open(dossier / "SHA256SUMS", "a") as file:
        file.write(f"{64 * '0'}  a\0b\n")
    message = r"SHA256SUMS: got 'a\x00b', expected a file of the folder"
    check_refused(run("verify", dossier), 1, message)


@pytest.mark.parametrize("value", [1e999, "5", None])
def test_a_run_whose_number_of_parameters_is_of_another_kind(dossier, value) -> None:
    def edit(arrays):
        about = json.loads(str(arrays["about"]))
        return {"about": np.array(json.dumps({**about, "parameters": value}))}

    path = run_files.answers_path(dossier, PLAN.runs[0])
    change_arrays(path, edit)
    check_refused(run("verify", dossier), 2, f"{path}: parameters, checkpoint_sha256: got ")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda v: v["claims"][4]["parts"][0]["looks"][0].update(p=None),
            ".claims[4].parts[0].looks[0].p: got null, expected number",
        ),
        (
            lambda v: v["claims"][4]["parts"][0].update(verdict="so"),
            '.claims[4].parts[0].verdict: got "so", expected',
        ),
        (
            lambda v: v["summaries"][0].update(mean=None),
            ".summaries[0].sd: got ",
        ),
        (
            lambda v: v["values"][0].update(values=[None]),
            ".values[0].values[0]: got null, expected number",
        ),
        (
            lambda v: v["table"]["cells"][0].update(mean=1e999),
            ".mean: got Infinity, expected number",
        ),
        (lambda v: v["runs"][0].update(parameters=1e999), "got Infinity, expected integer"),
        (lambda v: v.update(schema=1), ".schema: got 1, expected 2"),
        (
            lambda v: v["study"].update(seeds=2**33),
            ".study.seeds: got 8589934592, expected 4294967296 or",
        ),
        (
            lambda v: v["study"].update(experiments=[]),
            ".study.experiments: got [], expected 1 items or",
        ),
        (lambda v: v["study"].update(seeds=True), ".study.seeds: got true, expected integer"),
        (lambda v: v["study"].update(seeds=1), ".study.seeds: got 1, expected 2 or more"),
        (lambda v: v.pop("note"), ': got no "note", expected schema, note, '),
    ],
)
def test_a_dossier_that_breaks_its_schema(dossier, edit, message) -> None:
    value = json.loads((dossier / "dossier.json").read_text())
    edit(value)
    (dossier / "dossier.json").write_text(json.dumps(value))
    done = run("verify", dossier)
    check_refused(done, 1, "differs: dossier.json: $")
    assert message in done[2]


LEFT_ALONE = ("environment", "facts")
"""What is not recomputed, or within a tolerance."""


def paths(value, where=()):
    """The keys that lead to each number and word of a dossier that is recomputed to the last digit."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*where, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, (*where, index))
    elif where[0] not in LEFT_ALONE and not isinstance(value, bool) and value is not None:
        yield where


MAIN_LOOK = ("claims", 4, "parts", 0, "looks", 0)

OTHER_VERDICTS = {
    "agrees": "deviates",
    "within a point": "agrees",
    "deviates": "agrees",
    "supported": "contradicted",
    "contradicted": "supported",
    "left open": "supported",
    "partly": "supported",
    "depends": "supported",
}


@pytest.mark.usefixtures("of_the_report")
def test_any_changed_number_or_word(original_with_verdicts, small, tmp_path) -> None:
    """A sample of all places, which includes those that matter most."""
    dossier = Path(shutil.copytree(original_with_verdicts, tmp_path / "dossier"))
    value = json.loads((dossier / "dossier.json").read_text())
    by_kind = {}
    for path in paths(value):
        by_kind.setdefault(tuple(key for key in path if isinstance(key, str)), []).append(path)
    draws = np.random.default_rng(0)
    kinds = draws.choice(len(by_kind), 24, replace=False)
    chosen = [list(by_kind.values())[kind] for kind in kinds]
    needed = [
        *(("table", "cells", 5, "verdict"), ("table", "cells", 2, "interval", 0)),
        *(("claims", 0, "verdict"), ("claims", 4, "parts", 0, "verdict")),
        *((*MAIN_LOOK, "verdict"), (*MAIN_LOOK, "p_corrected"), (*MAIN_LOOK, "interval", 1)),
        *(("table", "cells", 0, "report"), ("study", "seeds"), ("values", 0, "values", 2)),
    ]
    for path in [*needed, *(places[draws.integers(len(places))] for places in chosen)]:

        def edit(of, path=path) -> None:
            for key in path[:-1]:
                of = of[key]
            old = of[path[-1]]
            word = isinstance(old, str)
            of[path[-1]] = OTHER_VERDICTS.get(old, old + "x") if word else old + 1

        write_json(dossier / "dossier.json", value)
        change(dossier, edit)
        with pytest.raises((Differs, StorageError)):
            verify_folder(dossier, small)
    write_json(dossier / "dossier.json", value)
    change(dossier, lambda value: None)
    verify_folder(dossier, small)


@pytest.mark.parametrize("name", ["claims.csv", "table1.csv", "table.png", "SHA256SUMS"])
def test_a_changed_table_or_figure(dossier, name) -> None:
    flip_a_bit(dossier / name)
    with pytest.raises((Differs, StorageError)):
        verify_folder(dossier)


def test_a_run_left_out(dossier) -> None:
    change(dossier, lambda value: value["runs"].pop())
    n = len(PLAN.runs)
    with pytest.raises(Differs, match=f"runs: got {n - 1} items, recomputed {n}"):
        verify_folder(dossier)


def test_a_missing_run(dossier) -> None:
    run_files.answers_path(dossier, PLAN.runs[1]).unlink()
    message = "lenet5.seed1.npz: got no file, expected a finished run"
    check_refused(run("verify", dossier), 2, message)


def test_no_dossier(tmp_path) -> None:
    message = (
        f"argument DIR: {tmp_path}: has no dossier.json, expected the folder of a finished `study`"
    )
    check_refused(run("verify", tmp_path), 2, message)


def test_other_data(dossier, small) -> None:
    message = "differs: dossier.json: data_sha256.train_images: got"
    check_refused(run("verify", dossier, "--data", small), 1, message)


def test_finished_runs_are_not_done_again(dossier, original, monkeypatch) -> None:
    missing = PLAN.runs[:2]
    for one in missing:
        run_files.answers_path(dossier, one).unlink()
    done = []

    def counted(training, *sets):
        done.extend(training.runs)
        return perform_all(training, *sets)

    monkeypatch.setattr(processes, "perform_all", counted)
    status, _, errors = quick(dossier, "--resume")
    assert status == 0, errors
    assert done == missing
    for name in ("dossier.json", *(run_files.answers_path(Path(), one) for one in missing)):
        assert (dossier / name).read_bytes() == (original / name).read_bytes()


def test_an_earlier_study_is_kept(dossier) -> None:
    message = "holds a study already: continue with --resume, or choose another folder"
    check_refused(quick(dossier), 2, message)


def test_a_full_run_does_not_write_over_a_study(dossier) -> None:
    """Neither over a finished one, nor over one that has only runs."""
    for found in ("dossier.json", "runs/"):
        before = files_of(dossier)
        done = run("reproduce", "--quick", "--models", "mlp", "--no-page", "--out", dossier)
        check_refused(done, 2, f"{dossier} holds a study ({found}")
        assert files_of(dossier) == before
        (dossier / "dossier.json").unlink(missing_ok=True)


@pytest.mark.parametrize("found", ["results.json", "checkpoints/lenet5.pt"])
def test_a_study_does_not_write_over_a_full_run(found, tmp_path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / found).write_text("kept")
    holds = f"{tmp_path} holds the results of `lenetshift reproduce` ({found}), "
    check_refused(quick(tmp_path), 2, f"{holds}expected another folder")
    assert not (tmp_path / "runs").exists()


def test_a_damaged_run_is_named(dossier) -> None:
    path = run_files.answers_path(dossier, PLAN.runs[0])
    path.write_bytes(path.read_bytes()[:-10])
    check_refused(quick(dossier, "--resume"), 2, f"error: {path}: damaged")
    path.unlink()
    assert quick(dossier, "--resume")[0] == 0


def test_another_version(dossier, monkeypatch) -> None:
    monkeypatch.setattr(ground, "__version__", "9.9")
    written = f"ground.lenetshift: was written with {lenetshift.__version__}, now it is 9.9"
    check_refused(quick(dossier, "--resume"), 2, written)


def test_a_folder_in_use(dossier) -> None:
    with sole_user(dossier):
        check_refused(quick(dossier, "--resume"), 2, "is in use by another run")


def test_too_little_room(tmp_path, monkeypatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(studies.shutil, "disk_usage", lambda path: usage)
    check_refused(quick(tmp_path / "out"), 2, "0 MB are free")


@pytest.mark.parametrize(("free", "refused"), [(62e6, False), (61.9e6, True)])
def test_room_is_needed_for_the_predictions_that_are_kept(free, refused, tmp_path, monkeypatch):
    """30 runs have 1.7 MB of weights each; an evaluation of 10,000 images takes 0.275 MB: 20 runs keep the
    last of 40, 10 keep two."""
    todo = [Run("a", "a", seed, "mlp", tuple(range(1, 41)), keeps=LAST) for seed in range(20)]
    todo += [Run("a", "b", seed, "mlp", (1, 2)) for seed in range(10)]
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(studies.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(StorageError) if refused else contextlib.nullcontext():
        studies._check_room(tmp_path, todo, {"n_test": 10_000})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--seeds 1", "argument --seeds: got 1, expected 2 or more"),
        ("--seeds 0", "argument --seeds: got 0, expected 2 or more"),
        ("--jobs 2 --scheduler x", "argument --jobs: not with --scheduler"),
        ("--quick --thorough", "argument --thorough: not with --quick"),
        ("--jobs 0", "argument --jobs: got 0, expected 1 or more"),
        ("--experiments tabel", "argument --experiments: unknown experiment 'tabel'"),
        ("--data /nowhere", "/nowhere"),
    ],
)
def test_bad_options(options, message, tmp_path) -> None:
    check_refused(run("study", "--out", tmp_path / "out", *options.split()), 2, message)
    assert not (tmp_path / "out").exists()
