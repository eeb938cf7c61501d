"""Small labelled images in files of many formats."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lenetshift.data.sources.opening import open_data


def pixels(n: int, *shape: int, seed: int = 0) -> NDArray[np.uint8]:
    """Random pixels, uint8 ``[n, *shape]``."""
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def write_images(folder: Path, images: NDArray[np.uint8], classes: tuple[str, ...]) -> Path:
    """Image i as ``folder/CLASS/i.png``, the classes in turn."""
    for i, image in enumerate(images):
        file = folder / classes[i % len(classes)] / f"{i:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    return folder


def write_cifar(
    folder: Path, n: int = 6, fine: bool = False, protocol: int = 2
) -> NDArray[np.uint8]:
    """The python version of CIFAR-10, or with ``fine`` of CIFAR-100; its images ``[n, 32, 32, 3]``."""
    folder.mkdir(parents=True, exist_ok=True)
    images = pixels(n, 32, 32, 3)
    rows = images.transpose(0, 3, 1, 2).reshape(n, -1)
    names = [f"class {i}" for i in range(100 if fine else 10)]
    batch: dict[Any, Any] = {b"data": rows, b"filenames": [b"a.png"] * n}
    batch[b"fine_labels" if fine else b"labels"] = list(range(n))
    meta = {b"fine_label_names" if fine else b"label_names": [name.encode() for name in names]}
    for name, value in (
        ("test" if fine else "test_batch", batch),
        ("meta" if fine else "batches.meta", meta),
    ):
        (folder / name).write_bytes(pickle.dumps(value, protocol))
    return images


def message(where: object, error: type[Exception] = ValueError, **how: Any) -> str:
    """The line with which ``where`` is refused, when it is opened or read."""
    with pytest.raises(error) as caught:
        list(open_data(where, **how))
    assert "\n" not in str(caught.value)
    return str(caught.value)
