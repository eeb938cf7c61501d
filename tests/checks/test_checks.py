"""What the checks of arguments accept, return and report."""

from __future__ import annotations

import json
import pickle
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import odd_arrays
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import lenetshift
from lenetshift import MLP, Config, Dataset, ShiftGrid, build_model, metrics, predict_shifts, train
from lenetshift.c3_table import C3_TABLE, from_dense, table_masks, to_dense
from lenetshift.checks.errors import ArgumentError
from lenetshift.checks.images import check_crop, check_fill, check_images
from lenetshift.checks.numbers import (
    check_batch_size,
    check_fraction,
    check_int,
    check_positive,
    check_seed,
)
from lenetshift.checks.shifts import check_shift_rule
from lenetshift.checks.types import check_choice
from lenetshift.data.dataset import dataset_sha256
from lenetshift.models.lenet5 import C3Conv

SETTINGS: dict[str, Any] = {"epochs": 1, "learning_rate": 0.1, "batch_size": 1, "seed": 0}
ONES = torch.ones(2).long()


def test_an_argument_error_has_fields_and_can_be_pickled() -> None:
    with pytest.raises(ArgumentError) as caught:
        check_int("n", -1, 0, 5)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert (error.name, error.got, error.expected) == ("n", "-1", "an int in 0..5")
        assert str(error) == "n: got -1, expected an int in 0..5"
    with pytest.raises(ArgumentError) as caught:
        lenetshift.evaluate_shifts(network(), [(IMAGES, TRUTH), (IMAGES, TRUTH[:1])], grid=GRID)
    assert (caught.value.name, caught.value.got) == ("batch 2: labels", "int64 [1]")


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, np.int32])
def test_whole_numbers_of_every_kind_are_ints(kind: Any) -> None:
    for value in (check_int("n", kind(3), 0, 5), check_seed(kind(3)), check_batch_size(kind(3))):
        assert value == 3
        assert type(value) is int
    rule = check_shift_rule({kind(3): (kind(1), kind(2)), 5: [kind(0), -1]})
    assert rule == {3: (1, 2), 5: (0, -1)}
    assert {type(n) for label, shift in rule.items() for n in (label, *shift)} == {int}


@pytest.mark.parametrize("value", [True, np.True_, 3.0, "3", None, torch.tensor(3)])
def test_other_values_are_not_ints(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^n: got [^\n]*, expected an int of 0 or more$"):
        check_int("n", value, 0)


NUMBERS = [
    *(1, 0.1, np.float32(0.25), np.float64(0.25), np.longdouble(0.25), np.int64(2), np.uint8(2)),
    *(Decimal("0.5"), Fraction(1, 2), np.array(0.5), np.array(2, ">i2"), np.array(Fraction(1, 2))),
    *(torch.tensor(0.5), torch.tensor(2), torch.tensor(0.5).bfloat16()),
]
"""Numbers of every type, each exact in float32 except 0.1."""

NOT_NUMBERS = [
    *(True, np.True_, torch.tensor(True), np.array(True), "1", b"1", None, 1j, np.complex64(1)),
    *({1: 2}, print, torch.tensor(1.0).to_sparse(), torch.tensor(1.0, device="meta")),
    *(float("nan"), np.float32("inf"), torch.tensor(-torch.inf), 10**400, Fraction(10**400)),
    *(
        Decimal("sNaN"),
        Decimal("1e400"),
        Decimal("NaN"),
        np.array("1"),
        np.array("1", "M8[s]"),
        np.array(None),
    ),
]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_numbers_of_every_kind_are_floats(value: Any) -> None:
    checked = check_positive("x", value)
    assert checked == value
    assert type(checked) is float


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_numbers_of_every_kind_are_pixels(value: Any) -> None:
    for images in (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)):
        for fill in (value, [value] * 3, (0, value, 1)):
            blank = check_fill(fill, images)
            assert blank.dtype == torch.float64
            assert blank[1] == float(value)
    shown = lenetshift.Normalize(value, [1, value]).extra_repr()
    assert shown == f"mean=[{float(value)}], std=[1.0, {float(value)}]"


@pytest.mark.parametrize("value", NOT_NUMBERS, ids=repr)
def test_other_values_are_not_pixels(value: Any) -> None:
    for fill in (value, [value], [0, value, 1]):
        with pytest.raises(
            ValueError, match=r"^fill: got [^\n]*, expected a finite number, or 3, "
        ):
            check_fill(fill, torch.zeros(1, 3, 8, 8))
        with pytest.raises(
            ValueError, match=r"^mean: got [^\n]*, expected a finite number, or one "
        ):
            lenetshift.Normalize(fill, 1)


