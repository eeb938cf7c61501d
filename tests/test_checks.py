"""What every argument check takes, returns and says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

import lenetshift
from lenetshift import Config, Dataset, ShiftGrid, checks
from lenetshift.c3_table import C3_TABLE, from_dense, table_masks, to_dense
from lenetshift.data import dataset_sha256
from lenetshift.models import C3Conv

SETTINGS: dict[str, Any] = {"epochs": 1, "learning_rate": 0.1, "batch_size": 1, "seed": 0}


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, np.int32])
def test_whole_numbers_of_every_kind_are_ints(kind: Any) -> None:
    for value in (
        checks.check_int("n", kind(3), 0, 5),
        checks.check_seed(kind(3)),
        checks.check_batch_size(kind(3)),
    ):
        assert value == 3
        assert type(value) is int
    rule = checks.check_rule({kind(3): (kind(1), kind(2)), 5: [kind(0), -1]})
    assert rule == {3: (1, 2), 5: (0, -1)}
    assert {type(n) for label, shift in rule.items() for n in (label, *shift)} == {int}


@pytest.mark.parametrize("value", [True, np.True_, 3.0, "3", None, torch.tensor(3)])
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^n: got [^\n]*, expected an int of 0 or more$"):
        checks.check_int("n", value, 0)


@pytest.mark.parametrize("value", [1, 0.1, np.float32(0.25), np.float64(0.25), np.int64(2)])
def test_numbers_of_every_kind_are_floats(value: Any) -> None:
    checked = checks.check_positive("x", value)
    assert checked == value
    assert type(checked) is float


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), 10**400, True, "1", None])
def test_what_is_no_positive_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^x: got [^\n]*, expected a positive number$"):
        checks.check_positive("x", value)


@pytest.mark.parametrize("value", ["c", None, ["a"], 1])
def test_only_known_names_are_taken(value: Any) -> None:
    checks.check_choice("name", "a", ("a", "b"))
    with pytest.raises(ValueError, match=r"^name: got [^\n]*, expected 'a' or 'b'$"):
        checks.check_choice("name", value, ("a", "b"))


def test_numpy_numbers_settle_the_same_run_as_pythons() -> None:
    config = Config(
        seed=np.int64(3),  # type: ignore[arg-type]
        epochs=np.int32(1),  # type: ignore[arg-type]
        learning_rate=np.float32(0.25),  # type: ignore[arg-type]
        batch_size=np.uint8(16),  # type: ignore[arg-type]
        bias_rule={np.int64(3): (np.int64(1), np.int64(0))},  # type: ignore[dict-item]
        n_train=np.int64(20),  # type: ignore[arg-type]
    )
    same = Config(3, 1, 0.25, 16, bias_rule={3: (1, 0)}, n_train=20)
    assert config == same
    assert json.dumps(config.to_dict()) == json.dumps(same.to_dict())

    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 28, 28), dtype=torch.uint8, generator=generator)
    data = Dataset(images, torch.arange(40) % 10)
    outcomes = []
    for n in (int, np.int64):
        model = lenetshift.build_model("pooled_mlp", seed=n(3))
        losses = lenetshift.train(
            model, data, epochs=n(1), learning_rate=0.1, batch_size=n(16), seed=n(3)
        )
        biased = lenetshift.position_biased(data, {n(3): (n(2), n(-1))})
        predictions = lenetshift.predict_shifts(model.double(), images, batch_size=n(8))
        outcomes.append((losses[0], biased.images, predictions))
    for one, other in zip(*outcomes, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda images: Dataset(images, [1, 2]), "labels: got list, expected int64 [2]"),
        (lambda images: Dataset(images, np.zeros(2)), "labels: got ndarray, expected int64 [2]"),
        (lambda images: Dataset(images.numpy(), torch.zeros(2)), "images: got ndarray, expected"),
        (
            lambda images: lenetshift.summarize(images[:, :5, :11], [1, 2], ShiftGrid()),
            "labels: got list, expected integers [2]",
        ),
        (
            lambda images: lenetshift.summarize([[[1]]], torch.ones(1), ShiftGrid()),
            "predictions: got list, expected integers [N, 5, 11]",
        ),
        (
            lambda images: lenetshift.summarize(images.numpy(), torch.ones(1), ShiftGrid()),
            "predictions: got uint8 [2, 28, 28], expected integers [N, 5, 11]",
        ),
        (
            lambda images: lenetshift.predict_shifts(lenetshift.MLP(), images.tolist()),
            "images: got list, expected uint8 or floating [N, H, W] or",
        ),
        (
            lambda images: lenetshift.predict_shifts(lenetshift.MLP(), images, (11, 5)),
            "grid: got tuple, expected a ShiftGrid",
        ),
        (
            lambda images: lenetshift.predict_shifts(lenetshift.MLP, images),
            "model: got type, expected a Module",
        ),
        (
            lambda images: lenetshift.summarize(images[:, :5, :11], torch.ones(2).long(), (5, 11)),
            "grid: got tuple, expected a ShiftGrid",
        ),
        (
            lambda images: lenetshift.train(lenetshift.MLP(), (images, [1, 2]), **SETTINGS),
            "dataset: got tuple, expected a Dataset",
        ),
        (
            lambda images: lenetshift.train(lenetshift.MLP, images, **SETTINGS),
            "model: got type, expected a Module",
        ),
        (
            lambda images: lenetshift.position_biased(images, {}),
            "dataset: got uint8 [2, 28, 28], expected a Dataset",
        ),
        (
            lambda images: lenetshift.position_biased(
                Dataset(images, torch.ones(2).long()), [(3, (1, 0))]
            ),
            "rule: got list, expected a Mapping",
        ),
        (lambda images: Config(grid=(11, 5)), "grid: got tuple, expected a ShiftGrid"),
        (
            lambda images: to_dense(np.zeros((60, 5, 5)), C3_TABLE, 6),
            "weight: got ndarray, expected a Tensor",
        ),
        (
            lambda images: from_dense(np.zeros((16, 6, 5, 5)), C3_TABLE),
            "weight: got ndarray, expected a Tensor",
        ),
        (
            lambda images: lenetshift.to_masked_dense({"c3.weight": np.zeros((60, 5, 5))}),
            "c3.weight: got ndarray, expected a Tensor",
        ),
        (
            lambda images: lenetshift.to_masked_dense(None),
            "state_dict: got NoneType, expected a Mapping",
        ),
        (
            lambda images: lenetshift.from_masked_dense(images),
            "state_dict: got uint8 [2, 28, 28], expected a Mapping",
        ),
        (lambda images: table_masks(None), "table: got NoneType, expected a Sequence"),
        (lambda images: table_masks([1]), "table[0]: got int, expected a Sequence"),
        (lambda images: C3Conv(((0, 1.0),)), "table[0]: got (0, 1.0), expected one or more"),
        (
            lambda images: to_dense(torch.zeros(60, 5, 5), C3_TABLE, None),
            "n_inputs: got None, expected an int of 6 or more",
        ),
        (lambda images: dataset_sha256([images]), "dataset: got list, expected a Dataset"),
        (lambda images: lenetshift.build_model(["mlp"]), "name: got ['mlp'], expected one of"),
        (
            lambda images: lenetshift.predict_shifts(lenetshift.MLP(), images, return_logits=[]),
            "return_logits: got list, expected True or False",
        ),
        (
            lambda images: lenetshift.train(
                lenetshift.MLP(),
                Dataset(images, torch.ones(2).long()),
                on_progress=[print],
                **SETTINGS,
            ),
            "on_progress: got list, expected a function, or None",
        ),
        (
            lambda images: ShiftGrid().index(images, 0),
            "shift: got (dx, dy) = (uint8 [2, 28, 28], 0), expected dx in",
        ),
        (
            lambda images: lenetshift.build_model("mlp", seed=images),
            "seed: got uint8 [2, 28, 28], expected an int",
        ),
        (lambda images: ShiftGrid(dx=images), "dx: got uint8 [2, 28, 28], expected a non-empty"),
        (lambda images: lenetshift.build_model(images), "name: got uint8 [2, 28, 28], expected"),
        (lambda images: C3Conv()(None), "input: got NoneType, expected a Tensor"),
        (
            lambda images: torch.ops.lenetshift.translate(images, None),
            "shifts: got NoneType, expected a Tensor",
        ),
    ],
)
def test_what_is_of_another_type_is_refused_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        call(torch.zeros(2, 28, 28, dtype=torch.uint8))
    assert str(error.value).startswith(message)
