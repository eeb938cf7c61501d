"""Datasets and batches as torch, torchvision and Hugging Face give them."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import refused
from evaluations import DIGITS, GRID, evaluate
from PIL import Image
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset

from lenetshift.data import pairs
from lenetshift.data.batches import batches_of

IMAGES, LABELS = DIGITS.images[:, None], DIGITS.labels
COLOURS = torch.randint(0, 256, (3, 9, 12, 3), dtype=torch.uint8)


class Items(Dataset[Any]):
    """A dataset of what a function makes of a number."""

    def __init__(self, item: Callable[[int], Any], n: int = 50) -> None:
        self.item, self.n = item, n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Any:
        return self.item(i)


class Rows:
    """Like a dataset of Hugging Face."""

    column_names = ("image", "label")

    def __len__(self) -> int:
        return 50

    def __getitem__(self, i: int) -> Any:
        return {"image": Image.fromarray(IMAGES[i, 0].numpy()), "label": int(LABELS[i])}


@pytest.mark.parametrize("at_once", [1, 20, 256])
@pytest.mark.parametrize(
    "dataset",
    [
        TensorDataset(IMAGES, LABELS),
        TensorDataset(DIGITS.images, LABELS.to(torch.uint8)),
        ConcatDataset([Subset(TensorDataset(IMAGES, LABELS), range(a, a + 25)) for a in (0, 25)]),
        Items(lambda i: (IMAGES[i].numpy(), int(LABELS[i]))),
        Items(lambda i: [IMAGES[i], LABELS[i].numpy()]),
        Items(lambda i: {"img": IMAGES[i], "target": LABELS[i], "number": i}),
        Items(lambda i: (Image.fromarray(IMAGES[i, 0].numpy()), LABELS[i, None])),
        Rows(),
    ],
)
def test_datasets_give_what_the_whole_gives(
    dataset: Any, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "AT_ONCE", at_once)
    monkeypatch.setattr("lenetshift.data.batches.AT_ONCE", at_once)
    evaluation = evaluate(dataset)
    assert torch.equal(evaluation.predictions, evaluate(DIGITS).predictions)
    assert torch.equal(evaluation.labels, LABELS)
    assert batches_of(dataset, None)[1] == -(-50 // at_once)


def test_pictures_in_colour() -> None:
    dataset = Items(lambda i: (Image.fromarray(COLOURS[i].numpy()), i), 3)
    ((images, labels),) = batches_of(dataset, None)[0]
    assert torch.equal(images, COLOURS.permute(0, 3, 1, 2))
    assert labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("batch", "keys"),
    [
        (dict, ("image", "label")),
        (dict, ("images", "labels")),
        (UserDict, ("pixel_values", "labels")),
        (dict, ("img", "target")),
    ],
)
def test_batches_that_are_dicts(batch: Any, keys: tuple[str, str]) -> None:
    values = [
        batch({keys[0]: images, keys[1]: labels, "mask": None})
        for images, labels in zip(IMAGES.split(20), LABELS.split(20), strict=True)
    ]
    assert torch.equal(evaluate(values).predictions, evaluate(DIGITS).predictions)
    loader = DataLoader(Items(lambda i: {keys[0]: IMAGES[i], keys[1]: LABELS[i]}), batch_size=20)
    assert torch.equal(evaluate(loader).labels, LABELS)


IMAGE, PALETTE = IMAGES[0], Image.fromarray(IMAGES[0, 0].numpy()).convert("P")
NHWC = torch.zeros(2, 28, 28, 1)


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (Items(lambda i: IMAGE), "item 0: got uint8 [1, 28, 28], expected a pair (image, label)"),
        (Items(lambda i: (IMAGE, 0) if i < 9 else IMAGE), "item 9: got uint8 [1, 28, 28], exp"),
        (
            Items(lambda i: (PALETTE, 0)),
            "item 0: image: got a picture in mode P, expected mode L o",
        ),
        (Items(lambda i: (IMAGE[:, i:], 0)), "item 1: image: got uint8 [1, 27, 28], expected uint"),
        (Items(lambda i: ("a.png", 0)), "item 0: image: got str, expected a tensor, an array or a"),
        (Items(lambda i: (IMAGE, 0.5)), "item 0: label: got float, expected an integer"),
        (Items(lambda i: (IMAGE, [1, 2])), "item 0: label: got list, expected an integer"),
        (
            Items(lambda i: {"x": IMAGE}),
            "item 0: got a dict with the keys x, expected one of image",
        ),
        (Items(lambda i: (IMAGE, 0), 0), "images: got an iterable of 0 batches without images"),
        (
            [{"image": IMAGES, "img": IMAGES, "label": LABELS}],
            "batch 1: got a dict with the keys image, img, label, expected one of image, images, pix",
        ),
        (
            [{"image": IMAGES}],
            "batch 1: got a dict with the keys image, expected one of label, labels",
        ),
        (
            ["a.png"],
            "batch 1: got str, expected a pair (images, labels): files must have been read",
        ),
        (
            [Path("a")],
            "batch 1: got PosixPath, expected a pair (images, labels): files must have b",
        ),
        (
            "images",
            "images: got str, expected images or an iterable of (images, labels): files must",
        ),
        (
            Path("a"),
            "images: got PosixPath, expected images or an iterable of (images, labels): files",
        ),
        (
            [(NHWC, LABELS[:2])],
            "batch 1: images: got float32 [2, 28, 28, 1], channels last, expected",
        ),
    ],
)
def test_bad_datasets_and_batches(images: Any, complaint: str) -> None:
    with refused(complaint):
        evaluate(images)


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (DIGITS, "labels: got ShiftGrid, expected none with Dataset: pass the grid as grid="),
        (
            [(IMAGES, LABELS)],
            "labels: got ShiftGrid, expected none with list: pass the grid as grid=",
        ),
        (
            TensorDataset(IMAGES),
            "labels: got ShiftGrid, expected none with TensorDataset: pass the",
        ),
        (IMAGES, "labels: got ShiftGrid, expected integers [50], one per image: pass the grid as"),
    ],
)
def test_the_grid_in_place_of_labels(images: Any, complaint: str) -> None:
    with refused(complaint):
        evaluate(images, GRID)


def test_an_error_of_the_dataset_itself_is_left_alone() -> None:
    def item(i: int) -> tuple[Tensor, int]:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        evaluate(Items(item))


def test_real_rows_of_hugging_face() -> None:
    datasets = pytest.importorskip("datasets")
    pictures = [Image.fromarray(image.numpy()) for image in DIGITS.images[:5]]
    dataset = datasets.Dataset.from_dict(
        {"image": pictures, "label": LABELS[:5].tolist()},
        features=datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")}),
    )
    expected = evaluate(DIGITS.images[:5], LABELS[:5])
    assert torch.equal(evaluate(dataset).predictions, expected.predictions)
    assert np.array_equal(evaluate(dataset).labels, LABELS[:5])
