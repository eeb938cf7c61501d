"""Folders of images in a subfolder for each class."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from image_files import message, pixels, write_images
from PIL import Image

from lenetshift.checks.errors import ArgumentError, DataError
from lenetshift.data.sources import image_folder
from lenetshift.data.sources.image_folder import look_at
from lenetshift.data.sources.opening import open_data
from lenetshift.data.sources.source import Look
from lenetshift.shifts import ShiftGrid

CLASSES = ("cat", "dog", "eel")


def test_images_in_the_order_of_sorted_classes_and_names(tmp_path: Path) -> None:
    images = pixels(7, 5, 6, 3)
    write_images(tmp_path, images, ("eel", "cat", "dog"))
    data = open_data(tmp_path)
    assert (data.classes, data.shape, data.n_images, len(data)) == (CLASSES, (3, 5, 6), 7, 1)
    ((read, labels),) = data
    order = [1, 4, 2, 5, 0, 3, 6]  # cats, dogs, eels
    assert torch.equal(read, torch.from_numpy(images[order]).permute(0, 3, 1, 2))
    assert labels.tolist() == [0, 0, 1, 1, 2, 2, 2]
    assert data.whole is None


def test_the_same_order_as_torchvision(tmp_path: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    write_images(tmp_path, pixels(9, 4, 4, 3), ("b", "a", "B", "a b"))
    (tmp_path / "a" / "deep").mkdir()
    Image.fromarray(pixels(1, 4, 4, 3, seed=3)[0]).save(tmp_path / "a" / "deep" / "0.png")
    theirs = datasets.ImageFolder(tmp_path)
    ((images, labels),) = open_data(tmp_path)
    assert open_data(tmp_path).classes == tuple(theirs.classes)
    assert labels.tolist() == theirs.targets
    ours = images.permute(0, 2, 3, 1).numpy()
    assert all(np.array_equal(np.asarray(a), b) for (a, _), b in zip(theirs, ours, strict=True))


@pytest.mark.parametrize("part", ["test", "val", "valid", "validation"])
def test_the_test_part_is_found(part: str, tmp_path: Path) -> None:
    write_images(tmp_path / "train", pixels(6, 4, 4, 3), CLASSES)
    write_images(tmp_path / part, pixels(4, 4, 4, 3), CLASSES)
    (tmp_path / "annotations").mkdir()
    data = open_data(tmp_path)
    assert (data.n_images, data.classes, data.what) == (4, CLASSES, f"folder of images, {part}")


def test_a_test_part_without_train(tmp_path: Path) -> None:
    write_images(tmp_path / "val", pixels(4, 4, 4, 3), CLASSES)
    assert open_data(tmp_path).classes == CLASSES


def test_classes_can_be_called_test(tmp_path: Path) -> None:
    write_images(tmp_path, pixels(4, 4, 4, 3), ("cat", "test"))
    assert open_data(tmp_path).classes == ("cat", "test")


def test_given_classes_fix_the_labels(tmp_path: Path) -> None:
    write_images(tmp_path, pixels(3, 4, 4, 3), CLASSES)
    names = ("eel", "fox", "cat", "dog")
    data = open_data(tmp_path, classes=names)
    assert data.classes == names
    assert [labels.tolist() for _, labels in data] == [[2, 3, 0]]
    assert message(tmp_path, ArgumentError, classes=("cat", "dog")) == (
        "classes: got 2 names without 'eel', expected one for each class"
    )
    assert message(tmp_path, ArgumentError, classes=("cat", "cat")) == (
        "classes: got 'cat' twice, expected each class once"
    )


def test_grey_if_all_are_grey_else_rgb(tmp_path: Path) -> None:
    grey = pixels(6, 4, 5)
    write_images(tmp_path, grey, CLASSES)
    ((images, _),) = open_data(tmp_path)
    assert torch.equal(images, torch.from_numpy(grey[[0, 3, 1, 4, 2, 5], None]))
    ((images, _),) = open_data(tmp_path, channels="rgb")
    assert images.shape == (6, 3, 4, 5)
    assert (images[:, :1] == images).all()
    Image.fromarray(pixels(1, 4, 5, 3)[0]).save(tmp_path / "eel" / "z.png")
    assert open_data(tmp_path).shape == (3, 4, 5)
    assert open_data(tmp_path, channels="grey").shape == (1, 4, 5)


def test_exif_orientation(tmp_path: Path) -> None:
    upright = np.zeros((8, 16, 3), np.uint8)
    upright[:, 8:] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it
    (tmp_path / "a").mkdir()
    lying = Image.fromarray(upright).rotate(90, expand=True)
    lying.save(tmp_path / "a" / "1.jpg", exif=exif, quality=100)
    lying.save(tmp_path / "a" / "2.png", exif=exif)
    data = open_data(tmp_path)
    assert data.shape == (3, 8, 16)
    ((images, _),) = data
    difference = images.permute(0, 2, 3, 1).int() - torch.from_numpy(upright).int()
    assert difference.abs().max() < 10


def test_other_files_and_hidden_ones_are_left_out(tmp_path: Path) -> None:
    write_images(tmp_path, pixels(3, 4, 4, 3), CLASSES)
    (tmp_path / "README.txt").write_text("three animals")
    (tmp_path / "cat" / "._000.png").write_bytes(b"a resource fork")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"thumbs")
    (tmp_path / ".cache").mkdir()
    assert (open_data(tmp_path).n_images, open_data(tmp_path).classes) == (3, CLASSES)


def test_some_images_evenly_without_reading_the_others(tmp_path: Path) -> None:
    write_images(tmp_path, pixels(12, 4, 4, 3), CLASSES)
    for file in sorted(tmp_path.rglob("*.png"))[1::2]:
        file.write_bytes(b"damaged")
    data = open_data(tmp_path, n_images=6, channels="rgb", resize=(4, 4))
    assert [labels.tolist() for _, labels in data] == [[0, 0, 1, 1, 2, 2]]


@pytest.mark.parametrize(
    ("size", "resize"),
    [((9, 13), (6, 7)), ((13, 9), 6), ((9, 13), 6), ((7, 7), 12), ((31, 10), 5), ((6, 8), 6)],
)
def test_resize_is_torchvisions(size: tuple[int, int], resize: int, tmp_path: Path) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    image = pixels(1, *size, 3)
    write_images(tmp_path, image, ("a",))
    ((ours, _),) = open_data(tmp_path, resize=resize)
    theirs = transforms.Resize(resize)(Image.fromarray(image[0]))
    assert np.array_equal(ours[0].permute(1, 2, 0).numpy(), np.asarray(theirs))


@pytest.mark.parametrize(("resize", "size"), [((6, 7), (6, 7)), (6, (6, 8)), (18, (18, 26))])
def test_resize_is_pillows_bilinear(resize: Any, size: tuple[int, int], tmp_path: Path) -> None:
    """Which is antialiased, and what torchvision calls."""
    image = pixels(1, 9, 13, 3)
    write_images(tmp_path, image, ("a",))
    ((ours, _),) = open_data(tmp_path, resize=resize)
    resized = Image.fromarray(image[0]).resize(size[::-1], Image.Resampling.BILINEAR)
    assert np.array_equal(ours[0].permute(1, 2, 0).numpy(), np.asarray(resized))


def test_the_shorter_side_is_an_int_of_torchvisions_formula(tmp_path: Path) -> None:
    write_images(tmp_path, pixels(1, 31, 10, 3), ("a",))
    assert open_data(tmp_path, resize=7).shape == (3, int(7 * 31 / 10), 7)


class TestSizes:
    def folder(self, at: Path) -> Path:
        write_images(at, pixels(2, 12, 16, 3), ("a",))
        Image.fromarray(pixels(1, 20, 13, 3)[0]).save(at / "a" / "9.png")
        return at

    def test_several_need_resize(self, tmp_path: Path) -> None:
        self.folder(tmp_path)
        assert message(tmp_path, ArgumentError) == (
            f"resize: got none with images of 12 x 16 ({tmp_path}/a/000.png) and 20 x 13 "
            f"({tmp_path}/a/9.png), expected (height, width) for all images"
        )
        assert "got 8 with images of 8 x 10 (" in message(tmp_path, ArgumentError, resize=8)
        assert open_data(tmp_path, resize=(8, 9)).shape == (3, 8, 9)

    @pytest.mark.parametrize("side", [4, 5])
    def test_behind_a_crop_each_image_keeps_what_is_seen(self, side: int, tmp_path: Path) -> None:
        """As if each image was evaluated alone."""
        from lenetshift.predict.patterns import Patterns, frame_of

        self.folder(tmp_path)
        grid, crop = ShiftGrid(range(-1, 3), range(-3, 2)), (side, side + 1)
        ((cut, _),) = open_data(tmp_path, crop=crop, grid=grid)

        def seen(images: torch.Tensor) -> torch.Tensor:
            frame = frame_of(images, grid, 0, crop)
            patterns = Patterns(images, frame, torch.device("cpu"), torch.float32)
            return patterns.moved(slice(0, 1), slice(0, len(grid)))

        for k, file in enumerate(sorted(tmp_path.rglob("*.png"))):
            whole = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
            assert torch.equal(seen(cut[k : k + 1]), seen(whole[None])), file
        assert cut.shape[1:] == (3, side + 6, side + 1 + 4)

    def test_images_too_small_for_the_crop(self, tmp_path: Path) -> None:
        self.folder(tmp_path)
        grid = ShiftGrid(range(-2, 3), range(-1, 2))
        assert message(tmp_path, ArgumentError, crop=(13, 12), grid=grid) == (
            "crop: got (13, 12), expected (height, width) within images of 12 x 16"
        )
        assert message(tmp_path, ArgumentError, crop=(6, 10), grid=grid) == (
            "grid: got dx -2..2, expected it within -1..2 for images of 20 x 13 behind a crop of 6 x 10"
        )
        # All 13 columns of one image are seen, but one column of the other's 14 would not be.
        grid = ShiftGrid(range(-3, 3), range(-1, 2))
        assert message(tmp_path, ArgumentError, crop=(6, 8), grid=grid) == (
            f"resize: got none with images of 8 x 14 ({tmp_path}/a/000.png) and 8 x 13 "
            f"({tmp_path}/a/9.png), expected one size behind the crop for all images"
        )


def test_hidden_folders_are_left_out(tmp_path: Path) -> None:
    image = Image.fromarray(pixels(1, 4, 4, 3)[0])
    for name in ("a", "a/.ipynb_checkpoints", "a/deep/.cache/more", ".ipynb_checkpoints"):
        (tmp_path / name).mkdir(parents=True)
        image.save(tmp_path / name / "1-checkpoint.png")
    data = open_data(tmp_path)
    assert (data.n_images, data.classes) == (1, ("a",))


def test_a_subfolder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path, pixels(1, 4, 4, 3), ("a",))
    locked = tmp_path / "a" / "locked"
    locked.mkdir()
    real = os.scandir

    def scandir(path: Any) -> Any:  # root can read everything
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert message(tmp_path, DataError) == f"{locked}: cannot be read: Permission denied"


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_each_head_is_looked_at_once(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    for k in range(5):
        Image.new(mode, (4, 6)).save(tmp_path / "a" / f"{k}.png")
    seen: list[Path] = []

    def noted(file: Path) -> Look:
        seen.append(file)
        return look_at(file)

    monkeypatch.setattr(image_folder, "look_at", noted)
    assert open_data(tmp_path).shape == (1 if mode == "L" else 3, 6, 4)
    assert len(seen) == len(set(seen)) == 5


def test_formats_that_start_programs(tmp_path: Path) -> None:
    write_images(tmp_path, pixels(1, 4, 4, 3), ("a",))
    Image.new("RGB", (4, 4)).save(tmp_path / "a" / "1.eps")
    (tmp_path / "a" / "1.eps").rename(tmp_path / "a" / "1.png")
    assert "1.png: cannot be read as an image: Unid" in message(tmp_path, DataError)


class TestRefused:
    def test_an_empty_folder(self, tmp_path: Path) -> None:
        assert message(tmp_path, DataError).startswith(
            f"{tmp_path}: got an empty folder, expected IDX files, a .npz file, CIFAR's python"
        )

    def test_a_class_without_images(self, tmp_path: Path) -> None:
        write_images(tmp_path, pixels(3, 4, 4, 3), CLASSES)
        (tmp_path / "fox").mkdir()
        (tmp_path / "fox" / "fox.txt").write_text("a fox")
        assert message(tmp_path, DataError) == (
            f"{tmp_path}/fox: no images, expected files such as .png and .jpg"
        )

    def test_a_damaged_image(self, tmp_path: Path) -> None:
        write_images(tmp_path, pixels(6, 30, 30, 3), CLASSES)
        file = tmp_path / "dog" / "001.png"
        file.write_bytes(file.read_bytes()[:600])  # the head is whole
        assert message(tmp_path, DataError).startswith(
            f"{file}: cannot be read as an image: OSError"
        )
        file.write_bytes(b"no image")
        assert message(tmp_path, DataError) == (
            f"{file}: cannot be read as an image: UnidentifiedImageError: cannot identify image file "
            f"'{file}'"
        )

    def test_training_images_alone(self, tmp_path: Path) -> None:
        write_images(tmp_path / "train", pixels(3, 4, 4, 3), CLASSES)
        assert message(tmp_path, DataError).startswith(
            f"{tmp_path}: got train/ alone, expected test/"
        )

    def test_images_without_classes(self, tmp_path: Path) -> None:
        write_images(tmp_path, pixels(2, 4, 4, 3), ("",))
        got = f"{tmp_path}: got 2 images, but no subfolder for each class"
        assert message(tmp_path, DataError) == got
        (tmp_path / "train").mkdir()
        write_images(tmp_path / "test", pixels(2, 4, 4, 3), ("",))
        assert message(tmp_path, DataError) == (
            f"{tmp_path}/test: no subfolders, expected one for each class"
        )
