"""Images moved as data: ``jitter``, and training on another data set in each epoch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import SETTINGS, make_dataset, make_foreign, refused, weights

from lenetshift import reference
from lenetshift.data.dataset import Dataset
from lenetshift.data.moving import jitter
from lenetshift.data.seeds import epoch_choices, epoch_permutation
from lenetshift.models.build import build_model
from lenetshift.models.table import FUSED
from lenetshift.models.train import train
from lenetshift.shifts import ShiftGrid

GRID = ShiftGrid(range(-4, 5, 2), range(-1, 3))


def shifts_of(dataset: Dataset, moved: Dataset) -> list[tuple[int, int]]:
    """The shift of the grid by which each image was moved."""
    found = []
    for before, after in zip(dataset.images, moved.images, strict=True):
        every = reference.translate(before[None], GRID.shifts())[0]
        (places,) = (every == after).flatten(1).all(1).nonzero(as_tuple=True)
        assert len(places) == 1
        found.append(tuple(GRID.shifts()[places[0]].tolist()))
    return found


class TestJitter:
    def test_moves_each_image_by_a_shift_of_the_grid(self) -> None:
        dataset = make_dataset(400)
        before = dataset.images.clone()
        moved = jitter(dataset, GRID, seed=3, epoch=0)
        assert torch.equal(dataset.images, before)
        assert torch.equal(moved.labels, dataset.labels)
        counts = torch.zeros(GRID.shape, dtype=torch.int64)
        for shift in shifts_of(dataset, moved):
            counts[GRID.index(*shift)] += 1
        # 20 each are expected: the chance that any of the 20 counts leaves 4..45 is below 1e-3, and the
        # seed is fixed.
        assert counts.min() >= 4
        assert counts.max() <= 45

    def test_is_settled_by_seed_and_epoch_and_spares_the_global_generator(self) -> None:
        dataset = make_dataset(50)
        state = torch.get_rng_state()
        images = [
            jitter(dataset, GRID, seed, epoch).images
            for seed, epoch in [(0, 0), (0, 0), (1, 0), (0, 1), (1, 1)]
        ]
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(images[0], images[1])
        for i in range(1, 5):
            for j in range(i):
                assert torch.equal(images[i], images[j]) == ((i, j) == (1, 0))

    def test_draws_other_numbers_than_the_order_of_the_images(self) -> None:
        """From the same state of a generator, the first numbers of both would be equal in every epoch."""
        n = 2000
        alike = [
            int(epoch_permutation(n, 5, epoch)[0]) == int(epoch_choices(n, n, 5, epoch)[0])
            for epoch in range(20)
        ]
        assert sum(alike) <= 1

    def test_of_no_images(self) -> None:
        empty = make_dataset(5)[:0]
        assert len(jitter(empty, GRID, 0, 0)) == 0

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (
                {"dataset": torch.zeros(2, 28, 28)},
                "dataset: got float32 [2, 28, 28], expected a Data",
            ),
            ({"grid": (5, 2)}, "grid: got tuple, expected a ShiftGrid"),
            ({"grid": ShiftGrid(range(28, 29))}, "grid: got dx 28..28, expected it within -27..27"),
            ({"seed": -1}, "seed: got -1, expected an int in 0..4294967295"),
            ({"epoch": -1}, "epoch: got -1, expected an int of 0 or more"),
            ({"epoch": 0.5}, "epoch: got 0.5, expected an int of 0 or more"),
        ],
    )
    def test_bad_arguments(self, arguments: dict[str, Any], complaint: str) -> None:
        given = {"dataset": make_dataset(2), "grid": GRID, "seed": 0, "epoch": 0, **arguments}
        with refused(complaint):
            jitter(**given)


class TestDataOfAnEpoch:
    @pytest.mark.parametrize("method", ["fused", "autograd"])
    @pytest.mark.parametrize("name", FUSED)
    def test_training_is_on_each_epochs_own(self, name: str, method: str) -> None:
        dataset = make_dataset(100)
        settings = SETTINGS | {"method": method}
        asked = []

        def data(epoch: int) -> Dataset:
            asked.append(epoch)
            return jitter(dataset, GRID, 1, epoch)[: 100 - epoch]

        model = build_model(name, seed=0)
        losses = train(model, data=data, **settings | {"epochs": 2, "first_epoch": 3})
        assert asked == [3, 4]
        expected = build_model(name, seed=0)
        for epoch in (3, 4):
            part = jitter(dataset, GRID, 1, epoch)[: 100 - epoch]
            one = train(expected, part, **settings | {"epochs": 1, "first_epoch": epoch})
            assert torch.equal(losses[epoch - 3], one[0])
        assert torch.equal(weights(model), weights(expected))

    def test_of_another_model(self) -> None:
        dataset = make_dataset(40)
        settings = SETTINGS | {"method": "autograd"}
        models = [make_foreign(), make_foreign()]
        train(models[0], data=lambda epoch: dataset, **settings)
        train(models[1], dataset, **settings)
        assert torch.equal(weights(models[0]), weights(models[1]))

    @pytest.mark.parametrize(
        ("source", "complaint"),
        [
            ({}, "dataset: got NoneType, expected a Dataset"),
            ({"data": 3}, "data: got int, expected a"),
            (
                {"dataset": make_dataset(2), "data": lambda epoch: make_dataset(2)},
                "data: got function besides a dataset, expected one of the two",
            ),
            ({"data": lambda epoch: None}, "data: got NoneType for epoch 0, expected a Dataset"),
            (
                {"data": lambda epoch: make_dataset(2)[:0]},
                "data: got no images for epoch 0, expected at least one",
            ),
        ],
    )
    def test_bad_sources(self, source: dict[str, Any], complaint: str) -> None:
        model = build_model("mlp", seed=0)
        before = weights(model)
        with refused(complaint):
            train(model, **source, **SETTINGS)
        assert torch.equal(weights(model), before)
