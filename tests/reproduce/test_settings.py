"""The settings of a reproduction."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lenetshift.models.table import ARCHITECTURES
from lenetshift.reproduce import settings
from lenetshift.reproduce.settings import Config
from lenetshift.shifts import ShiftGrid
from lenetshift.study.experiments.nearest import OWN_EPOCHS, Near


def test_config_defaults_are_the_reports_run() -> None:
    assert Config().to_dict() == {
        "seed": 0,
        "epochs": 2,
        "learning_rate": 0.1,
        "batch_size": 64,
        "activation": "tanh",
        "grid": {"dx": [-5, 5], "dy": [-2, 2]},
        "bias_rule": {"3": [3, 0], "2": [-3, 0]},
        "n_train": None,
        "n_test": None,
    }


def test_config_is_json() -> None:
    others = {"seed": 3, "n_train": 10, "grid": ShiftGrid(range(1), range(2))}
    for config in (Config(), Config(**others), Config.report()):
        assert hash(config) == hash(replace(config))
        assert json.loads(json.dumps(config.to_dict())) == config.to_dict()
    assert hash(Config(seed=3)) != hash(Config())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("epochs", 1.5),
        ("learning_rate", -0.1),
        ("batch_size", 0),
        ("activation", "gelu"),
        ("grid", ShiftGrid(range(1, 4), range(-2, 3))),
        ("grid", ShiftGrid(range(-5, 6), range(-2, 0))),
        ("bias_rule", {10: (0, 0)}),
        ("n_train", 0),
        ("n_test", 1.5),
    ],
)
def test_bad_configs_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name.removeprefix('bias_')}: got .*, expected .*$"):
        Config(**{name: value})


def test_the_settings_nearest_to_the_report_are_those_of_the_study(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for near in (OWN_EPOCHS, Near("tanh", 0.5, 7, (4, 3, 2, 1))):
        monkeypatch.setattr(settings, "OWN_EPOCHS", near)
        of_each = dict(
            zip(("lenet5", "mlp", "symmetric_lenet5", "pooled_mlp"), near.epochs, strict=True)
        )
        assert Config.report() == Config(
            epochs={**of_each, "biased_lenet5": of_each["lenet5"]},
            learning_rate=near.learning_rate,
            batch_size=near.batch_size,
            activation=near.activation,
        )


def test_epochs_of_each_model() -> None:
    given: dict[str, Any] = {name: np.int64(n) for n, name in enumerate(ARCHITECTURES)}
    config = Config(epochs=dict(reversed(given.items())))
    assert list(config.to_dict()["epochs"].items()) == [(n, int(k)) for n, k in given.items()]
    config.to_dict()["epochs"]["mlp"] = 7
    assert [config.epochs_of(name) for name in ARCHITECTURES] == [0, 1, 2, 3, 4]
    assert {Config(epochs=3).epochs_of(name) for name in ARCHITECTURES} == {3}
    for either in (config, Config()):
        with pytest.raises(ValueError, match=r"^model: got 'lenet6', expected 'lenet5' or"):
            either.epochs_of("lenet6")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"mlp": -1}, r"epochs\['mlp'\]: got -1, expected an int of 0 or more"),
        ({"mlp": 1.5}, r"epochs\['mlp'\]: got 1\.5, expected an int"),
        ({"lenet6": 1}, r"epochs: got a mapping of .*, expected an int for each of lenet5, mlp"),
        ({3: 1}, r"epochs: got a mapping of .*, expected an int for each of lenet5, mlp"),
        (None, r"epochs: got a mapping of \['lenet5', .*, expected an int for each of lenet5, mlp"),
    ],
)
def test_bad_epochs_of_a_model_are_refused(change: Any, error: str) -> None:
    epochs: dict[Any, Any] = {**dict.fromkeys(ARCHITECTURES, 1), **(change or {})}
    if change is None:
        del epochs["biased_lenet5"]
    with pytest.raises(ValueError, match=f"^{error}"):
        Config(epochs=epochs)
