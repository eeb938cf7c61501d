"""The settings of a reproduction."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lenetshift.reproduce.settings import Config
from lenetshift.shifts import ShiftGrid


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
    for config in (Config(), Config(seed=3, n_train=10, grid=ShiftGrid(range(1), range(2)))):
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
