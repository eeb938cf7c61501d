"""The table of formats, and :func:`open_data`, which opens labelled images of any of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...checks.describe import describe, shown
from ...checks.errors import ArgumentError, DataError
from ...checks.numbers import whole_number
from ...checks.types import check_choice, check_type
from ...shifts import ShiftGrid
from ..dataset import Dataset, evenly_spaced
from ..idx import kind_at
from .cifar import find_cifar_binary, find_cifar_pickles
from .idx_files import find_idx_files
from .image_folder import find_image_folder
from .items import find_saved_dataset, of_items
from .labelled_images import LabelledImages, Preparation
from .npz import find_npz
from .source import Source, of_arrays


class Format(NamedTuple):
    """A format, as messages name it, and what gives its source; None if the path holds something else."""

    name: str
    find: Callable[[Path], Source | None]


FORMATS = (
    Format("IDX files", find_idx_files),
    Format("a .npz file", find_npz),
    Format("CIFAR's python version", find_cifar_pickles),
    Format("CIFAR's binary version", find_cifar_binary),
    Format("a data set that the package datasets saved", find_saved_dataset),
    Format("a folder of images in a subfolder for each class", find_image_folder),
)
"""In the order in which they are tried; the last takes every folder that has subfolders."""

_WITHIN = (
    "cifar-10-batches-py", "cifar-10-batches-bin", "cifar-100-python", "cifar-100-binary", "MNIST/raw",
    "FashionMNIST/raw", "EMNIST/raw",
)  # fmt: skip
"""Folders that archives and torchvision make: a folder with one of them stands for it."""

MODES = {"grey": "L", "rgb": "RGB"}


def open_data(
    where: Any,
    *,
    resize: tuple[int, int] | int | None = None,
    crop: tuple[int, int] | None = None,
    grid: ShiftGrid | None = None,
    channels: str | None = None,
    classes: Sequence[str] | None = None,
    n_images: int | None = None,
) -> LabelledImages:
    """Labelled test images of any format, which are read as an evaluation goes.

    The formats: IDX files of any size; a folder of image files in a subfolder for each class, or one with
    ``train/`` and ``test/`` or ``val/``; CIFAR-10 and CIFAR-100, python and binary version; a ``.npz`` file
    with images and labels, such as MedMNIST's; what the package datasets saved to disk; or a PyTorch data
    set. docs/using.md describes them. Nothing is downloaded, and no code in files is run.

    Args:
        where: a path; or a data set with ``len(where)`` and ``where[i]``, a pair (image, label) or a dict.
        resize: height and width, or the shorter side alone, as torchvision's ``Resize`` takes it (bilinear,
            antialiased); None keeps the images as they are.
        crop, grid: as :func:`evaluate_shifts` will get them. Of each image only what it sees is kept, so that
            images of several sizes can be evaluated together.
        channels: ``"grey"`` or ``"rgb"``; None is grey if all images are grey, else RGB.
        classes: the names of the classes in the order of the network's outputs; None is the data's own
            order. A folder's own order is that of its sorted names.
        n_images: how many images, evenly spaced over the set; None is all of them.

    Returns:
        An iterable of batches (images uint8 ``[n, C, H, W]``, labels int64 ``[n]``), which
        :func:`evaluate_shifts` takes. It has the attributes ``n_images``, ``shape`` (C, H, W), ``classes``
        (names, or None) and ``what`` (the format).

    Raises:
        DataError: the data are missing, damaged or in another format; also while they are read.
        ValueError: another argument is not as described; images differ in size.

    >>> import lenetshift, numpy, tempfile
    >>> file = tempfile.gettempdir() + "/lenetshift-example.npz"
    >>> numpy.savez(file, images=numpy.zeros((7, 32, 32, 3), numpy.uint8), labels=numpy.arange(7))
    >>> data = lenetshift.open_data(file, resize=24, n_images=3)
    >>> data.n_images, data.shape, data.what
    (3, (3, 24, 24), '.npz file')
    >>> [labels.tolist() for images, labels in data]
    [[0, 2, 4]]
    """
    if channels is not None:
        check_choice("channels", channels, tuple(MODES))
    if grid is not None or crop is not None:
        check_type("grid", grid, ShiftGrid)
    preparation = Preparation(_checked_resize(resize), crop, grid)
    names = None if classes is None else _checked_names(classes)
    source = _source_of(where)
    rows = None
    if n_images is not None:
        n = whole_number(n_images)
        if n is None or not 1 <= n <= source.n:
            raise ArgumentError("n_images", shown(n_images), f"1..{source.n}")
        rows = evenly_spaced(n, source.n).numpy()
    mode = None if channels is None else MODES[channels]
    return LabelledImages(source, preparation, mode=mode, rows=rows, names=names)


def _source_of(where: Any) -> Source:
    if isinstance(where, (str, os.PathLike)):
        return find_source(Path(where))
    if isinstance(where, Dataset):
        images, labels = where.images.cpu().numpy(), where.labels.cpu().numpy()
        return of_arrays("Dataset", "images", images, labels)
    if hasattr(where, "__getitem__"):
        return of_items(where, type(where).__name__)
    raise ArgumentError("where", describe(where), "a path, or a data set with items by number")


def find_source(path: Path) -> Source:
    """The source at a path; DataError if there is nothing, or of no known format."""
    try:
        path = path.expanduser()
    except RuntimeError as error:  # ~NAME, but there is no such user
        raise DataError(f"{path}: {error}") from error
    kind = kind_at(path)
    if kind is None:
        raise DataError(f"{path}: no such file or folder")
    if kind not in ("a file", "a folder"):
        raise DataError(f"{path}: got {kind}, expected a file or a folder")
    try:
        inner = _inner(path)
        for folder in inner or [path]:
            for format in FORMATS:
                if source := format.find(folder):
                    return source
        empty = kind == "a folder" and not any(path.iterdir())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    known = ", ".join(format.name for format in FORMATS[:-1])
    got = "an empty folder" if empty else f"{kind} of another format"
    raise DataError(f"{path}: got {got}, expected {known} or {FORMATS[-1].name}")


def _inner(path: Path) -> list[Path]:
    """The one folder within that stands for this one, if there is one.

    Raises:
        DataError: there are several.
    """
    found = [path / name for name in _WITHIN if (path / name).is_dir()]
    if len(found) > 1:
        raise DataError(
            f"{path}: got {', '.join(map(str, found))}, expected the path of one of them"
        )
    return found


def _checked_resize(resize: object) -> tuple[int, int] | int | None:
    if resize is None:
        return None
    whole = whole_number(resize)
    sides = [whole] if whole is not None else resize
    if isinstance(sides, (tuple, list)) and len(sides) in (1, 2):
        numbers = [whole_number(side) for side in sides]
        found = [side for side in numbers if side is not None and 1 <= side <= _MOST_PIXELS]
        if len(found) == len(sides):
            return (found[0], found[1]) if len(found) == 2 else found[0]
    raise ArgumentError("resize", shown(resize), "one or two ints of 1 or more, in pixels")


def _checked_names(classes: object) -> tuple[str, ...]:
    if not isinstance(classes, (tuple, list)) or not all(isinstance(name, str) for name in classes):
        raise ArgumentError("classes", shown(classes), "a list of names")
    names = tuple(classes)
    if not names or len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        got = f"{twice[0]!r} twice" if twice else "no names"
        raise ArgumentError("classes", got, "each class once")
    return names


_MOST_PIXELS = 1 << 16
"""The longest side of a resized image: beyond it memory ends first."""
