"""Images and labels in an archive of NumPy arrays, such as MedMNIST's."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...checks.describe import describe_array
from ...checks.errors import DataError
from ...checks.text import in_a_line, one_line
from ..idx import most_unpacked
from .source import Source, of_arrays

_IMAGES, _LABELS = (
    ("test_images", "x_test", "images", "x"),
    ("test_labels", "y_test", "labels", "y"),
)
"""The keys that are looked for, those of a test set first."""


def find_npz(path: Path) -> Source | None:
    """The source of a ``.npz`` file; None for anything else."""
    if path.suffix.lower() != ".npz" or not path.is_file():
        return None
    images, images_key = _array(path, _IMAGES)
    labels, labels_key = _array(path, _LABELS)
    if labels.ndim == 2 and labels.shape[1] == 1:  # MedMNIST's
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{path}: got {describe_array(labels)} as {labels_key}, expected integers [N] or [N, 1]"
        )
    return of_arrays(".npz file", str(path), _as_rows(path, images_key, images), labels)


def _as_rows(path: Path, key: str, images: NDArray[Any]) -> NDArray[np.uint8]:
    """Images ``[N, H, W]`` or ``[N, H, W, 3]``, whichever order they have."""
    got = f"{path}: got {describe_array(images)} as {key}"
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(f"{got}, expected uint8 [N, H, W], [N, H, W, C] or [N, C, H, W]")
    if images.ndim == 3:
        return images
    if images.shape[3] not in (1, 3) and images.shape[1] in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    if images.shape[3] not in (1, 3):
        raise DataError(f"{got}, expected 1 or 3 channels")
    return images[:, :, :, 0] if images.shape[3] == 1 else images


def _array(path: Path, keys: tuple[str, ...]) -> tuple[NDArray[Any], str]:
    """The array of the first key that the archive has, and the key."""
    try:
        with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as file:
            found = [key for key in keys if key in file.files]
            if not found:
                named = one_line(", ".join(file.files) or "none")
                raise DataError(f"{path}: got the keys {named}, expected one of {', '.join(keys)}")
            _check_size(path, archive, f"{found[0]}.npy")
            array = file[found[0]]
    except DataError:
        raise
    except Exception as error:  # NumPy and zipfile can raise anything
        raise DataError(f"{path}: cannot be read as .npz: {in_a_line(error)}") from error
    return array, found[0]


def _check_size(path: Path, archive: zipfile.ZipFile, name: str) -> None:
    """Raise DataError if an array claims more bytes than its member has, or unpacks to far more than the
    file: NumPy would allocate them."""
    member = archive.getinfo(name)
    most = most_unpacked(path.stat().st_size)
    if member.file_size > most:
        raise DataError(f"{path}: got {name} of {member.file_size} bytes, expected at most {most}")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
        shape, _, dtype = read(stream)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise DataError(
            f"{path}: got an array of {list(shape)} in {member.file_size} bytes as {name}"
        )
