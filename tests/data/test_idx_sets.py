"""Test sets of IDX files of any size."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from idx_files import header
from image_files import message, pixels

from lenetshift.checks.errors import DataError
from lenetshift.data.load import load_mnist
from lenetshift.data.sources.opening import open_data


def write(
    folder: Path, stem: str = "t10k", size: tuple[int, int] = (9, 7), n: int = 3, gz: str = ""
) -> Path:
    folder.mkdir(exist_ok=True)
    images = pixels(n, *size)
    contents = {
        f"{stem}-images-idx3-ubyte": header(n, *size) + images.tobytes(),
        f"{stem}-labels-idx1-ubyte": header(n) + bytes(range(24, 24 + n)),
    }
    for name, data in contents.items():
        (folder / f"{name}{gz}").write_bytes(gzip.compress(data) if gz else data)
    return folder / f"{stem}-images-idx3-ubyte{gz}"


@pytest.mark.parametrize("gz", ["", ".gz"])
@pytest.mark.parametrize("stem", ["t10k", "test", "emnist-letters-test"])
def test_a_test_set_alone_of_any_size(stem: str, gz: str, tmp_path: Path) -> None:
    file = write(tmp_path, stem, gz=gz)
    for where in (tmp_path, file, str(file)):
        data = open_data(where)
        assert (data.shape, data.classes) == ((1, 9, 7), None)
        assert data.whole is not None
        assert torch.equal(data.whole[0], torch.from_numpy(pixels(3, 9, 7)))
        assert data.whole[1].tolist() == [24, 25, 26]  # as they are


def test_mnist_is_that_of_load_mnist(small: Path) -> None:
    test = load_mnist(small)[1]
    data = open_data(small)
    assert data.whole is not None
    assert torch.equal(data.whole[0], test.images)
    assert torch.equal(data.whole[1], test.labels)
    some, subset = open_data(small, n_images=7).whole, test.subset(7)
    assert some is not None
    assert torch.equal(some[0], subset.images)
    assert torch.equal(some[1], subset.labels)


def test_several_test_sets(tmp_path: Path) -> None:
    write(tmp_path, "emnist-letters-test")
    write(tmp_path, "emnist-letters-train")
    assert open_data(tmp_path).n_images == 3
    file = write(tmp_path, "emnist-digits-test", n=5)
    assert message(tmp_path, DataError) == (
        f"{tmp_path}: got 2 test sets, expected one; name its file: emnist-digits-test-images-idx3-ubyte, "
        "emnist-letters-test-images-idx3-ubyte"
    )
    assert open_data(file).n_images == 5


def test_names_with_a_dot_and_raw_files_first(tmp_path: Path) -> None:
    write(tmp_path)
    for name in ("images", "labels"):
        n = 3 if name == "images" else 1
        (tmp_path / f"t10k-{name}-idx{n}-ubyte").rename(tmp_path / f"t10k-{name}.idx{n}-ubyte")
    assert open_data(tmp_path).n_images == 3
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(b"damaged")
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(
        (tmp_path / "t10k-images.idx3-ubyte").read_bytes()
    )
    assert open_data(tmp_path).n_images == 3


def test_labels_beyond_the_given_classes(tmp_path: Path) -> None:
    write(tmp_path)
    names = [f"letter {i}" for i in range(26)]
    assert message(tmp_path, DataError, classes=names) == (
        "IDX files: image 2: got label 26, expected 0..25, one of 26 classes"
    )
    assert open_data(tmp_path, classes=[*names, "z"]).classes == (*names, "z")


def test_refused(tmp_path: Path) -> None:
    file = write(tmp_path)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    labels.write_bytes(header(2) + b"12")
    assert message(tmp_path, DataError) == (
        f"{labels}: got 2 labels, expected 3, one per image of t10k-images-idx3-ubyte"
    )
    labels.unlink()
    assert message(tmp_path, DataError).startswith(
        f"{labels}: no such file, nor any of t10k-labels-idx1"
    )
    file.write_bytes(header(3, 9, 7) + np.zeros(188, np.uint8).tobytes())
    assert message(tmp_path, DataError).startswith(f"{file}: truncated: got 188 bytes of data")
    file.rename(tmp_path / "train-images-idx3-ubyte")
    assert message(tmp_path, DataError) == (
        f"{tmp_path}: got train-images-idx3-ubyte, expected test images, such as t10k-images-idx3-ubyte"
    )
