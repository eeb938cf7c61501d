"""Runs that share a training: each has the outcome that it has alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lenetshift import load_mnist, train
from lenetshift.models.table import FUSED
from lenetshift.study.experiments import runs as runs_module
from lenetshift.study.experiments.runs import HELD_OUT, JITTERED, LAST, Run
from lenetshift.study.experiments.trainings import Training, perform, perform_all, trainings_of
from lenetshift.study.plans import Plan
from lenetshift.study.processes import on_this_machine
from lenetshift.study.run_files import answers_path, pack
from lenetshift.study.studies import carry_out


@pytest.fixture(scope="module")
def digits():
    train_set, test_set = load_mnist()
    return train_set.subset(200), test_set.subset(12)


def sharing(run: Run) -> tuple[Run, ...]:
    """Runs of all kinds with the training of this one; the longest is neither the first nor the last."""
    return (
        replace(run, setting="a", epochs=(1,)),
        replace(run, setting="b", epochs=(2, 4)),
        replace(run, setting="c", epochs=(1, 3), keeps=LAST),
        replace(run, setting="d", epochs=(2,), experiment="b"),
    )


@pytest.mark.parametrize(
    "run",
    [
        Run("a", "a", 3, "lenet5", held_out=50, keeps=LAST),
        Run("a", "a", 3, "pooled_mlp", training=JITTERED),
        Run("a", "a", 3, "mlp", variant="momentum"),
        Run("a", "a", 3, "lenet5_random_filters"),
    ],
    ids=lambda run: run.network,
)
def test_each_run_has_the_outcome_that_it_has_alone(digits, run) -> None:
    same = sharing(run)
    found = perform_all(Training(same), *digits)
    assert len(found) == len(same)
    for one, outcome in zip(same, found, strict=True):
        alone = perform(one, *digits)
        assert outcome.predictions.shape[0] == one.n_kept
        assert np.array_equal(outcome.predictions, alone.predictions)
        assert np.array_equal(outcome.losses, alone.losses)
        assert len(outcome.losses) == one.epochs[-1]
        assert outcome.parameters == alone.parameters
        assert outcome.state_dict.keys() == alone.state_dict.keys()
        assert all(map(torch.equal, outcome.state_dict.values(), alone.state_dict.values()))
        if one.keeps == LAST:
            assert outcome.accuracies is not None
            assert outcome.accuracies.shape == (len(one.epochs), len(one.accuracies))
            assert np.array_equal(outcome.accuracies, alone.accuracies)
            assert (HELD_OUT in one.accuracies) == bool(one.held_out)
        else:
            assert outcome.accuracies is None
        assert pack(one, {}, outcome) == pack(one, {}, alone)
    after_1, after_4, *_ = (list(outcome.state_dict.values())[-1] for outcome in found)
    assert not torch.equal(after_1, after_4)


def test_one_training_for_all_of_its_runs(digits, monkeypatch) -> None:
    epochs = []

    def noted(network, dataset, **settings):
        epochs.append(settings["first_epoch"])
        return train(network, dataset, **settings)

    monkeypatch.setattr(runs_module, "train", noted)
    training = Training(sharing(Run("a", "a", 3, "mlp")))
    perform_all(training, *digits)
    assert epochs == [0, 1, 2, 3]
    assert training.longest == replace(training.runs[1], epochs=(1, 2, 3, 4))
    assert training.work == 4 * 1 + 4 * 0.5
    short, long = (replace(training.runs[0], epochs=(epoch,)) for epoch in (1, 8))
    assert Training((long, short)).longest.epochs == (1, 8)


def test_runs_by_their_training() -> None:
    run = Run("a", "a", 0, "mlp")
    shared, other = sharing(run), replace(run, seed=1)
    first, second = trainings_of([shared[0], other, *shared[1:]])
    assert (first.runs, second.runs) == (shared, (other,))


def test_a_study_trains_each_network_once(tmp_path, monkeypatch, untrained) -> None:
    """Interrupted between two runs of a training, it does the missing one."""
    plan = Plan(2, ("table", "symmetry"), quick=True)
    lines, units, handed = [], [], []

    class Reporter:
        def stage(self, text: str) -> None:
            pass

        def line(self, text: str) -> None:
            lines.append(text)

        def advance(self, n: float) -> None:
            units.append(n)

    def workers(plan, ground, todo, reporter):
        handed.append(todo)
        return on_this_machine(1)(plan, ground, todo, reporter)

    (tmp_path / "runs").mkdir()
    carry_out(plan, tmp_path, workers, Reporter())
    assert all(answers_path(tmp_path, one).exists() for one in plan.runs)
    assert len(plan.runs) > len(handed[0]) == len(trainings_of(plan.runs))
    assert sorted((t.work for t in handed[0]), reverse=True) == [t.work for t in handed[0]]
    assert sum(units) == pytest.approx(plan.work)

    (longest, *_) = handed[0]
    assert len(longest.runs) > 1
    missing = answers_path(tmp_path, longest.runs[-1])
    before = missing.read_bytes()
    missing.unlink()
    units.clear()
    carry_out(plan, tmp_path, workers, Reporter())
    assert handed[1] == [Training((longest.runs[-1],))]
    assert missing.read_bytes() == before
    assert sum(units) == pytest.approx(plan.work)
    assert lines == [f"{n} of {len(plan.runs)} runs to do" for n in (len(plan.runs), 1)]


@pytest.mark.parametrize("network", FUSED)
def test_the_work_of_a_variant(network) -> None:
    """It is evaluated by the fused op if it changes the training alone."""
    run = Run("a", "a", 0, network, (2,), variant="momentum")
    assert run.work == 2 * 10 + 0.5
    assert replace(run, variant="raw_pixels").work == 2 * 10 + 10
