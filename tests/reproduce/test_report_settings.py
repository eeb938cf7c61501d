"""``reproduce --settings report``: each model has its own number of epochs, and every file says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run

import lenetshift
from lenetshift import Config
from lenetshift.data.load import load_mnist
from lenetshift.models.table import ARCHITECTURES
from lenetshift.predict import progress
from lenetshift.reproduce import settings
from lenetshift.reproduce.defaults import FITTED
from lenetshift.study.experiments import runs
from lenetshift.study.experiments.nearest import Near

SHORT = Near("relu", 0.05, 16, (4, 2, 1, 3))
EPOCHS = {"lenet5": 4, "mlp": 2, "symmetric_lenet5": 1, "pooled_mlp": 3, "biased_lenet5": 4}

REPORT = ("--settings", "report")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of few epochs in place of the study's."""
    monkeypatch.setattr(settings, "OWN_EPOCHS", SHORT)


@pytest.fixture(scope="module")
def finished(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "OWN_EPOCHS", SHORT)
        assert run("reproduce", "--data", small, "--out", out, *REPORT)[0] == 0
    return out


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def results(out: Path) -> Any:
    return json.loads((out / "results.json").read_text())


def kept(out: Path, model: str) -> Any:
    return torch.load(out / "checkpoints" / f"{model}.pt", weights_only=True)


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_each_model_is_trained_for_its_own_epochs(model: str, finished: Path, small: Path) -> None:
    data, test = load_mnist(small)
    if model == "biased_lenet5":
        data = lenetshift.position_biased(data, Config().bias_rule)
    expected = lenetshift.build_model(ARCHITECTURES[model], "relu", seed=0)
    losses = lenetshift.train(
        expected, data, epochs=EPOCHS[model], learning_rate=0.05, batch_size=16, seed=0
    )
    checkpoint = kept(finished, model)
    assert checkpoint["state_dict"].keys() == expected.state_dict().keys()
    for name, weight in expected.state_dict().items():
        assert torch.equal(checkpoint["state_dict"][name], weight)
    assert [epoch.tolist() for epoch in checkpoint["losses"]] == [e.tolist() for e in losses]
    assert len(results(finished)["models"][model]["loss"]) == EPOCHS[model]
    with np.load(finished / "predictions.npz") as arrays:
        predictions = lenetshift.predict_shifts(expected, test.images)
        assert np.array_equal(arrays[model], predictions.numpy())


def test_files_name_the_settings(finished: Path) -> None:
    config = {**Config.report().to_dict(), "method": "fused"}
    assert config["epochs"] == EPOCHS
    assert results(finished)["config"] == config
    with np.load(finished / "predictions.npz") as arrays:
        assert json.loads(str(arrays["config"])) == config
    for model in ARCHITECTURES:
        assert {**config, "epochs": EPOCHS[model]}.items() <= kept(finished, model)[
            "settings"
        ].items()
    note = "Epochs of training: 4 for LeNet-5, 2 for the MLP, 1 for"
    for name in ("table1.csv", "table1.md", "report.html"):
        text = (
            (finished / name)
            .read_text()
            .replace("&#39;", "'")
            .replace("\N{NON-BREAKING HYPHEN}", "-")
        )
        assert note in text
        assert FITTED in text


def test_the_page_says_each_models_epochs(finished: Path) -> None:
    page = (finished / "report.html").read_text().replace("\N{NON-BREAKING HYPHEN}", "-")
    for model, words in (
        ("lenet5", "LeNet-5"),
        ("mlp", "the MLP"),
        ("symmetric_lenet5", "the symmetric LeNet-5"),
        ("pooled_mlp", "the pooled MLP"),
        ("biased_lenet5", "the position-biased LeNet-5"),
    ):
        assert f"<dt>epochs of {words}</dt><dd>{EPOCHS[model]}</dd>" in page
    assert "<dt>epochs</dt>" not in page
    for item in ("learning rate</dt><dd>0.05", "batch size</dt><dd>16", "activation</dt><dd>relu"):
        assert f"<dt>{item}</dd>" in page


def test_some_models(small: Path, tmp_path: Path) -> None:
    """The settings are those of all models; tables and page name those that were trained."""
    options = ("--data", small, "--out", tmp_path, "--models", "pooled_mlp", *REPORT)
    status, text, errors = run("reproduce", *options, "--seed", 5, "--dx", 0, 1)
    assert status == 0
    assert "pooled_mlp: 3 epochs trained in" in errors
    assert "Epochs of training: 3 for the pooled MLP. These" in " ".join(text.split())
    config = results(tmp_path)["config"]
    assert (config["epochs"], config["seed"], config["grid"]["dx"]) == (EPOCHS, 5, [0, 1])
    assert (tmp_path / "report.html").read_text().count("<dt>epochs") == 1


