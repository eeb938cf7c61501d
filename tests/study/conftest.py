"""Dossiers to verify and to falsify."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from dossiers import quick

from lenetshift.study import contents, observations, processes, run_files
from lenetshift.study.experiments.networks import trained_parameters
from lenetshift.study.experiments.runs import (
    GRID,
    HELD_OUT,
    LAST,
    accuracies,
    network_of,
)
from lenetshift.study.experiments.trainings import Outcome
from lenetshift.study.plans import Plan
from lenetshift.study.publish import file_sha256


@pytest.fixture(scope="session")
def original(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "dossier"
    status, text, errors = quick(folder)
    assert status == 0, errors
    assert text.startswith("Quick: 600 training and 60 test images")
    assert "Claim 4. " in text
    return folder


FACTS = {}
"""Plan and hashes of weights -> facts."""


@pytest.fixture(autouse=True)
def facts_once(monkeypatch) -> None:
    """The facts of a plan and of the same weights are computed once: they take longer than all else."""

    def known(plan, folder):
        weights = [run_files.weights_path(folder, run) for run in plan.runs]
        key = plan, tuple(file_sha256(path) for path in weights)
        if key not in FACTS:
            FACTS[key] = json.dumps(observations.facts_of(plan, folder))
        return json.loads(FACTS[key])

    monkeypatch.setattr(contents, "facts_of", known)


@pytest.fixture
def dossier(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "dossier"))


@pytest.fixture(scope="session")
def original_settings(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("settings") / "dossier"
    status, _, errors = quick(folder, experiment="settings")
    assert status == 0, errors
    return folder


@pytest.fixture
def dossier_of_settings(original_settings, tmp_path) -> Path:
    return Path(shutil.copytree(original_settings, tmp_path / "dossier"))


@pytest.fixture(scope="session")
def original_with_verdicts(small, tmp_path_factory) -> Path:
    """Of few images, but of a whole study, with the verdicts on Table 1 and on a part of claim 4."""
    folder = tmp_path_factory.mktemp("whole") / "dossier"
    options = ("--experiments", "table", "--seeds", 5, "--jobs", 1, "--data", small)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plan, "of_the_report", True)
        status, text, errors = run("study", *options, "--out", folder)
    assert status == 0, errors
    assert "Claim 4: " in text
    return folder


@pytest.fixture
def of_the_report(monkeypatch) -> None:
    """Any data are taken for the report's, so that Table 1 has verdicts."""
    monkeypatch.setattr(Plan, "of_the_report", True)


@pytest.fixture
def untrained(monkeypatch) -> None:
    """Predictions are random, and no network is trained."""

    def drawn(training, *sets) -> list[Outcome]:
        return [drawn_for(one, *sets) for one in training.runs]

    def drawn_for(one, train_set, test_set) -> Outcome:
        draws = np.random.default_rng([one.seed, len(one.name)])
        shape = (len(one.epochs), len(test_set), *GRID.shape)
        predictions = draws.integers(10, size=shape).astype(np.uint8)
        losses = draws.random((one.epochs[-1], 3), dtype=np.float32)
        network = network_of(one)
        weights, n_trained = network.state_dict(), trained_parameters(network)
        if one.keeps != LAST:
            return Outcome(predictions, None, losses, weights, n_trained)
        labels = test_set.labels.numpy()
        rows = [{**accuracies(each, labels), HELD_OUT: 50.0} for each in predictions]
        kept = np.array([[row[name] for name in one.accuracies] for row in rows])
        return Outcome(predictions[-1:], kept, losses, weights, n_trained)

    monkeypatch.setattr(processes, "perform_all", drawn)
