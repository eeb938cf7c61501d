"""Datasets and batches as torch, torchvision and Hugging Face give them."""

from __future__ import annotations

import io
from collections import UserDict
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
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
from lenetshift.data.sources.opening import open_data

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


IMAGE, FLOATING = IMAGES[0], Image.new("F", (28, 28))
NHWC = torch.zeros(2, 28, 28, 1)
READ = "expected pixels: lenetshift.open_data(PATH) reads files"
NO_LABELS = "labels: got a ShiftGrid, expected nothing here, since the labels come with the"


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (Items(lambda i: IMAGE), "item 0: got uint8 [1, 28, 28], expected a pair (image, label)"),
        (Items(lambda i: (IMAGE, 0) if i < 9 else IMAGE), "item 9: got uint8 [1, 28, 28], exp"),
        (Items(lambda i: (FLOATING, 0)), "item 0: image: got floating pixels (mode F), expected"),
        (Items(lambda i: (IMAGE[:, i:], 0)), "item 1: image: got uint8 [1, 27, 28], expected uint"),
        (Items(lambda i: ("a.png", 0)), f"item 0: image: got a path, 'a.png', {READ}"),
        (
            Items(lambda i: (None, 0)),
            "item 0: image: got NoneType, expected a tensor, an array or a",
        ),
        (Items(lambda i: (IMAGE, 0.5)), "item 0: label: got float, expected an integer"),
        (Items(lambda i: (IMAGE, [1, 2])), "item 0: label: got list, expected an integer"),
        (
            Items(lambda i: {"x": IMAGE}),
            "item 0: got a dict with the keys x, expected one of image",
        ),
        (Items(lambda i: (IMAGE, 0), 0), "images: got an iterable of 0 batches without images"),
        (
            [{"image": IMAGES, "img": IMAGES, "label": LABELS}],
            "batch 1: got a dict with the keys image, img, label, expected one of image, img, pixel",
        ),
        (
            [{"image": IMAGES}],
            "batch 1: got a dict with the keys image, expected one of label, labels",
        ),
        (["a.png"], f"batch 1: got a path, 'a.png', {READ}"),
        ([Path("a")], f"batch 1: got a path, PosixPath('a'), {READ}"),
        ([(IMAGES, LABELS), "a.png"], f"batch 2: got a path, 'a.png', {READ}"),
        ([("a.png", LABELS)], f"batch 1: image: got a path, 'a.png', {READ}"),
        ([(["a.png", "b.png"], LABELS[:2])], f"batch 1: image: got a path, 'a.png', {READ}"),
        ([{"image": Path("a"), "label": 3}], f"batch 1: image: got a path, PosixPath('a'), {READ}"),
        ("images", f"images: got a path, 'images', {READ}"),
        (Path("a"), f"images: got a path, PosixPath('a'), {READ}"),
        (5, "images: got int, expected images or an iterable of (images, labels)"),
        (GRID, "images: got a ShiftGrid, expected images here: pass the grid as grid="),
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
        (DIGITS, f"{NO_LABELS} Dataset: pass the grid as grid="),
        ([(IMAGES, LABELS)], f"{NO_LABELS} list: pass the grid as grid="),
        (TensorDataset(IMAGES), f"{NO_LABELS} TensorDataset: pass the grid as grid="),
        (DataLoader(TensorDataset(IMAGES)), f"{NO_LABELS} DataLoader: pass the grid as grid="),
        (
            IMAGES,
            "labels: got a ShiftGrid, expected integers [50], one per image: pass the grid as",
        ),
    ],
)
def test_the_grid_in_place_of_labels(images: Any, complaint: str) -> None:
    with refused(complaint):
        evaluate(images, GRID)


def turned() -> Image.Image:
    """A picture with the EXIF orientation 6."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOURS[0].numpy()).save(file, "PNG", exif=exif)
    return Image.open(file)


WITH_ALPHA = torch.cat([COLOURS[0], torch.full((9, 12, 1), 128, dtype=torch.uint8)], 2).numpy()


@pytest.mark.parametrize(
    "image",
    [
        turned(),
        Image.fromarray(COLOURS[0].numpy()).convert("P"),
        Image.fromarray(WITH_ALPHA),
        WITH_ALPHA,
        COLOURS[0].numpy(),
        COLOURS[0],
        COLOURS[0].permute(2, 0, 1),
    ],
)
@pytest.mark.parametrize(
    ("image_key", "label_key"), [("img", "fine_label"), ("images", "target"), (None, None)]
)
def test_both_readers_see_the_same_pixels(image: Any, image_key: Any, label_key: Any) -> None:
    item = (image, 7) if image_key is None else {image_key: image, label_key: 7, "coarse_label": 1}
    if image is COLOURS[0]:
        item = (image.numpy(), 7)  # open_data takes the channels of a tensor first if it can
    ((ours, labels),) = batches_of(Items(lambda i: item, 2), None)[0]
    ((theirs, same),) = open_data(Items(lambda i: item, 2))
    assert torch.equal(ours, theirs)
    assert labels.tolist() == same.tolist() == [7, 7]


def test_a_dict_of_splits_is_refused() -> None:
    class DatasetDict(dict[str, Any]):
        column_names = MappingProxyType({"train": ["image"], "test": ["image"]})

    splits = DatasetDict(train=Rows(), test=Rows())
    said = "got DatasetDict with the splits train, test, expected one of its splits"
    with refused(f"images: {said}"):
        evaluate(splits)
    with refused(f"where: {said}"):
        open_data(splits)


def test_a_batch_of_large_images_has_few(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def item(i: int) -> tuple[Tensor, int]:
        read.append(i)
        return IMAGES[i], int(LABELS[i])

    for n_bytes, n in ((1, 1), (2000, 2), (3 * 784, 3), (1 << 20, 50)):
        read.clear()
        monkeypatch.setattr(pairs, "BATCH_BYTES", n_bytes)
        batches, n_batches, _ = batches_of(Items(item), None)
        sizes = [len(images) for images, _ in batches]
        assert (max(sizes), len(sizes)) == (n, n_batches)
        assert read == list(range(50))


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
