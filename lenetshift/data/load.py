"""MNIST, which the package contains, and other data sets in its file format, such as Fashion-MNIST.

The format is IDX (:mod:`lenetshift.data.idx`): images ``[N, 28, 28]``, labels ``[N]``. MNIST's authors and
licence are named in ``mnist/NOTICE``.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from ..checks.describe import describe
from ..checks.errors import ArgumentError, DataError
from .dataset import Dataset
from .idx import check_folder, find_idx, read_idx

MNIST_FOLDER = Path(__file__).with_name("mnist")
"""The packaged data: four .gz files, and SHA256SUMS of their unpacked contents."""

MNIST_SHA256 = {
    "train_images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "train_labels": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "test_images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "test_labels": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
"""The data behind the report's numbers, as ``dataset_sha256`` gives it."""


def load_mnist(folder: str | Path | None = None) -> tuple[Dataset, Dataset]:
    """Training and test set of the packaged MNIST, or of a folder with the same files.

    Args:
        folder: a folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
            ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, each raw or as ``.gz``; names
            such as ``train-images.idx3-ubyte`` are found too. The raw file is preferred; ``~`` is the
            home folder. None reads the packaged files and checks their SHA-256.

    Returns:
        ``(train, test)``; MNIST has 60,000 and 10,000 images.

    Raises:
        DataError: a file is missing, damaged or in another format.
        ValueError: ``folder`` is not a path.

    >>> import lenetshift
    >>> train, test = lenetshift.load_mnist()
    >>> len(train), len(test)
    (60000, 10000)
    >>> test.images.shape, test.labels[:5]
    (torch.Size([10000, 28, 28]), tensor([7, 2, 1, 0, 4]))
    """
    if folder is None:
        sha256 = _read_sums(MNIST_FOLDER / "SHA256SUMS")
        return _load(MNIST_FOLDER, "train", sha256), _load(MNIST_FOLDER, "t10k", sha256)
    if not isinstance(folder, (str, os.PathLike)):
        raise ArgumentError("folder", describe(folder), "a path, or None for MNIST")
    try:
        folder = Path(folder).expanduser()
    except RuntimeError as error:  # ~NAME, but there is no such user
        raise DataError(f"{folder}: {error}") from error
    check_folder(folder)
    return _load(folder, "train"), _load(folder, "t10k")


def _load(folder: Path, part: str, sha256: dict[str, str] | None = None) -> Dataset:
    """One part, "train" or "t10k", of a folder; its files are checked against ``sha256`` if given."""
    images_path = find_idx(folder, f"{part}-images", 3)
    labels_path = find_idx(folder, f"{part}-labels", 1)

    def size_complaint(shape: tuple[int, ...]) -> str:
        _, height, width = shape
        return "" if (height, width) == (28, 28) else f"got {height}x{width} images, expected 28x28"

    images = read_idx(images_path, 3, size_complaint, sha256)

    def count_complaint(shape: tuple[int, ...]) -> str:
        expected = f"expected {len(images)}, one per image of {images_path.name}"
        return "" if shape == (len(images),) else f"got {shape[0]} labels, {expected}"

    # In NumPy: torch would use its threads here, which hang in a forked child.
    labels = read_idx(labels_path, 1, count_complaint, sha256).numpy()
    if labels.max() > 9:
        at = int((labels > 9).argmax())
        raise DataError(f"{labels_path}: got label {labels[at]} at {at}, expected digits 0..9")
    return Dataset(images, torch.from_numpy(labels.astype(np.int64)))


def _read_sums(path: Path) -> dict[str, str]:
    """File name -> SHA-256, from a file that ``sha256sum`` wrote."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        return {name: digest for digest, name in (line.split() for line in lines)}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