@pytest.mark.parametrize(
    "fill",
    [
        [0, 0.5, 1], (0, Fraction(1, 2), Decimal(1)), np.array([0, 0.5, 1], ">f4"),
        torch.tensor([0, 0.5, 1]), [torch.tensor(0), np.float16(0.5), np.array(1)],
        np.array([0, Fraction(1, 2), 1], object), torch.tensor([[0, 0.5, 1]]).half(),
    ],
    ids=repr,
)  # fmt: skip
def test_one_number_a_channel(fill: Any) -> None:
    images = torch.zeros(2, 3, 4, 4)
    assert check_fill(fill, images).tolist() == [0, 0.5, 1]
    with pytest.raises(
        ValueError, match=r"^fill: got [^\n]*, expected a finite number, or 2, one per "
    ):
        check_fill(fill, images[:, :2])


@pytest.mark.parametrize(
    "crop",
    [
        (7, 6), [7, 6], (np.int64(7), np.uint8(6)), (torch.tensor(7), np.array(6)), np.array([7, 6]),
        torch.tensor([7, 6], dtype=torch.int16), torch.zeros(7, 6).shape, np.array([7, 6], ">u2"),
    ],
    ids=repr,
)  # fmt: skip
def test_whole_numbers_of_every_kind_are_a_crop(crop: Any) -> None:
    for checked in (check_crop(crop, (8, 6)), check_crop(crop)):
        assert checked == (7, 6)
        assert [type(side) for side in checked] == [int, int]


@pytest.mark.parametrize(
    "crop",
    [
        *(7, (7,), (7, 6, 1), (7.0, 6), (True, 6), (np.True_, 6), (0, 6), (7, -6), (9, 6), (7, 7)),
        *("", "76", (7, "6"), {7: 6, 6: 7}, (2**70, 6), (Fraction(7), 6), (torch.tensor([7]), 6)),
        *(torch.tensor([7.0, 6]), torch.ones(1, 2).long(), torch.tensor([7, 6]).to_sparse()),
        *(torch.tensor([True, True]), np.array(["7", "6"]), print),
    ],
    ids=repr,
)
def test_other_values_are_not_crops(crop: Any) -> None:
    expected = r"expected \(height, width\) within images of 8 x 6$"
    with pytest.raises(ValueError, match=rf"^crop: got [^\n]*, {expected}"):
        check_crop(crop, (8, 6))


def test_a_value_that_cannot_be_printed_is_named_by_its_type() -> None:
    class Silent:
        def __repr__(self) -> str:
            raise RuntimeError("no words")

    for value in (Silent(), 10**5000):
        with pytest.raises(ValueError, match=r"^x: got (Silent|int), expected a positive number$"):
            check_positive("x", value)  # type: ignore[arg-type]


def test_rules() -> None:
    check_shift_rule({})
    check_shift_rule({0: (27, -27), 9: (0, 0)})


@pytest.mark.parametrize(
    "rule",
    [{10: (0, 0)}, {-1: (0, 0)}, {True: (0, 0)}, {"3": (0, 0)}]
    + [{3: shift} for shift in [(28, 0), (0, -28), (1.0, 0), (1,), (1, 2, 3), 5, None]],
)
def test_bad_rules_are_refused(rule: Any) -> None:
    with pytest.raises(ValueError, match=r"^rule(: got label|\[3\]: got) .*, expected [^\n]*$"):
        check_shift_rule(rule)


@pytest.mark.parametrize("step", [np.int8(-128), np.int64(-(2**63)), np.uint64(2**63), np.int8(28)])
def test_a_step_is_compared_as_it_is(step: Any) -> None:
    """abs() of a NumPy type's smallest integer is that integer."""
    with pytest.raises(ValueError, match=r"^rule\[3\]: got [^\n]*, expected \(dx, dy\), two ints "):
        check_shift_rule({3: (0, step)})


