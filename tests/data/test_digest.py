"""The fingerprint of images."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import Tensor

from lenetshift.checks.images import IMAGE_DTYPES
from lenetshift.data.digest import ImagesDigest


def digest(*batches: Tensor) -> str:
    found = ImagesDigest()
    for images in batches:
        found.add(images)
    return found.hexdigest()


@pytest.mark.parametrize("dtype", IMAGE_DTYPES)
def test_is_that_of_the_pixels_in_order(dtype: torch.dtype) -> None:
    images = (255 * torch.rand(5, 3, 4, 2)).to(dtype)
    name = str(dtype).removeprefix("torch.")
    pixels = images.view(torch.uint8).numpy().tobytes()
    expected = hashlib.sha256(f"{name} [3, 4, 2]\n".encode() + pixels).hexdigest()
    assert digest(images) == expected
    assert digest(images[:1], images[1:]) == expected
    assert digest(images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)) == expected
    assert digest(images.flip(0)) != expected


def test_sees_dtypes_and_sizes() -> None:
    images = torch.zeros(4, 6, 8, dtype=torch.uint8)
    others = [images.view(4, 8, 6), images.view(2, 12, 8), images.view(4, 2, 3, 8), images.float()]
    digests = [digest(images), *map(digest, others), digest(images[:3])]
    assert len(set(digests)) == len(digests)
    assert digest(images[:, None]) == digest(images)  # one channel, whichever way it is written
