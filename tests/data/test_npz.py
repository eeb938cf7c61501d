"""Images and labels in .npz files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from image_files import message, pixels

from lenetshift.checks.errors import DataError
from lenetshift.data.sources.opening import open_data

LABELS = np.array([2, 0, 1])


def write(folder: Path, **arrays: Any) -> Path:
    np.savez_compressed(folder / "a.npz", **arrays)
    return folder / "a.npz"


@pytest.mark.parametrize("images_key", ["images", "x_test", "test_images", "x"])
@pytest.mark.parametrize("labels_key", ["labels", "y_test", "test_labels", "y"])
def test_keys(images_key: str, labels_key: str, tmp_path: Path) -> None:
    images = pixels(3, 6, 7, 3)
    file = write(tmp_path, **{images_key: images, labels_key: LABELS, "other": np.zeros(3)})
    data = open_data(file)
    assert data.whole is not None
    for read, labels in (data.whole, *data):
        assert torch.equal(read, torch.from_numpy(images).permute(0, 3, 1, 2))
        assert labels.tolist() == [2, 0, 1]


@pytest.mark.parametrize("form", ["NHW", "NHW1", "N1HW", "NHW3", "N3HW"])
def test_orders(form: str, tmp_path: Path) -> None:
    colour = pixels(3, 6, 7, 3) if "3" in form else pixels(3, 6, 7, 1)
    given = {
        "NHW": colour[..., 0],
        "N1HW": colour.transpose(0, 3, 1, 2),
        "N3HW": colour.transpose(0, 3, 1, 2),
    }
    ((read, _),) = open_data(write(tmp_path, x=given.get(form, colour), y=LABELS))
    assert torch.equal(read, torch.from_numpy(colour).permute(0, 3, 1, 2))


def test_medmnist(tmp_path: Path) -> None:
    """Three sets, labels [N, 1]: the test set is taken."""
    arrays = {}
    for part, n in (("train", 5), ("val", 4), ("test", 3)):
        arrays[f"{part}_images"] = pixels(n, 28, 28, 3, seed=n)
        arrays[f"{part}_labels"] = np.arange(n, dtype=np.uint8)[:, None]
    data = open_data(write(tmp_path, **arrays))
    assert data.whole is not None
    images, labels = data.whole
    assert torch.equal(images, torch.from_numpy(arrays["test_images"]).permute(0, 3, 1, 2))
    assert labels.tolist() == [0, 1, 2]


IMAGES = pixels(3, 6, 7)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (
            {"pictures": IMAGES, "labels": LABELS},
            "got the keys pictures, labels, expected one of test_",
        ),
        ({"images": IMAGES}, "got the keys images, expected one of test_labels, y_test, labels, y"),
        ({}, "got the keys none, expected one of test_images, x_test, images, x"),
        ({"images": IMAGES, "labels": LABELS[:2]}, "got 2 labels, expected 3, one per image"),
        (
            {"images": IMAGES / 255, "labels": LABELS},
            "got float64 [3, 6, 7] as images, expected uint8",
        ),
        (
            {"images": IMAGES[0], "labels": LABELS},
            "got uint8 [6, 7] as images, expected uint8 [N, H, W]",
        ),
        (
            {"images": pixels(3, 6, 7, 2), "labels": LABELS},
            "[3, 6, 7, 2] as images, expected 1 or 3",
        ),
        (
            {"images": IMAGES, "labels": LABELS / 2},
            "got float64 [3] as labels, expected integers [N]",
        ),
        (
            {"images": IMAGES, "labels": np.eye(3, 4, dtype=int)},
            "got int64 [3, 4] as labels, expected",
        ),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "got no images, expected at least one"),
        (
            {"images": np.array([{}]), "labels": LABELS},
            "cannot be read as .npz: ValueError: Object arr",
        ),
    ],
)
def test_refused(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    file = write(tmp_path, **arrays)
    refusal = message(file, DataError)
    assert refusal.startswith(f"{file}: ")
    assert said in refusal


def test_damaged(tmp_path: Path) -> None:
    file = write(tmp_path, images=IMAGES, labels=LABELS)
    whole = file.read_bytes()
    for contents in (b"", b"PK", whole[:-20], whole[:40] + b"\xff" * 40 + whole[80:]):
        file.write_bytes(contents)
        assert message(file, DataError).startswith(f"{file}: cannot be read as .npz: ")


def test_an_array_that_announces_too_much(tmp_path: Path) -> None:
    file = write(tmp_path, images=IMAGES, labels=LABELS)
    buffer = io.BytesIO()
    head = {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 6, 7)}
    np.lib.format.write_array_header_1_0(buffer, head)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images.npy", buffer.getvalue() + IMAGES.tobytes())
        archive.writestr("labels.npy", b"")
    assert "got an array of [1099511627776, 6, 7] in" in message(file, DataError)


def test_an_archive_that_unpacks_to_hundreds_of_times_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, images=np.zeros((3, 500, 500), np.uint8), labels=LABELS)
    assert open_data(file).n_images == 3
    monkeypatch.setattr("lenetshift.data.idx._MOST_UNPACKED", 1)
    assert "images.npy of 750128 bytes, expected at most" in message(file, DataError)
