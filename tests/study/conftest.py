"""Dossiers to verify and to falsify."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from dossiers import quick

from lenetshift.study import processes
from lenetshift.study.experiments.networks import build_network
from lenetshift.study.experiments.runs import GRID, Outcome


@pytest.fixture(scope="session")
def original(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "dossier"
    status, text, errors = quick(folder)
    assert status == 0, errors
    assert text.startswith("Quick: 600 training and 60 test images")
    assert "Claim 4:" in text
    return folder


@pytest.fixture
def dossier(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "dossier"))


@pytest.fixture
def untrained(monkeypatch) -> None:
    """Predictions are random, and no network is trained."""

    def drawn(one, train_set, test_set) -> Outcome:
        draws = np.random.default_rng([one.seed, len(one.name)])
        predictions = draws.integers(10, size=(len(one.epochs), len(test_set), *GRID.shape))
        losses = draws.random((one.epochs[-1], 3), dtype=np.float32)
        network = build_network(one.network, one.activation, one.seed)
        n_parameters = sum(parameter.numel() for parameter in network.parameters())
        weights = network.state_dict()
        return Outcome(predictions.astype(np.uint8), losses, weights, n_parameters)

    monkeypatch.setattr(processes, "perform", drawn)
