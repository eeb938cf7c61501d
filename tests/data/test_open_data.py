"""Images as an evaluation reads them: batch by batch, or at once if they are in memory."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from image_files import message, pixels, write_images
from torch import Tensor, nn

from lenetshift.checks.errors import ArgumentError
from lenetshift.data.sources import labelled_images
from lenetshift.data.sources.opening import FORMATS, open_data
from lenetshift.metrics.evaluate_shifts import evaluate_shifts
from lenetshift.shifts import ShiftGrid


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled_images, "_BATCH_BYTES", 4 * 3 * 8 * 8)


@pytest.mark.usefixtures("small_batches")
def test_batches_have_every_image_once_in_order(tmp_path: Path) -> None:
    images = pixels(11, 8, 8, 3)
    write_images(tmp_path, images, ("a",))
    data = open_data(tmp_path)
    for _ in range(2):  # each pass reads them again
        batches = list(data)
        assert [len(labels) for _, labels in batches] == [4, 4, 3]
        assert len(data) == 3
        read = torch.cat([images for images, _ in batches])
        assert torch.equal(read, torch.from_numpy(images).permute(0, 3, 1, 2))


@pytest.mark.usefixtures("small_batches")
def test_an_evaluation_of_batches_is_that_of_all_images(tmp_path: Path) -> None:
    images = pixels(11, 8, 8, 3)
    write_images(tmp_path, images, ("a",))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 5))
    grid = ShiftGrid(range(-1, 2), range(-1, 2))
    lazy = evaluate_shifts(model, open_data(tmp_path), grid=grid)
    tensors = torch.from_numpy(images).permute(0, 3, 1, 2)
    eager = evaluate_shifts(model, tensors, torch.zeros(11, dtype=torch.int64), grid)
    assert lazy.images is None
    ours, theirs = lazy.to_dict(), eager.to_dict()
    for name in set(ours) - {"seconds"}:
        assert ours[name] == theirs[name], name


class Generated:
    """Images that are made when they are asked for, and known while they live."""

    def __init__(self, n: int) -> None:
        self.n, self.alive, self.most = n, weakref.WeakSet[Any](), 0

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        image = torch.full((3, 8, 8), i % 256, dtype=torch.uint8)
        self.alive.add(image)
        self.most = max(self.most, len(self.alive))
        return image, i % 2


@pytest.mark.usefixtures("small_batches")
def test_an_evaluation_keeps_no_images() -> None:
    """As many images live at a time, however many there are; and as many batches."""
    most = {}
    for n in (8, 24):
        items, batches, living = Generated(n), weakref.WeakSet[Any](), 0
        data = open_data(items)

        class Watched:
            def __iter__(self) -> Any:
                nonlocal living
                for images, labels in data:  # noqa: B023
                    batches.add(images)  # noqa: B023
                    living = max(living, len(batches))  # noqa: B023
                    yield images, labels
                    del images

        evaluate_shifts(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), Watched(), method="plain")
        most[n] = (items.most, living)
    assert most[8] == most[24]
    assert most[24][0] <= 2
    assert most[24][1] <= 2


def test_memory_does_not_grow_with_the_number_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """What NumPy and Python hold, besides the batches themselves, which the test above counts."""
    import tracemalloc

    class Zeros(Generated):
        def __getitem__(self, i: int) -> tuple[Any, int]:
            return np.zeros((100, 100, 3), np.uint8), 0

    monkeypatch.setattr(labelled_images, "_BATCH_BYTES", 1 << 20)
    grid, model = ShiftGrid(range(1), range(1)), nn.Sequential(nn.AvgPool2d(100), nn.Flatten())
    peaks = []
    for n in (34, 68, 204):  # the first imports what is missing
        data = open_data(Zeros(n))
        assert len(data) == n / 34
        gc.collect()
        tracemalloc.start()
        evaluate_shifts(model, data, grid=grid, method="plain", progress=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    _, few, many = peaks
    assert few > 1 << 20  # a batch, at least
    assert many < 1.05 * few


def test_large_arrays_go_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", images=pixels(5, 8, 8, 3), labels=np.arange(5))
    assert open_data(tmp_path / "a.npz").whole is not None
    for how in ({"resize": 7}, {"channels": "grey"}, {"resize": (8, 9)}):
        assert open_data(tmp_path / "a.npz", **how).whole is None
    assert open_data(tmp_path / "a.npz", resize=8, channels="rgb").whole is not None
    monkeypatch.setattr(labelled_images, "_WHOLE_BYTES", 959)
    data = open_data(tmp_path / "a.npz")
    assert data.whole is None
    ((images, labels),) = data
    assert torch.equal(images, torch.from_numpy(pixels(5, 8, 8, 3)).permute(0, 3, 1, 2))
    assert labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"resize": 0}, "resize: got 0, expected one or two ints of 1 or more, in pixels"),
        ({"resize": (3, 4, 5)}, "resize: got (3, 4, 5), expected one or two ints"),
        ({"resize": (3, 1.5)}, "resize: got (3, 1.5), expected one or two ints"),
        ({"resize": 1 << 40}, "resize: got 1099511627776, expected one or two ints"),
        ({"channels": "gray"}, "channels: got 'gray', expected 'grey' or 'rgb'"),
        ({"classes": "abc"}, "classes: got 'abc', expected a list of names"),
        ({"classes": []}, "classes: got no names, expected each class once"),
        ({"n_images": 0}, "n_images: got 0, expected 1..5"),
        ({"n_images": 6}, "n_images: got 6, expected 1..5"),
        ({"crop": (2, 2)}, "grid: got NoneType, expected a ShiftGrid"),
        ({"grid": 3}, "grid: got int, expected a ShiftGrid"),
    ],
)
def test_bad_arguments(how: dict[str, Any], said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=pixels(5, 8, 8, 3), labels=np.arange(5))
    assert message(tmp_path / "a.npz", ArgumentError, **how).startswith(said)


def test_nothing_and_unknown_formats(tmp_path: Path) -> None:
    assert message(tmp_path / "gone") == f"{tmp_path}/gone: no such file or folder"
    (tmp_path / "a.csv").write_text("a,b\n")
    line = message(tmp_path / "a.csv")
    assert line.startswith(f"{tmp_path}/a.csv: got a file of another format, expected IDX files, ")
    for format in FORMATS:
        assert format.name in line
    assert message("/dev/null") == "/dev/null: got a device, expected a file or a folder"
    assert "got a folder of another format" in message(tmp_path)
    assert message("~nobody-of-that-name/a").startswith("~nobody-of-that-name/a: ")
