"""Correlations of pixels: by hand, against NumPy, and near what MNIST is known to have."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lenetshift.checks.errors import ArgumentError
from lenetshift.data.load import load_mnist
from lenetshift.study.facts import pixel_correlation as module
from lenetshift.study.facts.pixel_correlation import DISTANCES, pixel_correlation


def noise(n: int, seed: int = 0) -> Tensor:
    drawn = np.random.default_rng(seed).integers(256, size=(n, 28, 28), dtype=np.uint8)
    return torch.from_numpy(drawn)


def by_numpy(images: Tensor) -> dict[int, float]:
    pixels = images.numpy().reshape(len(images), -1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        all_pairs = np.corrcoef(pixels, rowvar=False).reshape(28, 28, 28, 28)
    found = {}
    for d in DISTANCES:
        values = [all_pairs[r, c, r, c + d] for r in range(28) for c in range(28 - d)]
        values += [all_pairs[r, c, r + d, c] for r in range(28 - d) for c in range(28)]
        found[d] = round(float(np.nanmean(values)), 4)
    return found


def test_columns_that_alternate() -> None:
    """Pixels of one column are equal, those of the next are their negative."""
    images = torch.zeros(2, 28, 28, dtype=torch.uint8)
    images[0, :, ::2] = 200
    images[1, :, 1::2] = 100
    expected = {d: 0.0 if d % 2 else 1.0 for d in DISTANCES}  # the mean of -1 and 1, of 1 and 1
    assert pixel_correlation(images) == expected


def test_pixels_that_do_not_vary_do_not_count() -> None:
    images = torch.full((2, 28, 28), 7, dtype=torch.uint8)
    images[0, 3, ::2] = 200
    images[1, 3, 1::2] = 100  # one row is left, and no two pixels of a column
    assert pixel_correlation(images) == {d: -1.0 if d % 2 else 1.0 for d in DISTANCES}


def test_against_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 4)
    images = noise(11)
    images[:, 5:, 9] = 31
    images[:, :, 12] = images[:, :, 10] // 2  # rows and columns differ
    expected = by_numpy(images)
    assert pixel_correlation(images) == pytest.approx(expected, abs=1.01e-4)
    assert expected != by_numpy(images[:10])


def test_mnist() -> None:
    _, test = load_mnist()
    found = pixel_correlation(test.images[:2000])
    assert found == by_numpy(test.images[:2000])
    assert found[1] == pytest.approx(0.70, abs=0.01)
    assert found[10] == pytest.approx(0.01, abs=0.01)
    assert list(found) == list(range(1, 15))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (noise(2).float(), "images: got float32, expected uint8"),
        (noise(2)[:, :27], "images: got shape [2, 27, 28], expected [*, 28, 28]"),
        (noise(1), "images: got 1 of them, expected 2 or more"),
        (
            torch.zeros(3, 28, 28, dtype=torch.uint8),
            "images: got no two pixels that vary and are 1 apart, expected one pair or more",
        ),
    ],
)
def test_other_images(images: Tensor, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        pixel_correlation(images)
    assert str(caught.value) == message
