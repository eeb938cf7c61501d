"""Random numbers that a seed determines: bits, threads, and torch's global generators left alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from cases import SETTINGS, make_dataset, make_foreign, weights
from torch import Tensor, nn

from lenetshift.data import seeds
from lenetshift.data.seeds import epoch_choices, epoch_permutation, epoch_seed
from lenetshift.models.build import MODEL_NAMES, MODELS, build_model
from lenetshift.models.train import train
from lenetshift.reference import dense_twin


@pytest.mark.parametrize("seed", [0, 5, 2**32 - 1])
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_a_seeded_model_is_what_torch_draws_from_that_seed(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    expected = MODELS[name]("tanh").state_dict()
    torch.manual_seed(99)
    state = torch.get_rng_state()
    got = build_model(name, seed=seed).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert list(got) == list(expected)
    assert all(torch.equal(got[key], expected[key]) for key in got)
    assert all(parameter.requires_grad for parameter in build_model(name, seed=seed).parameters())


def test_a_dense_twin_draws_nothing() -> None:
    model = build_model("lenet5", seed=0)
    state = torch.get_rng_state()
    twin = dense_twin(model)
    assert torch.equal(torch.get_rng_state(), state)
    x = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(twin(x), model(x), rtol=1e-4, atol=1e-5)


def test_seeded_models_of_eight_threads() -> None:
    expected = [weights(build_model("pooled_mlp", seed=seed)) for seed in range(8)]
    torch.manual_seed(99)
    state = torch.get_rng_state()

    def built_right(seed: int) -> bool:
        return torch.equal(weights(build_model("pooled_mlp", seed=seed % 8)), expected[seed % 8])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(built_right, range(400)))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("method", ["fused", "autograd"])
def test_training_the_packages_models_leaves_other_threads_their_numbers(method: str) -> None:
    """A progress report runs within an epoch; another thread may draw there too."""
    drawn = []
    for model in (build_model("mlp", seed=0), None):
        torch.manual_seed(99)
        if model is None:
            drawn.append(torch.rand(3))
        else:
            train(
                model,
                make_dataset(20),
                method=method,
                on_progress=lambda *_: drawn.append(torch.rand(3)),
                **SETTINGS | {"batch_size": 8},
            )
    assert torch.equal(*drawn)


def test_threads_that_train_with_dropout() -> None:
    dataset = make_dataset(40)
    start = make_foreign().state_dict()

    def trained(model: nn.Module) -> Tensor:
        model.load_state_dict(start)
        train(model, dataset, method="autograd", **SETTINGS | {"epochs": 5, "batch_size": 8})
        return weights(model)

    expected = trained(make_foreign())
    models = [make_foreign() for _ in range(8)]
    torch.manual_seed(99)
    state = torch.get_rng_state()
    with ThreadPoolExecutor(8) as threads:
        assert all(torch.equal(got, expected) for got in threads.map(trained, models))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 1000, 32_768, 60_000])
def test_a_forked_child_has_the_same_order(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.randperm fills 60,000 with more than one thread."""
    keys = [(seed, epoch) for seed in (0, 1, 2**32 - 1) for epoch in (0, 1)]
    expected = [epoch_permutation(n, *key) for key in keys]
    assert torch.equal(
        expected[0], torch.randperm(n, generator=torch.Generator().manual_seed(epoch_seed(0, 0)))
    )
    monkeypatch.setattr(seeds, "_forked", True)
    for key, order in zip(keys, expected, strict=True):
        got = epoch_permutation(n, *key)
        assert got.dtype == torch.int64
        assert torch.equal(got, order)


def test_choices_follow_from_seed_and_epoch_alone() -> None:
    keys = [(seed, epoch) for seed in (0, 1, 2**32 - 1) for epoch in (0, 1)]
    drawn = [epoch_choices(5000, 55, *key) for key in keys]
    for key, choices in zip(keys, drawn, strict=True):
        assert (choices.dtype, choices.shape) == (torch.int64, (5000,))
        assert set(choices.tolist()) == set(range(55))
        torch.rand(3)  # other draws have no influence
        assert torch.equal(epoch_choices(5000, 55, *key), choices)
    assert len({tuple(choices.tolist()) for choices in drawn}) == len(keys)
    # A run means the same in this version and the next.
    assert epoch_choices(8, 55, 0, 0).tolist() == [11, 50, 5, 36, 42, 35, 22, 35]
