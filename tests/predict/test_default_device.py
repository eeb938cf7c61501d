"""Every tensor that the package makes names its device, whatever torch's default device is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hand_loop import logits_by
from random_networks import with_every_axis_operation
from torch import Tensor, nn

import lenetshift
from lenetshift import ShiftGrid
from lenetshift.data.dataset import Dataset, dataset_sha256
from lenetshift.data.seeds import epoch_permutation
from lenetshift.models.table import FUSED
from lenetshift.reference import sgd_epoch, shifted_logits, translate
from lenetshift.reproduce.__main__ import main

GRID = ShiftGrid(range(-1, 2), range(2))


@pytest.fixture(autouse=True)
def meta() -> Iterator[None]:
    """Values on the meta device are lost: a tensor made there by mistake fails or gives wrong answers."""
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def make_data(n: int) -> Dataset:
    generator = torch.Generator("cpu").manual_seed(n)
    images = torch.randint(
        0, 256, (n, 28, 28), dtype=torch.uint8, generator=generator, device="cpu"
    )
    return Dataset(images, torch.arange(n, device="cpu") % 10)


def check_on_both_devices(run: Callable[[], tuple[Tensor, ...]]) -> None:
    """With the meta device as torch's default, the same tensors as with none."""
    results = []
    for device in ("meta", None):
        torch.set_default_device(device)
        results.append(run())
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize("method", ["fused", "autograd"])
@pytest.mark.parametrize("name", FUSED)
def test_models_train_and_answer(name: str, method: str) -> None:
    data = make_data(30)

    def run(foreign: bool) -> tuple[Tensor, ...]:
        model = lenetshift.build_model(name, seed=0)
        biased = lenetshift.position_biased(data, {3: (3, 0)})
        losses = lenetshift.train(
            model, biased, epochs=1, learning_rate=0.1, batch_size=8, seed=0, method=method
        )
        asked = nn.Sequential(model) if foreign else model
        predictions, logits = lenetshift.predict_shifts(
            asked, data.images, GRID, return_logits=True
        )
        none, _ = lenetshift.predict_shifts(asked, data.images[:0], GRID, return_logits=True)
        accuracy = lenetshift.summarize(predictions, data.labels, GRID)["moved"]["accuracy"]
        return *losses, predictions, logits, none, torch.tensor([accuracy], device="cpu")

    for foreign in (False, True):
        check_on_both_devices(partial(run, foreign))


@pytest.mark.parametrize("method", ["shared", "plain"])
@pytest.mark.parametrize("settings", [{}, {"fill": 9}, {"fill": "circular"}, {"crop": (28, 28)}])
def test_networks_answer_by_every_method(method: str, settings: dict[str, Any]) -> None:
    images = make_data(3).images
    if "crop" in settings:
        images = nn.functional.pad(images, (2, 2, 2, 2))

    def run() -> tuple[Tensor, ...]:
        models = lenetshift.build_model("lenet5", seed=0), with_every_axis_operation()
        settings["transform"] = lenetshift.Normalize(0.1, [0.3])
        return tuple(logits_by(method, m.double(), images, GRID, **settings) for m in models)

    check_on_both_devices(run)


def test_data_permutations_and_the_reference() -> None:
    train, test = lenetshift.load_mnist()
    assert len(dataset_sha256(train)) == 2
    assert epoch_permutation(5, 0, 0).device.type == "cpu"
    images = test.images[:3]
    moved = torch.ops.lenetshift.translate(images, GRID.shifts())
    assert torch.equal(moved, translate(images, GRID.shifts()))
    model = lenetshift.build_model("lenet5", seed=0).double()
    assert shifted_logits(model, images, GRID).device.type == "cpu"
    dense = lenetshift.to_masked_dense(model.state_dict())
    assert lenetshift.from_masked_dense(dense)["c3.weight"].device.type == "cpu"
    order = epoch_permutation(0, 0, 0)
    assert sgd_epoch(model, images, test.labels[:3], order, 0.1, 2).device.type == "cpu"


def test_a_whole_reproduction(tmp_path: Path) -> None:
    assert main(["--quick", "--models", "lenet5", "--out", str(tmp_path)]) == 0
