"""``benchmarks/blank.py``, whose numbers csrc/cuda/README.md has."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lenetshift import load_mnist

README = Path(__file__).parents[2] / "csrc" / "cuda" / "README.md"


@pytest.fixture
def blank(script) -> ModuleType:
    return script("benchmarks/blank.py")


def test_windows_and_cells_by_hand(blank: ModuleType) -> None:
    ink = np.zeros((2, 28, 28), bool)
    # In the second cell of the second row, and in one window at each shift that keeps it in the frame.
    ink[0, 3, 3] = True
    assert np.flatnonzero(blank.inked_cells(ink)[0]).tolist() == [11]
    read = blank.inked_windows(ink)
    assert read.shape == (2, 55, 49)
    columns, rows = np.arange(-5, 6) + 3, np.arange(-2, 3) + 3
    expected = [[x // 4 + 7 * (y // 4)] if x >= 0 else [] for y in rows for x in columns]
    assert [np.flatnonzero(windows).tolist() for windows in read[0]] == expected
    assert blank.groups(read, 2).tolist() == [read[0].tolist()]


def test_the_numbers_of_the_readme(blank: ModuleType) -> None:
    ink = load_mnist()[1].images.numpy() > 0
    orders = (np.arange(len(ink)), blank.order(ink, 3), blank.order(ink, 1))
    windows, cells, text = blank.inked_windows(ink), blank.inked_cells(ink), README.read_text()
    for size in (8, 32, 128):
        counts = [blank.groups(windows[places], size).sum(-1).mean() for places in orders]
        row = " | ".join(f"{count:.1f}" for count in counts)
        assert f"{size} images" in text
        assert row in text.replace("*", ""), row
    alone, unsorted, ordered = (
        blank.groups(cells[places], size).sum(-1).mean()
        for places, size in ((orders[0], 1), (orders[0], 32), (orders[1], 32))
    )
    sentence = f"ink in {unsorted:.0f} of the 100 cells of 3 x 3 pixels, sorted in {ordered:.0f}, "
    assert sentence + f"and each alone in {alone:.0f}" in " ".join(text.split())