@pytest.mark.parametrize("value", [1 - Fraction(1, 10**30), Decimal("1e-400"), *NOT_NUMBERS])
def test_other_values_are_not_fractions(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^x: got [^\n]*, expected a number between 0 and 1$"):
        check_fraction("x", value)
    assert check_fraction("x", Fraction(1, 4)) == check_fraction("x", Decimal("0.25"))


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), 10**400, True, "1", None])
def test_other_values_are_not_positive_numbers(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^x: got [^\n]*, expected a positive number$"):
        check_positive("x", value)


@pytest.mark.parametrize("value", ["c", None, ["a"], 1])
def test_only_known_names_are_accepted(value: Any) -> None:
    check_choice("name", "a", ("a", "b"))
    with pytest.raises(ValueError, match=r"^name: got [^\n]*, expected 'a' or 'b'$"):
        check_choice("name", value, ("a", "b"))


def test_numpy_numbers_give_the_same_run_as_pythons() -> None:
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
        model = build_model("pooled_mlp", seed=n(3))
        losses = train(model, data, epochs=n(1), learning_rate=0.1, batch_size=n(16), seed=n(3))
        biased = lenetshift.position_biased(data, {n(3): (n(2), n(-1))})
        predictions = predict_shifts(model.double(), images, batch_size=n(8))
        outcomes.append((losses[0], biased.images, predictions))
    for one, other in zip(*outcomes, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: Dataset(x, [1, 2]), "labels: got list, expected int64 [2]"),
        (lambda x: Dataset(x, np.zeros(2)), "labels: got ndarray, expected int64 [2]"),
        (lambda x: Dataset(x.numpy(), torch.zeros(2)), "images: got ndarray, expected"),
        (lambda x: Config(grid=(11, 5)), "grid: got tuple, expected a ShiftGrid"),
        (lambda x: dataset_sha256([x]), "dataset: got list, expected a Dataset"),
        (lambda x: ShiftGrid(dx=x), "dx: got uint8 [2, 28, 28], expected a non-empty"),
        (
            lambda x: ShiftGrid().index(x, 0),
            "shift: got (dx, dy) = (uint8 [2, 28, 28], 0), expected dx in",
        ),
        (lambda x: build_model(["mlp"]), "name: got ['mlp'], expected one of"),
        (lambda x: build_model(x), "name: got uint8 [2, 28, 28], expected"),
        (lambda x: build_model("mlp", seed=x), "seed: got uint8 [2, 28, 28], expected an int"),
        (lambda x: train(MLP, x, **SETTINGS), "model: got type, expected a Module"),
        (lambda x: train(MLP(), (x, [1, 2]), **SETTINGS), "dataset: got tuple, expected a Dataset"),
        (
            lambda x: train(MLP(), Dataset(x, ONES), on_progress=[print], **SETTINGS),
            "on_progress: got list, expected a function, or None",
        ),
        (
            lambda x: lenetshift.position_biased(x, {}),
            "dataset: got uint8 [2, 28, 28], expected a Dataset",
        ),
        (
            lambda x: lenetshift.position_biased(Dataset(x, ONES), [(3, (1, 0))]),
            "rule: got list, expected a Mapping",
        ),
        (
            lambda x: predict_shifts(MLP, x),
            "model: got type, expected a Module or a function, such as MLP()",
        ),
        (lambda x: predict_shifts(MLP(), x, (11, 5)), "grid: got tuple, expected a ShiftGrid"),
        (
            lambda x: predict_shifts(MLP(), x.tolist()),
            "images: got list, expected uint8 or floating [N, H, W] or",
        ),
        (
            lambda x: predict_shifts(MLP(), x, return_logits=[]),
            "return_logits: got list, expected True or False",
        ),
        (
            lambda x: metrics.summarize(x[:, :5, :11], [1, 2], ShiftGrid()),
            "labels: got list, expected integers [2]",
        ),
        (
            lambda x: metrics.summarize([[[1]]], ONES, ShiftGrid()),
            "predictions: got list, expected integers [N, 5, 11]",
        ),
        (
            lambda x: metrics.summarize(x.numpy(), ONES, ShiftGrid()),
            "predictions: got uint8 [2, 28, 28], expected integers [N, 5, 11]",
        ),
        (
            lambda x: metrics.summarize(x[:, :5, :11], ONES, (5, 11)),
            "grid: got tuple, expected a ShiftGrid",
        ),
        (
            lambda x: to_dense(np.zeros((60, 5, 5)), C3_TABLE, 6),
            "weight: got ndarray, expected a Tensor",
        ),
        (
            lambda x: to_dense(torch.zeros(60, 5, 5), C3_TABLE, None),
            "n_inputs: got None, expected an int of 6 or more",
        ),
        (
            lambda x: from_dense(np.zeros((16, 6, 5, 5)), C3_TABLE),
            "weight: got ndarray, expected a Tensor",
        ),
        (
            lambda x: lenetshift.to_masked_dense({"c3.weight": np.zeros((60, 5, 5))}),
            "c3.weight: got ndarray, expected a Tensor",
        ),
        (
            lambda x: lenetshift.to_masked_dense(None),
            "state_dict: got NoneType, expected a Mapping",
        ),
        (
            lambda x: lenetshift.from_masked_dense(x),
            "state_dict: got uint8 [2, 28, 28], expected a Mapping",
        ),
        (lambda x: table_masks(None), "table: got NoneType, expected a Sequence"),
        (lambda x: table_masks([1]), "table[0]: got int, expected a Sequence"),
        (lambda x: C3Conv(((0, 1.0),)), "table[0]: got (0, 1.0), expected one or more"),
        (lambda x: C3Conv()(None), "input: got NoneType, expected a Tensor"),
        (
            lambda x: torch.ops.lenetshift.translate(x, None),
            "shifts: got NoneType, expected a Tensor",
        ),
    ],
)
def test_other_types_are_refused_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        call(torch.zeros(2, 28, 28, dtype=torch.uint8))
    assert str(error.value).startswith(message)