def test_the_page_of_a_folder_is_that_of_its_run(copy: Path, small: Path) -> None:
    """Even if another version has other settings."""
    page = (copy / "report.html").read_bytes()
    (copy / "report.html").unlink()
    assert run("page", copy, "--data", small)[::2] == (0, "")
    assert (copy / "report.html").read_bytes() == page
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "OWN_EPOCHS", Near("tanh", 0.1, 8, (1, 1, 1, 1)))
        assert run("page", copy, "--data", small)[::2] == (0, "")
    text = (copy / "report.html").read_text().replace("\N{NON-BREAKING HYPHEN}", "-")
    assert "Epochs of training: 4 for LeNet-5, 2 for" in text
    assert "found afterwards" not in text


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda e: e.pop("mlp"), 'epochs: got no "mlp", expected lenet5, mlp, '),
        (lambda e: e.update(lenet6=1), 'epochs: got "lenet6", expected "lenet5" or '),
        (lambda e: e.update(mlp=-1), "epochs.mlp: got -1, expected 0 or more"),
        (lambda e: e.update(mlp="1"), 'epochs.mlp: got "1", expected integer'),
        (lambda e: e.update(mlp=None), "epochs.mlp: got null, expected integer"),
        (lambda e: e.update(mlp=2.0), "epochs['mlp']: got 2.0, expected an int of 0 or more"),
        (lambda e: e.update(mlp={}), "epochs.mlp: got {}, expected integer"),
        (lambda e: e.clear(), 'epochs: got no "lenet5" and no "mlp" and no '),
    ],
)
def test_damaged_results_are_one_line(
    change: Callable[[Any], Any], error: str, copy: Path, small: Path
) -> None:
    value = results(copy)
    change(value["config"]["epochs"])
    (copy / "results.json").write_text(json.dumps(value))
    status, _, line = run("page", copy, "--data", small)
    assert (status, line.count("\n")) == (2, 1)
    assert f"{copy}/results.json: $.config" in line
    assert error in line


@pytest.mark.parametrize("epochs", ["2", [2], True, None, -1, 2.5])
def test_epochs_of_another_kind_are_one_line(epochs: Any, copy: Path, small: Path) -> None:
    value = results(copy)
    value["config"]["epochs"] = epochs
    (copy / "results.json").write_text(json.dumps(value))
    status, _, line = run("page", copy, "--data", small)
    assert (status, line.count("\n")) == (2, 1)
    assert "$.config.epochs: got " in line


def without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_seconds(v) for k, v in value.items() if not k.endswith("seconds")}
    return value


def test_an_interrupted_run_goes_on(
    finished: Path, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--data", small, "--out", tmp_path, *REPORT)
    train, left = runs.train, iter(range(5))

    def stops(*args: Any, **settings: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return train(*args, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "train", stops)
        assert run("reproduce", *options)[0] == 130
    assert len(kept(tmp_path, "mlp")["losses"]) == 1  # after LeNet-5's 4
    status, _, errors = run("reproduce", *options, "--resume")
    assert status == 0
    assert "mlp: 2 epochs trained" in errors
    assert "(1 kept)" in errors
    assert without_seconds(results(tmp_path)) == without_seconds(results(finished))


def test_other_settings_do_not_go_on(copy: Path, small: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    status, _, line = run("reproduce", "--data", small, "--out", copy, "--resume")
    assert status == 2
    assert "lenet5.pt: settings.activation: was written with relu, now it is tanh" in line
    same = ("--activation", "relu", "--learning-rate", 0.05, "--batch-size", 16, "--epochs", 4)
    line = run("reproduce", "--data", small, "--out", copy, "--resume", *same)[2]
    assert "mlp.pt: settings.epochs: was written with 2, now it is 4" in line
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    options = ("--data", small, "--out", tmp_path / "default", "--models", "mlp", "--epochs", 1)
    assert run("reproduce", *options)[0] == 0
    line = run("reproduce", *options[:-2], *REPORT, "--resume")[2]
    assert "mlp.pt: settings.activation: was written with tanh, now it is relu" in line


@pytest.mark.parametrize("options", [REPORT, ("--epochs", 3)])
def test_the_progress_bar_counts_all_work(
    options: tuple[Any, ...], small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, totals = [], []

    class Counter(progress.Progress):
        def __init__(self, total: float | None) -> None:
            super().__init__(total)
            totals.append(total)

        def advance(self, units: float) -> None:
            counted.append(units)

    monkeypatch.setattr(progress, "Progress", Counter)
    models = ("--models", "mlp,symmetric_lenet5,pooled_mlp")
    assert run("reproduce", "--data", small, "--out", tmp_path, *models, *options)[0] == 0
    work = (2 + 1 + 3 if options == REPORT else 3 * 3) + 3 * 0.5
    assert totals == [work]
    assert sum(counted) == pytest.approx(work)
