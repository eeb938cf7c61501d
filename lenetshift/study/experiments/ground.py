"""What decides a run's outcome besides its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ...data.dataset import Dataset, dataset_sha256
from ...ops import isa
from ...version import __version__


def data_sha256(train_set: Dataset, test_set: Dataset) -> dict[str, str]:
    """The SHA-256 of each part of a data set, as ``train_images``."""
    parts = (("train", train_set), ("test", test_set))
    return {
        f"{part}_{kind}": digest
        for part, dataset in parts
        for kind, digest in dataset_sha256(dataset).items()
    }


def ground(sha256: Mapping[str, str]) -> dict[str, Any]:
    """What decides a run's outcome besides its settings: versions, instruction set, and the data, by the
    beginnings of their SHA-256."""
    return {
        "lenetshift": __version__,
        "torch": str(torch.__version__),
        "isa": isa(),
        "data": " ".join(digest[:12] for digest in sha256.values()),
    }