IMAGES = torch.arange(1, 129).view(2, 8, 8) / 128
GRID = ShiftGrid(range(-1, 2), range(-1, 2))
TRUTH = torch.tensor([1, 0])
ANSWERS = (torch.arange(18) % 2).view(2, 3, 3)


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2))


ASKED = {"method": "plain", "batch_size": 9}
"""The fastest settings: these tests are not about the method."""

WITH_IMAGES = {
    "predict_shifts": lambda images: predict_shifts(network(), images, GRID, **ASKED),
    "evaluate_shifts": lambda images: lenetshift.evaluate_shifts(
        network(), images, TRUTH, GRID, **ASKED
    ).to_dict()["metrics"],
    "batches": lambda images: (
        lenetshift.evaluate_shifts(network(), [(images, TRUTH)], grid=GRID, **ASKED).predictions
    ),
    "lost_ink": lambda images: metrics.lost_ink(images, GRID),
    "kept images": lambda images: lenetshift.Evaluation(ANSWERS, TRUTH, GRID, images=images).images,
}


def drawn(image: Any) -> np.ndarray:
    evaluation = lenetshift.Evaluation(ANSWERS, TRUTH, GRID)
    axes = evaluation.plot_image(0, Figure().subplots(), image=image)
    return np.asarray(axes.images[0].get_array())


WITH_INTEGERS = {
    "summarize": lambda p, labels: metrics.summarize(p, labels, GRID),
    "moved_accuracy": lambda p, labels: metrics.moved_accuracy(p, labels).value,
    "unmoved_accuracy": lambda p, labels: metrics.unmoved_accuracy(p, labels, GRID).value,
    "worst_case_accuracy": lambda p, labels: metrics.worst_case_accuracy(p, labels).value,
    "class_maps": lambda p, labels: [m.tolist() for m in metrics.class_maps(p, labels).values()],
    "confusion": lambda p, labels: metrics.confusion(p, labels).counts.tolist(),
    "consistency": lambda p, labels: metrics.consistency(p, labels, GRID).overall.value,
    "Evaluation": lambda p, labels: lenetshift.Evaluation(p, labels, GRID).to_dict(),
}


def same(got: Any, expected: Any) -> bool:
    if isinstance(expected, (Tensor, np.ndarray)):
        return np.array_equal(got, expected)
    return bool(got == expected)


@pytest.mark.parametrize("kind", odd_arrays.taken(IMAGES))
@pytest.mark.parametrize("name", WITH_IMAGES)
def test_images_in_every_form_that_can_be_read(name: str, kind: str) -> None:
    call = WITH_IMAGES[name]
    assert same(call(odd_arrays.taken(IMAGES)[kind]), call(IMAGES))


@pytest.mark.parametrize("kind", odd_arrays.refused(IMAGES))
@pytest.mark.parametrize("name", WITH_IMAGES)
def test_images_in_other_forms_are_refused_in_one_line(name: str, kind: str) -> None:
    if (name, kind) in (("evaluate_shifts", "list"), ("kept images", "None")):
        return  # a list is batches, None is no images
    expected = r"images: got [^\n]*, expected (uint8|images or an iterable)[^\n]*"
    with pytest.raises(ValueError, match=rf"^(batch 1: )?{expected}$"):
        WITH_IMAGES[name](odd_arrays.refused(IMAGES)[kind])


