"""Data sets of PyTorch and Hugging Face."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from image_files import message, pixels
from PIL import Image

from lenetshift.checks.errors import ArgumentError, DataError
from lenetshift.data.dataset import Dataset
from lenetshift.data.sources.opening import open_data

RGB = pixels(4, 6, 5, 3)


class Items(torch.utils.data.Dataset[Any]):
    """What ``make`` returns for each number."""

    def __init__(self, make: Any, n: int = 4) -> None:
        self.make, self.n, self.asked = make, n, []

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Any:
        self.asked.append(i)
        return self.make(i)


@pytest.mark.parametrize(
    "make",
    [
        lambda i: (Image.fromarray(RGB[i]), i),
        lambda i: (RGB[i], np.int64(i)),
        lambda i: [torch.from_numpy(RGB[i]).permute(2, 0, 1) / 255, torch.tensor(i)],
        lambda i: {"image": RGB[i], "label": i},
        lambda i: {
            "pixel_values": torch.from_numpy(RGB[i]).permute(2, 0, 1),
            "labels": np.array([i]),
        },
    ],
)
def test_kinds_of_items(make: Any) -> None:
    data = open_data(Items(make))
    assert (data.n_images, data.shape, data.classes, data.what) == (4, (3, 6, 5), None, "Items")
    ((images, labels),) = data
    assert torch.equal(images, torch.from_numpy(RGB).permute(0, 3, 1, 2))
    assert labels.tolist() == [0, 1, 2, 3]


def test_only_the_images_that_are_asked_for() -> None:
    items = Items(lambda i: (RGB[i % 4], i), 100)
    data = open_data(items, n_images=4)
    assert [labels.tolist() for _, labels in data] == [[0, 25, 50, 75]]
    assert set(items.asked) == {0, 25, 50, 75}


def test_class_names_of_the_data_set() -> None:
    items = Items(lambda i: (RGB[i], i % 2))
    items.classes = ["cat", "dog"]
    assert open_data(items).classes == ("cat", "dog")
    ((_, labels),) = open_data(items, classes=["dog", "cat"])
    assert labels.tolist() == [1, 0, 1, 0]


def test_this_package_s_own_data_set() -> None:
    dataset = Dataset(torch.from_numpy(pixels(3, 28, 28)), torch.tensor([1, 2, 3]))
    data = open_data(dataset)
    assert data.whole is not None
    assert torch.equal(data.whole[0], dataset.images)


def fails(i: int) -> Any:
    if i == 2:
        raise OSError("disk\nis gone")
    return RGB[i], i


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (fails, "Items: item 2: OSError: disk is gone"),
        (
            lambda i: RGB[i],
            "Items: item 0: got uint8 [6, 5, 3], expected (image, label), or a dict with",
        ),
        (lambda i: (RGB[i], i, i), "Items: item 0: got 3 items, expected (image, label)"),
        (
            lambda i: {"image": RGB[i], "truth": i},
            "item 0: got a dict with the keys image, truth, expected one of label, labels, fine_",
        ),
        (lambda i: (RGB[i], "cat"), "Items: item 0: got the label str, expected an int"),
        (
            lambda i: (RGB[i], torch.tensor([1, 2])),
            "item 0: got the label int64 [2], expected an int",
        ),
        (lambda i: (RGB[i], True), "item 0: got the label bool, expected an int"),
        (lambda i: (RGB[i] - 0.5, i), "item 0: got floating pixels from -0.5 to "),
        (lambda i: ("a.png", i), "item 0: image: got a path, 'a.png', expected pixels"),
    ],
)
def test_bad_items(make: Any, said: str) -> None:
    assert said in message(Items(make), DataError)


def test_images_that_differ() -> None:
    def sizes(i: int) -> Any:
        return RGB[i, : 6 - i // 2], i

    assert message(Items(sizes), ArgumentError) == (
        "resize: got none with images of 6 x 5 (image 0) and 5 x 5 (image 2), expected (height, width) for "
        "all images"
    )
    assert open_data(Items(sizes), resize=(3, 4)).shape == (3, 3, 4)

    def colours(i: int) -> Any:
        return (RGB[i] if i else RGB[i, :, :, 0]), i

    assert message(Items(colours), ArgumentError) == (
        "channels: got RGB for image 1, grey before it, expected one of them chosen"
    )
    assert open_data(Items(colours), channels="rgb").shape == (3, 6, 5)
    assert len(list(open_data(Items(colours), channels="grey"))) == 1


def test_what_is_no_data_set() -> None:
    class Stream(torch.utils.data.IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter([])

    assert message(Items(fails, 0), DataError) == "Items: got no images, expected at least one"
    assert message(Stream(), DataError) == (
        "Stream: got Stream, expected a data set with a length and items by number"
    )
    assert message(3) == "where: got int, expected a path, or a data set with items by number"


# Hugging Face


def saved(folder: Path, splits: tuple[str, ...] = ()) -> Path:
    """The files by which the format is recognised."""
    if splits:
        (folder / "dataset_dict.json").write_text(json.dumps({"splits": splits}))
    for part in splits or (".",):
        (folder / part).mkdir(exist_ok=True)
        for name in ("state.json", "dataset_info.json"):
            (folder / part / name).write_text("{}")
    return folder


class Saved(Items):
    """What the package gives for a split."""

    def __init__(self, columns: tuple[str, ...], names: Any = None) -> None:
        super().__init__(lambda i: dict.fromkeys(columns, i) | {columns[0]: RGB[i]})
        self.column_names = ["id", *columns]
        self.features = dict.fromkeys(columns, SimpleNamespace(names=names))

    def select_columns(self, columns: list[str]) -> Items:
        return Items(lambda i: {name: self.make(i)[name] for name in columns})


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package datasets, as far as it is used."""
    module = ModuleType("datasets")
    monkeypatch.setitem(sys.modules, "datasets", module)
    return module


