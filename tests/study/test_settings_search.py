"""The search for settings near to Table 1, on curves made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from made_up import measures_of

from lenetshift.study.experiments import EXPERIMENTS, settings
from lenetshift.study.experiments.runs import HELD_OUT, Run
from lenetshift.study.experiments.settings import (
    below_a_loss,
    nearest,
    nearest_settings,
    with_equal_epochs,
    with_own_epochs,
    without_a_gain,
)
from lenetshift.study.experiments.table import MODELS
from lenetshift.study.plans import Plan

ROWS = {model: settings.reported(model) for model in MODELS}
LENET5, MLP, MODEL_2, MODEL_3 = MODELS


def curves(**off):
    """Model -> accuracies that are so many points above the report's, epoch by epoch."""
    return {
        model: np.stack([ROWS[model] + points for points in off.get(model, [9.0, 9.0, 9.0])])
        for model in MODELS
    }


def test_the_reports_rows() -> None:
    assert ROWS[LENET5] == pytest.approx([96.96, 60.207], abs=5e-4)
    assert ROWS[MODEL_2] == pytest.approx([96.18, 48.841], abs=5e-4)


def test_a_distance_is_the_root_mean_square_of_eight_differences() -> None:
    value = curves()
    value[MLP][0] = ROWS[MLP] + [3.0, -4.0]
    for model in (LENET5, MODEL_2, MODEL_3):
        value[model][0] = ROWS[model]
    found = settings.found("a", value, dict.fromkeys(MODELS, 1))
    assert found.distance == pytest.approx((25 / 8) ** 0.5)
    assert (found.setting, found.epochs) == ("a", dict.fromkeys(MODELS, 1))


def test_equal_epochs() -> None:
    """Each model is nearest after another number, all together after the second."""
    value = curves(**{LENET5: [0, 1, 4], MLP: [4, 1, 0], MODEL_2: [4, 1, 4], MODEL_3: [4, 1, 4, 0]})
    found = with_equal_epochs("a", value)
    assert found.epochs == dict.fromkeys(MODELS, 2)
    assert found.distance == pytest.approx(1)


def test_equal_epochs_end_with_the_shortest_curve() -> None:
    value = curves(**{model: [5, 4, 0] for model in MODELS})
    value[MLP] = value[MLP][:2]
    assert with_equal_epochs("a", value).epochs == dict.fromkeys(MODELS, 2)


def test_own_epochs() -> None:
    value = curves(**{LENET5: [0, 1, 4], MLP: [4, 1, 0], MODEL_2: [9, -2, 3], MODEL_3: [2, 2, 9]})
    found = with_own_epochs("a", value)
    assert found.epochs == {LENET5: 1, MLP: 3, MODEL_2: 2, MODEL_3: 1}
    assert found.distance == pytest.approx((2 * (2**2 + 2**2) / 8) ** 0.5)


def test_one_training_loss() -> None:
    """Of the values that stop at the report's rows, and of one that a model never reaches."""
    losses = {
        LENET5: [0.9, 0.5, 0.1],
        MLP: [0.6, 0.55, 0.52],
        MODEL_2: [0.5, 0.4, 0.3],
        MODEL_3: [2.0, 0.54, 0.4],
    }
    # At 0.5: LeNet-5 stops after 2, the MLP never (3), Model 2 after 1, Model 3 after 3.
    value = curves(**{LENET5: [9, 0, 9], MLP: [9, 9, 0], MODEL_2: [0, 9, 9], MODEL_3: [9, 9, 0]})
    found = below_a_loss("a", value, {m: np.array(of) for m, of in losses.items()})
    assert found.epochs == {LENET5: 2, MLP: 3, MODEL_2: 1, MODEL_3: 3}
    assert found.distance == 0
    # The four best numbers of epochs that no one value gives are not found.
    value = curves(**{LENET5: [0, 9, 9], MLP: [9, 9, 0], MODEL_2: [9, 0, 9], MODEL_3: [0, 9, 9]})
    assert below_a_loss("a", value, {m: np.array(of) for m, of in losses.items()}).distance > 4


def test_one_training_loss_that_all_reach_at_once() -> None:
    losses = {model: np.array([0.5 + k, 0.4]) for k, model in enumerate(MODELS)}
    value = curves(**{model: [0, 9] for model in MODELS})
    assert below_a_loss("a", value, losses).epochs == dict.fromkeys(MODELS, 1)


def test_one_training_loss_that_no_model_reaches() -> None:
    losses = {model: np.array([0.5, 0.4 - k / 100, 0.45]) for k, model in enumerate(MODELS)}
    value = curves(**{model: [9, 9, 0] for model in MODELS})
    assert below_a_loss("a", value, losses).epochs == dict.fromkeys(MODELS, 3)