@pytest.mark.parametrize("kind", odd_arrays.taken(IMAGES))
def test_an_image_in_every_form_that_can_be_read_is_drawn(kind: str) -> None:
    assert (drawn(odd_arrays.taken(IMAGES[0])[kind]) == drawn(IMAGES[0])).all()
    evaluation = lenetshift.Evaluation(ANSWERS, TRUTH, GRID, images=odd_arrays.taken(IMAGES)[kind])
    axes = evaluation.plot_image(0, Figure().subplots())
    assert (axes.images[0].get_array() == drawn(IMAGES[0])).all()


@pytest.mark.parametrize("kind", odd_arrays.refused(IMAGES))
def test_an_image_in_another_form_is_not_drawn(kind: str) -> None:
    with pytest.raises(ValueError, match=r"^images?: got [^\n]*, expected [^\n]*$"):
        drawn(odd_arrays.refused(IMAGES[0])[kind])


@pytest.mark.parametrize(
    ("images", "got"),
    [
        (IMAGES.to_sparse(), "sparse_coo float32 [2, 8, 8], expected uint8 or floating ["),
        (IMAGES.to("meta"), "meta float32 [2, 8, 8], expected uint8 or floating ["),
        (torch.nested.nested_tensor(list(IMAGES)), "nested float32, expected uint8 or floating ["),
        (
            np.ma.masked_array(IMAGES.numpy(), IMAGES.numpy() > 0.5),
            "masked float32 [2, 8, 8], expected uint8 or floating [",
        ),
        (
            IMAGES.to(torch.float8_e5m2),
            "float8_e5m2 [2, 8, 8], expected uint8, float16, bfloat16, float32 or float64 [N, H, W] or",
        ),
        (
            IMAGES.numpy().astype(np.longdouble),
            f"{np.dtype(np.longdouble)} [2, 8, 8], expected uint8, float16, bfloat16, float32 or ",
        ),
    ],
)
def test_the_kind_of_tensor_is_reported(images: Any, got: str) -> None:
    if isinstance(images, np.ndarray) and images.dtype == np.float64:
        pytest.skip("longdouble is float64 on this machine")
    with pytest.raises(ValueError, match=rf"^images: got {re.escape(got)}"):
        check_images(images)


@pytest.mark.parametrize("kind", odd_arrays.taken(TRUTH))
@pytest.mark.parametrize("name", WITH_INTEGERS)
def test_integers_in_every_form_that_can_be_read(name: str, kind: str) -> None:
    call = WITH_INTEGERS[name]
    expected = call(ANSWERS, TRUTH)
    assert call(odd_arrays.taken(ANSWERS)[kind], TRUTH) == expected
    assert call(ANSWERS, odd_arrays.taken(TRUTH)[kind]) == expected


@pytest.mark.parametrize("kind", odd_arrays.refused(TRUTH))
@pytest.mark.parametrize("name", WITH_INTEGERS)
def test_integers_in_other_forms_are_refused_in_one_line(name: str, kind: str) -> None:
    call = WITH_INTEGERS[name]
    with pytest.raises(ValueError, match=r"^predictions: got [^\n]*, expected integers [^\n]*$"):
        call(odd_arrays.refused(ANSWERS)[kind], TRUTH)
    with pytest.raises(ValueError, match=r"^labels: got [^\n]*, expected integers [^\n]*$"):
        call(ANSWERS, odd_arrays.refused(TRUTH)[kind])


@pytest.mark.parametrize("kind", odd_arrays.refused(IMAGES))
def test_logits_and_lost_ink_in_other_forms_are_refused_in_one_line(kind: str) -> None:
    odd = odd_arrays.refused(IMAGES.view(2, 8, 1, 8))[kind]
    column = ShiftGrid(range(1), range(8))
    with pytest.raises(ValueError, match=r"^logits: got [^\n]*, expected floating [^\n]*$"):
        metrics.score_change(odd, TRUTH, column)
    odd = odd_arrays.refused(ANSWERS.float() / 2)[kind]
    with pytest.raises(ValueError, match=r"^lost: got [^\n]*, expected floating [^\n]*$"):
        metrics.accuracy_without_loss(ANSWERS, TRUTH, odd)