@pytest.mark.parametrize(
    ("splits", "found"),
    [((), "."), (("train", "test"), "test"), (("train", "validation"), "validation")],
)
@pytest.mark.parametrize("image", ["image", "img"])
@pytest.mark.parametrize("label", ["label", "labels", "fine_label"])
def test_a_saved_data_set(
    label: str, image: str, splits: tuple[str, ...], found: str, stand_in: Any, tmp_path: Path
) -> None:
    asked = []

    def load_from_disk(path: str) -> Saved:
        asked.append(path)
        return Saved((image, label), [f"class {i}" for i in range(4)])

    stand_in.load_from_disk = load_from_disk
    data = open_data(saved(tmp_path, splits))
    assert asked == [str(tmp_path / found)]
    assert data.classes == ("class 0", "class 1", "class 2", "class 3")
    ((images, labels),) = data
    assert torch.equal(images, torch.from_numpy(RGB).permute(0, 3, 1, 2))
    assert labels.tolist() == [0, 1, 2, 3]


def test_saved_data_sets_that_are_refused(stand_in: Any, tmp_path: Path) -> None:
    stand_in.load_from_disk = lambda path: Saved(("picture", "label"))
    saved(tmp_path)
    assert message(tmp_path, DataError) == (
        f"{tmp_path}: got the columns id, picture, label, expected one of image, img, pixel_values, images"
    )

    def gone(path: str) -> None:
        raise FileNotFoundError("no\nArrow")

    stand_in.load_from_disk = gone
    assert (
        message(tmp_path, DataError) == f"{tmp_path}: cannot be read: FileNotFoundError: no Arrow"
    )
    saved(tmp_path, ("train", "extra"))
    assert message(tmp_path, DataError) == (
        f"{tmp_path}: got the splits train, extra, expected test or validation"
    )
    for contents in ("", "[]", '{"splits": 3}'):
        (tmp_path / "dataset_dict.json").write_text(contents)
        assert "dataset_dict.json: cannot be read: " in message(tmp_path, DataError)


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert message(saved(tmp_path), DataError) == (
        f"{tmp_path}: a data set of Hugging Face, which needs a package: pip install datasets"
    )


def test_the_package_itself(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "img": datasets.Image(),
            "label": datasets.ClassLabel(names=list("abcd")),
            "n": datasets.Value("int8"),
        }
    )
    rows = {"img": [Image.fromarray(image) for image in RGB], "label": [3, 2, 1, 0], "n": [0] * 4}
    test = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": test.select([0]), "test": test}).save_to_disk(tmp_path / "all")
    test.save_to_disk(tmp_path / "one")
    for folder in ("all", "one"):
        data = open_data(tmp_path / folder)
        ((images, labels),) = data
        assert torch.equal(images, torch.from_numpy(RGB).permute(0, 3, 1, 2))
        assert (labels.tolist(), data.classes) == ([3, 2, 1, 0], tuple("abcd"))