def test_one_training_loss_of_a_training_that_diverged() -> None:
    losses = {model: np.array([0.5, 0.4, 0.3]) for model in MODELS} | {
        MLP: np.array([0.6, 1e9, 1e9])
    }
    value = curves(**{LENET5: [9, 9, 0], MLP: [9, 9, 0], MODEL_2: [9, 9, 0], MODEL_3: [9, 9, 0]})
    assert below_a_loss("a", value, losses).epochs == dict.fromkeys(MODELS, 3)


@pytest.mark.parametrize(
    ("held_out", "patience", "epoch"),
    [
        ([90, 92, 91, 93, 92, 92, 99], 1, 2),  # stops at the first epoch that is not better
        ([90, 92, 91, 93, 92, 92, 99], 2, 4),
        ([90, 92, 91, 93, 92, 92, 99], 3, 7),
        ([90, 91, 92], 1, 3),  # there is always a better one
        ([90, 90, 95], 1, 1),  # as good is no gain
        ([95, 90, 90, 96], 2, 1),
        ([95, 90, 90, 96], 3, 4),
    ],
)
def test_no_gain_on_held_out_images(held_out, patience, epoch) -> None:
    value = curves(**dict.fromkeys(MODELS, [1.0] * len(held_out)))
    gains = dict.fromkeys(MODELS, held_out)
    assert without_a_gain("a", value, gains, patience).epochs == dict.fromkeys(MODELS, epoch)


def test_no_gain_is_judged_for_each_model() -> None:
    held_out = {LENET5: [1, 2, 3], MLP: [3, 2, 1], MODEL_2: [1, 2, 1], MODEL_3: [1, 1, 9]}
    found = without_a_gain("a", curves(), held_out, 1)
    assert found.epochs == {LENET5: 3, MLP: 1, MODEL_2: 2, MODEL_3: 1}


def test_the_nearest_and_its_ties() -> None:
    """A setting counts once, however many stopping rules it is tried with."""
    some = [("a", 5.0), ("b", 3.0), ("c", 4.0), ("c", 3.5), ("d", 4.01)]
    best, ties = nearest([settings.Found(name, {}, distance) for name, distance in some])
    assert (best.setting, best.distance, ties) == ("b", 3.0, 2)


def test_a_model_whose_name_begins_with_anothers_keeps_its_own_numbers() -> None:
    """As a fifth model ``lenet5_relu_max`` would beside ``lenet5``."""
    networks = [*MODELS, "lenet5_relu_max"]
    grid = [Run("settings", f"{name}_tanh_rate0.1_batch64", 0, name, (1, 2)) for name in networks]
    measures = {
        (run.setting, epoch): {"unmoved": [10.0 * k + epoch], "moved": [float(k)], "loss": [0.5]}
        for k, run in enumerate(grid)
        for epoch in (1, 2)
    }
    (of_setting,) = settings.trajectories(measures, grid).values()
    assert {model: of["unmoved"] for model, of in of_setting.items()} == {
        name: [10.0 * k + 1, 10.0 * k + 2] for k, name in enumerate(networks)
    }


def test_a_loss_that_is_not_finite_is_a_large_one() -> None:
    run = Run("settings", "mlp_a", 0, "mlp", (1,))
    measures = {("mlp_a", 1): {"unmoved": [9.8], "moved": [9.8], "loss": [float("nan")]}}
    assert settings.trajectories(measures, [run])["a"]["mlp"]["loss"] == [1e9]


@pytest.mark.parametrize("thorough", [False, True])
def test_the_settings_of_a_plan(thorough) -> None:
    """16 settings, 42 more in a thorough study, and of the variants those of all four models; held-out images
    make no setting of their own."""
    plan = Plan(2, ("settings",), thorough=thorough)
    value = nearest_settings(measures_of(plan)["settings"], plan.runs)
    assert list(value["nearest"]) == list(settings.KINDS)
    n_variants = sum(v.models == MODELS for n, v in settings.VARIANTS.items() if n)
    assert value["n_settings"] == (16 + 44 + n_variants if thorough else 16)
    held_out = {name for name in value["trajectories"] if name.endswith("_held_out")}
    assert held_out == {"relu_rate0.003_batch32_held_out", "tanh_rate0.1_batch64_held_out"}
    by_rule = value["nearest"]["no gain on held-out images"]
    assert by_rule["setting"] in held_out
    assert all(HELD_OUT in value["trajectories"][name][MLP] for name in held_out)
    others = {
        found["setting"] for kind, found in value["nearest"].items() if kind != settings.KINDS[3]
    }
    assert not others & held_out


def test_there_are_no_verdicts_on_settings() -> None:
    assert EXPERIMENTS["settings"].parts == ()
