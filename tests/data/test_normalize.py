"""Normalization, channel by channel."""

from __future__ import annotations

import pytest
import torch

from lenetshift import Normalize


def test_each_channel_has_its_numbers() -> None:
    images = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    got = Normalize((0.1, 0.2, 0.3), (1, 2, 4))(images)
    expected = [(images[:, 0] - 0.1), (images[:, 1] - 0.2) / 2, (images[:, 2] - 0.3) / 4]
    torch.testing.assert_close(got, torch.stack(expected, 1))
    torch.testing.assert_close(Normalize(0.1, 2)(images), (images - 0.1) / 2)


@pytest.mark.parametrize(
    ("numbers", "n_channels", "complaint"),
    [
        (
            ([0.1] * 3, [1] * 3),
            1,
            "mean: got 3 numbers, expected one, or 1 for the images' channels",
        ),
        (
            ([0.1] * 2, [1] * 2),
            3,
            "mean: got 2 numbers, expected one, or 3 for the images' channels",
        ),
        ((0.1, [1] * 3), 1, "std: got 3 numbers, expected one, or 1 for the images' channels"),
    ],
)
def test_numbers_for_other_channels_are_refused(numbers, n_channels, complaint) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        Normalize(*numbers)(torch.zeros(1, n_channels, 4, 4))
