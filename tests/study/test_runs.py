"""The experiments' networks and runs."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from lenetshift import jitter, load_mnist, train
from lenetshift.data.dataset import Dataset
from lenetshift.models.build import MODEL_NAMES
from lenetshift.study.experiments import EXPERIMENTS, ladder, runs, variants
from lenetshift.study.experiments.networks import NETWORKS
from lenetshift.study.experiments.runs import (
    ACCURACIES,
    BIASED,
    COST,
    FEWER_SEEDS,
    GRID,
    HELD_OUT,
    JITTERED,
    LAST,
    Run,
    per_seed,
)
from lenetshift.study.experiments.trainings import perform
from lenetshift.study.experiments.variants import VARIANTS
from lenetshift.study.run_files import layout_of


@pytest.fixture(scope="module")
def digits():
    train_set, test_set = load_mnist()
    return train_set.subset(200), test_set.subset(12)


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
        assert (run.variant == "") or run.network in VARIANTS[run.variant].models
        assert run.share == 1 or run.rule
        assert run.keeps == LAST or not run.held_out
    n_seeds = {setting: len({r.seed for r in every if r.setting == setting}) for setting in
               {run.setting for run in every}}  # fmt: skip
    assert max(n_seeds.values()) == {"settings": 1}.get(name, 20)
    assert min(n_seeds.values()) >= {"settings": 1, "ladder": ladder.N_SEEDS}.get(name, FEWER_SEEDS)


def test_the_longest_runs_are_those_of_the_slowest_networks() -> None:
    assert {*COST} <= {*NETWORKS}
    runs = [Run("a", "a", 0, name) for name in ("lenet5", "lenet5_average", "place_blind")]
    work = [run.work for run in runs]
    assert work == [2.5, 2 * 10 + 10, 2 * 70 + 145]


def test_frozen_weights_do_not_count_as_trained(digits) -> None:
    outcome = perform(Run("a", "a", 0, "lenet5_random_filters", (1,)), *digits)
    layout = layout_of(Run("a", "a", 0, "lenet5_random_filters"))
    assert outcome.parameters == layout.parameters == 60_806 - 156 - 1_516
    assert sum(weight.numel() for weight in outcome.state_dict.values()) == 60_806


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


def test_a_thorough_study_has_more_runs() -> None:
    (more,) = [one.more_runs for one in EXPERIMENTS.values() if one.more_runs]
    added, usual = more(range(20)), EXPERIMENTS["settings"].runs(range(20), False)
    assert len({run.name for run in [*usual, *added]}) == len(usual) + len(added)
    assert {run.experiment for run in added} == {"settings"}
    assert {run.variant for run in added} == {*VARIANTS}
    for run in added:
        assert not run.variant or run.network in VARIANTS[run.variant].models


@pytest.fixture
def trained_on(monkeypatch) -> list[Dataset]:
    """The training images of every epoch."""
    seen = []

    def noted(network, dataset, **settings):
        seen.append(dataset)
        return train(network, dataset, **settings)

    monkeypatch.setattr(runs, "train", noted)
    return seen


def test_held_out_images_are_not_trained_on(digits, trained_on) -> None:
    train_set, _ = digits
    run = Run("a", "a", 0, "mlp", (1, 2, 3), held_out=60, keeps=LAST)
    outcome = perform(run, *digits)
    assert len(trained_on) == 3
    for seen in trained_on:
        assert torch.equal(seen.images, train_set.images[:140])
        assert torch.equal(seen.labels, train_set.labels[:140])
    assert run.accuracies == (*ACCURACIES, HELD_OUT)
    assert outcome.accuracies.shape == (3, 5)
    first = Dataset(train_set.images[:140], train_set.labels[:140])
    last = Dataset(train_set.images[140:], train_set.labels[140:])
    as_test = perform(Run("a", "a", 0, "mlp", (1, 2, 3)), first, last)
    row, column = GRID.index(0, 0)
    right = as_test.predictions[:, :, row, column] == last.labels.numpy()
    assert outcome.accuracies[:, 4] == pytest.approx(100 * right.mean(1))
    assert (as_test.losses == outcome.losses).all()


@pytest.mark.parametrize("network", ["mlp", "mlp_average_2"])
@pytest.mark.parametrize("held_out", [0, 50])
def test_accuracies_are_those_of_predictions_that_are_not_kept(network, held_out, digits) -> None:
    run = Run("a", "a", 1, network, (1, 3, 4), held_out=held_out)
    every = perform(run, *digits)
    last = perform(replace(run, keeps=LAST), *digits)
    assert every.accuracies is None
    assert (run.n_kept, replace(run, keeps=LAST).n_kept) == (3, 1)
    assert last.predictions.shape == (1, *every.predictions.shape[1:])
    assert (last.predictions[0] == every.predictions[-1]).all()
    assert (last.losses == every.losses).all()
    labels = digits[1].labels.numpy()
    for predictions, row in zip(every.predictions, last.accuracies, strict=True):
        expected = runs.accuracies(predictions, labels)
        assert dict(zip(ACCURACIES, row, strict=False)) == expected


def test_accuracies_by_hand() -> None:
    """Two images, of which the first is right unmoved and at 10 other shifts, the second at 5 shifts."""
    labels = np.array([3, 4])
    predictions = np.zeros((2, *GRID.shape), np.uint8)
    predictions[0, 2], predictions[1, :, 0] = 3, 4
    assert runs.accuracies(predictions, labels) == pytest.approx(
        {"unmoved": 50, "moved": 100 * 16 / 110, "kept": 20, "change": 100 * 16 / 110 - 50}
    )
    assert runs.accuracies(predictions[1:], labels[1:])["kept"] == 0


def test_a_share_of_the_digits_is_moved(digits, trained_on) -> None:
    """The same images in every epoch; those that a smaller share moves are among those of a larger one."""
    train_set = load_mnist()[0].subset(2000)
    rule = ((3, 3, 0), (2, -3, 0))
    moved = {}
    for share in (0.0, 0.3, 0.8, 1.0):
        trained_on.clear()
        run = Run("a", "a", 5, "mlp", (2,), training=BIASED, rule=rule, share=share)
        perform(run, train_set, digits[1])
        first, second = trained_on
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.labels, train_set.labels)
        moved[share] = (first.images != train_set.images).flatten(1).any(1)
        for digit, dx, dy in rule:
            of_digit = train_set.labels == digit
            there = torch.ops.lenetshift.translate(train_set.images, torch.tensor([[dx, dy]]))[:, 0]
            at = of_digit & moved[share]
            assert torch.equal(first.images[at], there[at])
            n = int(of_digit.sum())
            error = 4 * (share * (1 - share) / n) ** 0.5
            assert abs(int(at.sum()) / n - share) <= error
    threes_and_twos = (train_set.labels == 2) | (train_set.labels == 3)
    assert not moved[0.0].any()
    assert torch.equal(moved[1.0], threes_and_twos)
    assert not (moved[0.3] & ~moved[0.8]).any()


def test_other_seeds_move_other_images(digits, trained_on) -> None:
    rule = tuple((digit, 3, 0) for digit in range(10))
    for seed in (1, 2):
        perform(Run("a", "a", seed, "mlp", (1,), training=BIASED, rule=rule, share=0.5), *digits)
    assert not torch.equal(trained_on[0].images, trained_on[1].images)


def test_a_variant_trains_in_its_own_way(digits) -> None:
    run = Run("a", "a", 2, "mlp", (1, 2), variant="momentum", keeps=LAST)
    assert (run.method, replace(run, variant="").method) == ("autograd", "fused")
    outcome = perform(run, *digits)
    network = variants.build("momentum", "mlp", "tanh", 2)
    trainer = variants.Trainer(
        "momentum", network, digits[0], learning_rate=0.1, batch_size=64, seed=2
    )
    with runs.one_thread():
        losses = [trainer.epoch(number) for number in range(2)]
    assert (outcome.losses == torch.stack(losses).numpy()).all()
    for name, weight in network.state_dict().items():
        assert torch.equal(outcome.state_dict[name], weight)
    assert (outcome.losses[1] != perform(replace(run, variant=""), *digits).losses[1]).any()


def test_the_layout_of_a_variant_is_its_networks() -> None:
    run = Run("a", "a", 0, "lenet5", variant="trainable_pooling")
    layout = layout_of(run)
    assert layout.parameters == 60_806 + 2 * (6 + 16)
    assert layout_of(replace(run, variant="")).parameters == 60_806


def test_which_runs_are_one_training() -> None:
    run = Run("a", "a", 0, "mlp", (1, 2))
    same = [
        replace(run, experiment="b"), replace(run, setting="b"), replace(run, epochs=(5,)),
        replace(run, keeps=LAST),
    ]  # fmt: skip
    others = [
        replace(run, seed=1), replace(run, network="lenet5"), replace(run, learning_rate=0.2),
        replace(run, batch_size=32), replace(run, activation="relu"), replace(run, training=JITTERED),
        replace(run, training=BIASED, rule=((3, 1, 0),)), replace(run, variant="mse"),
        replace(run, training=BIASED, rule=((3, 2, 0),)),
        replace(run, training=BIASED, rule=((3, 1, 0),), share=0.5), replace(run, held_out=5),
    ]  # fmt: skip
    assert {one.training_of_its_own for one in same} == {run.training_of_its_own}
    assert len({one.training_of_its_own for one in [run, *others]}) == 1 + len(others)
