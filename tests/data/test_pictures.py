"""Pictures of every kind become grey or RGB with 8 bits for each channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from image_files import pixels
from PIL import Image

from lenetshift.data.pictures import as_picture

GREY, RGB = pixels(1, 4, 5)[0], pixels(1, 4, 5, 3)[0]
ALPHA = pixels(1, 4, 5, seed=2)[0]


def read(value: Any) -> np.ndarray:
    picture = as_picture(value)
    assert picture.mode in ("L", "RGB")
    return np.asarray(picture)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Image.fromarray(GREY), GREY),
        (Image.fromarray(RGB), RGB),
        (Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)]), GREY),
        (Image.fromarray(np.dstack([RGB, ALPHA])), RGB),
        (Image.fromarray(GREY > 99), (GREY > 99) * np.uint8(255)),
        (Image.fromarray(GREY.astype(np.uint16) * 257), GREY),
        (Image.fromarray(GREY.astype(np.int32) * 257), GREY),
        (Image.fromarray(GREY.astype(np.uint16) * 257 + 100), GREY),  # rounded
        (Image.merge("CMYK", [*Image.fromarray(255 - RGB).split(), Image.new("L", (5, 4))]), RGB),
        (RGB, RGB),
        (GREY, GREY),
        (GREY[:, :, None], GREY),
        (np.dstack([RGB, ALPHA]), RGB),
        (RGB.transpose(2, 0, 1), RGB),  # channels first, which only this order can mean
        (RGB / 255, RGB),
        (torch.from_numpy(RGB).permute(2, 0, 1), RGB),
        (torch.from_numpy(RGB).permute(2, 0, 1) / 255, RGB),
        (torch.from_numpy(GREY)[None] / 255, GREY),
        (torch.from_numpy(GREY), GREY),
    ],
)
def test_kinds_of_images(value: Any, expected: np.ndarray) -> None:
    assert np.array_equal(read(value), expected)


def test_a_tensor_has_its_channels_first() -> None:
    value = torch.zeros(3, 4, 3, dtype=torch.uint8)
    value[0] = 255
    assert (read(value) == [255, 0, 0]).all()
    assert read(value.numpy()).shape == (3, 4, 3)
    assert (read(value.numpy())[0] == 255).all()


@pytest.mark.parametrize("transparency", [None, 3, bytes([9, 200, 0, 255])])
def test_palettes(transparency: Any, recwarn: pytest.WarningsRecorder) -> None:
    image = Image.fromarray(GREY % 4).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 250, 251, 252])
    if transparency is not None:
        image.info["transparency"] = transparency
    palette = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [250, 251, 252]])
    colours = np.unique(read(image).reshape(-1, 3), axis=0)
    assert {tuple(row) for row in colours} <= {tuple(row) for row in palette}
    assert not recwarn.list


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Image.fromarray(GREY.astype(np.float32)), "got floating pixels (mode F), expected whole"),
        (Image.fromarray(GREY.astype(np.int32) - 99), "got pixels in -"),
        (RGB.astype(np.int64), "got int64 [4, 5, 3], expected a Pillow image, an array uint8 [H"),
        (pixels(1, 6, 5, 2)[0], "got uint8 [6, 5, 2], expected a Pillow image"),
        (pixels(2, 2, 4, 3), "got uint8 [2, 2, 4, 3], expected a Pillow image"),
        (np.zeros((0, 4), np.uint8), "got uint8 [0, 4], expected a Pillow image"),
        (torch.full((3, 4, 5), -0.5), "got floating pixels from -0.5 to -0.5, expected 0..1: the"),
        (torch.full((3, 4, 5), 1.5), "got floating pixels from 1.5 to 1.5, expected 0..1"),
        (torch.full((3, 4, 5), torch.nan), "got floating pixels from nan to nan, expected 0..1"),
        ("a.png", "got str, expected a Pillow image"),
    ],
)
def test_other_values_are_refused(value: Any, said: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        as_picture(value)
    assert str(caught.value).startswith(said)
