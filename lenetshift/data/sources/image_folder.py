"""A folder with a subfolder of image files for each class, as torchvision's ``ImageFolder`` takes it."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from PIL import Image

from ...checks.errors import DataError
from ...checks.text import in_a_line
from ..pictures import GREY_MODES, Picture, as_picture
from .source import Look, Source

SUFFIXES = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What Pillow may take the files for. Others, such as EPS, would start programs."""

_TEST, _TRAIN = ("test", "val", "valid", "validation"), ("train", "training")

_ORIENTATION = 0x0112  # the EXIF tag; from 5 on, height and width change places


def find_image_folder(path: Path) -> Source | None:
    """The source of a folder that has subfolders; None for anything without images."""
    if not path.is_dir():
        return None
    if not _subfolders(path):
        n = sum(1 for _ in _images_in(path))
        if n:
            raise DataError(f"{path}: got {n} images, but no subfolder for each class")
        return None
    folder = _test_part(path)
    classes = tuple(_subfolders(folder))
    files: list[tuple[Path, int]] = []
    for label, name in enumerate(classes):
        images = sorted(_images_in(folder / name))
        if not images:
            raise DataError(f"{folder / name}: no images, expected files such as .png and .jpg")
        files += [(image, label) for image in images]

    def item(i: int) -> tuple[Picture, int]:
        file, label = files[i]
        return read_picture(file), label

    what = "folder of images" if folder == path else f"folder of images, {folder.name}"
    return Source(what, len(files), item, classes, lambda i: look_at(files[i][0]))


def read_picture(file: Path) -> Picture:
    """The picture of a file; DataError if it cannot be read."""
    try:
        with Image.open(file, formats=_formats()) as image:
            image.load()
            return as_picture(image)
    except Exception as error:  # damaged files raise many kinds
        raise DataError(f"{file}: cannot be read as an image: {in_a_line(error)}") from error


def look_at(file: Path) -> Look:
    """Size and channels of a file's picture, from its head."""
    try:
        with Image.open(file, formats=_formats()) as image:
            width, height = image.size
            # For a PNG without it, getexif would read the whole file.
            has_exif = image.format in ("JPEG", "MPO", "TIFF", "WEBP") or "exif" in image.info
            if has_exif and image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8):
                width, height = height, width
            return Look((height, width), image.mode in GREY_MODES, str(file))
    except Exception as error:
        raise DataError(f"{file}: cannot be read as an image: {in_a_line(error)}") from error


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those that this Pillow was built with."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _test_part(folder: Path) -> Path:
    """The subfolder with the test images, if this folder has one for each part."""
    names = _subfolders(folder)
    tests = [name for name in _TEST if name in names]
    if tests and (set(names) & set(_TRAIN) or set(names) <= {*_TEST, *_TRAIN}):
        found = folder / tests[0]
        if not _subfolders(found):
            raise DataError(f"{found}: no subfolders, expected one for each class")
        return found
    if set(names) <= set(_TRAIN):
        raise DataError(
            f"{folder}: got {names[0]}/ alone, expected test/ or val/ too, or a subfolder for each class"
        )
    return folder


def _subfolders(folder: Path) -> list[str]:
    """The names of all subfolders but hidden ones, sorted."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."
            )
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error


def _images_in(folder: Path) -> Iterator[Path]:
    """All image files below a folder, by their suffixes. Hidden files, such as ``._1.png``, and hidden
    folders, such as ``.ipynb_checkpoints``, are left out.

    Raises:
        DataError: a folder cannot be read.
    """

    def refuse(error: OSError) -> NoReturn:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error

    for at, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(at, name)
