"""The experiments' networks and runs."""

from __future__ import annotations

import re

import pytest
import torch

from lenetshift import build_model, jitter, load_mnist, train
from lenetshift.models.build import MODEL_NAMES
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.study.experiments import EXPERIMENTS, runs, settings_grid
from lenetshift.study.experiments.networks import NETWORKS, build_network
from lenetshift.study.experiments.runs import (
    BIASED,
    GRID,
    JITTERED,
    Run,
    per_seed,
    perform,
)
from lenetshift.study.experiments.table import MODELS


@pytest.fixture(scope="module")
def digits():
    train_set, test_set = load_mnist()
    return train_set.subset(200), test_set.subset(12)


def test_lenet5_of_average_pooling_is_model_0(digits) -> None:
    images = digits[1].images[:, None] / 255
    composed, model = build_network("lenet5_average", "tanh", 7), build_model("lenet5", seed=7)
    weights = dict(zip(model.state_dict(), composed.state_dict().values(), strict=True))
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    torch.testing.assert_close(composed(images), model(images))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_draw_their_weights_from_the_seed_alone(name) -> None:
    first, again, other = (build_network(name, "relu", seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", [name for name in NETWORKS if not name.startswith("mlp")])
def test_convolutional_networks_share_their_features(name, digits) -> None:
    network = build_network(name, "tanh", 0)
    answers = ShiftEvaluator(network, GRID).answer(digits[1].images)
    assert answers.method == "shared", answers.reason
    plain = ShiftEvaluator(network, GRID, method="plain").answer(digits[1].images)
    assert torch.equal(answers.predictions, plain.predictions)


def test_the_place_blind_network_cannot_tell_a_move_of_its_stride(digits) -> None:
    blind, seeing = (build_network(name, "tanh", 0) for name in ("place_blind", "lenet5"))
    image = torch.zeros(1, 28, 28, dtype=torch.uint8)
    image[:, 8:20, 8:20] = digits[1].images[0, 8:20, 8:20]
    moved = image.roll((4, -4), (1, 2))  # nothing leaves the frame
    ask = [(network(image[None] / 255), network(moved[None] / 255)) for network in (blind, seeing)]
    torch.testing.assert_close(*ask[0])
    assert not torch.allclose(*ask[1], atol=1e-4)


def test_the_place_blind_network_trains_as_it_answers() -> None:
    """Training computes S2 near the image alone: same logits and gradients, ink at the frame included."""
    network = build_network("place_blind", "tanh", 0).double()
    images = torch.rand(2, 1, 28, 28, dtype=torch.float64)
    logits, gradients = [], []
    for mode in (True, False):
        network.train(mode)
        logits.append(network(images))
        loss = logits[-1].square().sum()
        gradients.append(torch.autograd.grad(loss, list(network.parameters())))
    torch.testing.assert_close(*logits, rtol=0, atol=1e-12)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-11)


def test_training_images_are_jittered_anew_in_every_epoch(digits, monkeypatch) -> None:
    seen = []

    def noted(network, dataset, **settings):
        seen.append(dataset.images)
        return train(network, dataset, **settings)

    monkeypatch.setattr(runs, "train", noted)
    perform(Run("a", "a", 3, "mlp", (2,), training=JITTERED), *digits)
    expected = [jitter(digits[0], GRID, 3, epoch).images for epoch in range(2)]
    assert all(torch.equal(*pair) for pair in zip(seen, expected, strict=True))
    assert not torch.equal(*seen)


def test_a_run_takes_one_thread(digits, monkeypatch) -> None:
    during, before = [], torch.get_num_threads()

    def noted(*arguments, **settings):
        during.append(torch.get_num_threads())
        return train(*arguments, **settings)

    monkeypatch.setattr(runs, "train", noted)
    torch.set_num_threads(2)
    try:
        perform(Run("a", "a", 3, "mlp", (1,)), *digits)
        assert (during, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("quick", [False, True])
def test_experiments(name, quick) -> None:
    every = EXPERIMENTS[name].runs(list(range(20)), quick)
    assert len({run.name for run in every}) == len(every)
    for run in every:
        assert run.experiment == name
        assert re.fullmatch(r"[a-z0-9_.]+", run.setting)
        assert run.network in (*MODEL_NAMES, *NETWORKS)
        assert list(run.epochs) == sorted(set(run.epochs))
        assert (run.training == BIASED) == bool(run.rule)
        assert Run(**{**run.to_dict(), "epochs": run.epochs, "rule": run.rule}) == run
    n_seeds = {setting: len({r.seed for r in every if r.setting == setting}) for setting in
               {run.setting for run in every}}  # fmt: skip
    assert min(n_seeds.values()) >= 2
    assert max(n_seeds.values()) == (2 if name == "settings_grid" else 20)


def test_fewer_seeds_without_fused_training() -> None:
    made = per_seed(range(8), [Run("a", "a", 0, "mlp"), Run("a", "b", 0, "mlp_max_2")])
    assert [(run.setting, run.seed) for run in made] == [
        *(("a", seed) for seed in range(8)),
        *(("b", seed) for seed in range(5)),
    ]


@pytest.mark.parametrize("network", ["lenet5", "mlp_max_4"])
def test_a_run_is_a_function_of_its_settings(network, digits) -> None:
    def do(**settings):
        return perform(Run("a", "a", 3, network, (1, 2), training=JITTERED, **settings), *digits)

    first, again, slower = do(), do(), do(learning_rate=0.01)
    assert first.predictions.shape == (2, 12, 5, 11)
    assert first.losses.shape == (2, 4)
    assert (first.predictions == again.predictions).all()
    assert (first.losses == again.losses).all()
    assert (first.losses[1] != slower.losses[1]).all()
    assert first.parameters == sum(w.numel() for w in first.state_dict.values())


def test_the_settings_grid_finds_the_nearest() -> None:
    exact = {name: settings_grid.reported(name) for name in MODELS}
    near = {name: (a + 0.5, b - 0.5) for name, (a, b) in exact.items()}
    far = {name: (a, b + 5) for name, (a, b) in exact.items()}
    assert settings_grid.nearest({"far": far, "near": near, "exact": exact}) == ("exact", 0.0, 2)
    assert settings_grid.distance(far) == pytest.approx(5 / 2**0.5)
    other = {**exact, "symmetric_lenet5": (0.0, 0.0)}
    assert settings_grid.nearest({"other": other}, ["lenet5", "mlp"]) == ("other", 0.0, 1)
    assert settings_grid.meets((96.9, 50.0), "symmetric_lenet5")
    assert not settings_grid.meets((96.9, 61.0), "symmetric_lenet5")


def test_a_model_whose_name_begins_with_anothers_keeps_its_own_numbers() -> None:
    """As a fifth model ``lenet5_relu_max`` would beside ``lenet5``."""
    networks = [*MODELS, "lenet5_relu_max"]
    grid = [
        Run("settings_grid", f"{name}_tanh_rate0.1_batch64", 0, name, (1,)) for name in networks
    ]
    measures = {
        (run.setting, 1): {"unmoved": [10.0 * k], "moved": [float(k)]} for k, run in enumerate(grid)
    }
    rows = settings_grid.nearest_settings(measures, grid)["rows"]["tanh_rate0.1_batch64_epochs1"]
    assert rows == {name: [10.0 * k, float(k)] for k, name in enumerate(networks)}
