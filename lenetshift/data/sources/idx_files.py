"""The test images of a folder of IDX files, of any size: MNIST's, Fashion-MNIST's, EMNIST's."""

from __future__ import annotations

import re
from pathlib import Path

from ...checks.errors import DataError
from ..idx import read_idx
from .source import Source, of_arrays

_IMAGES = re.compile(r"(?P<stem>.+)-images(?P<sep>[-.])idx3-ubyte(?P<gz>\.gz)?")
_TEST = re.compile(r"t10k|(.+-)?test")


def find_idx_files(path: Path) -> Source | None:
    """The source of a folder's only test set, or of a file of images; None for anything else."""
    if path.is_file():
        return _source(path) if _IMAGES.fullmatch(path.name) else None
    if not path.is_dir():
        return None
    names = sorted(file.name for file in path.iterdir())
    stems: dict[str, str] = {}  # the raw file is preferred: its name comes first
    for name in names:
        if found := _IMAGES.fullmatch(name):
            stems.setdefault(found["stem"], name)
    if not stems:
        return None
    tests = {stem: name for stem, name in stems.items() if _TEST.fullmatch(stem)}
    if not tests:
        raise DataError(
            f"{path}: got {', '.join(stems.values())}, expected test images, such as t10k-images-idx3-ubyte"
        )
    if len(tests) > 1:
        raise DataError(
            f"{path}: got {len(tests)} test sets, expected one; name its file: {', '.join(tests.values())}"
        )
    (name,) = tests.values()
    return _source(path / name)


def _source(file: Path) -> Source:
    images = read_idx(file, 3, lambda _: "")
    labels_file = _labels_of(file)

    def complaint(shape: tuple[int, ...]) -> str:
        expected = f"expected {len(images)}, one per image of {file.name}"
        return "" if shape == (len(images),) else f"got {shape[0]} labels, {expected}"

    labels = read_idx(labels_file, 1, complaint)
    return of_arrays("IDX files", str(file), images.numpy(), labels.numpy())


def _labels_of(file: Path) -> Path:
    """The file of labels that belongs to a file of images."""
    found = _IMAGES.fullmatch(file.name)
    assert found is not None
    names = [
        f"{found['stem']}-labels{sep}idx1-ubyte{gz}"
        for sep in (found["sep"], *{"-", "."} - {found["sep"]})
        for gz in ("", ".gz")
    ]
    for name in names:
        if (file.parent / name).is_file():
            return file.parent / name
    raise DataError(f"{file.parent / names[0]}: no such file, nor any of {', '.join(names[1:])}")
