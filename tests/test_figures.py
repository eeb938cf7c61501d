import numpy as np
import pytest
import torch
from PIL import Image

from lenetshift.report import figures
from lenetshift.shifts import ShiftGrid

GRID = ShiftGrid(range(-1, 2), range(0, 2))
PREDICTIONS = [[4, 4, 3], [2, 4, 4]]


def test_signed():
    assert [figures.signed(n) for n in (-3, 0, 2)] == ["\u22123", "0", "+2"]


def test_shift_figure(tmp_path):
    image = torch.zeros(28, 28, dtype=torch.uint8)
    image[10:18, 10:18] = 255
    path = tmp_path / "a.png"
    figures.draw_shift_figure(path, image, 4, torch.tensor(PREDICTIONS), GRID, "T", "N")
    with Image.open(path) as png:
        assert png.size == (92 + 3 * 108 + 12, 114 + 2 * 126 + 92)
        assert png.text["Title"] == "T"
        assert "N" in png.text["Description"]
        # The image's own pixels: black ground, and at dx = -1 the square begins one pixel earlier.
        pixels = png.convert("L")
        assert pixels.getpixel((92 + 3 * 8 + 1, 114 + 3 * 12)) == 0
        assert pixels.getpixel((92 + 3 * 9 + 1, 114 + 3 * 12)) == 255
        colours = np.asarray(png.convert("RGB")).astype(int)

    def share(row, column, above, colour):
        """Of a line above a cell's image, as long as that, how much has the colour."""
        x, y = 92 + 108 * column, 114 + 126 * row - above
        return (abs(colours[y, x : x + 84] - colour).max(-1) < 40).mean()

    for row, column in np.ndindex(2, 3):
        right, wrong = share(row, column, 3, (0, 114, 178)), share(row, column, 3, (213, 94, 0))
        if PREDICTIONS[row][column] == 4:
            assert (right, wrong) == (1, 0)
        else:  # dashed
            assert right == 0
            assert 0.4 < wrong < 0.9
        # The mark of the unmoved image runs around its frame.
        assert share(row, column, 9, (34, 34, 34)) == ((row, column) == (0, 1))


def test_accuracy_maps(tmp_path):
    figures.draw_accuracy_maps(tmp_path / "m.png", {"a": torch.rand(2, 3)}, GRID, "subset")
    with Image.open(tmp_path / "m.png") as png:
        assert "subset" in png.text["Description"]


def test_wrong_shapes(tmp_path):
    with pytest.raises(ValueError, match="predictions: got shape"):
        figures.draw_shift_figure(
            tmp_path / "a", torch.zeros(28, 28), 1, torch.zeros(3, 2), GRID, ""
        )
    with pytest.raises(ValueError, match="maps: got none"):
        figures.draw_accuracy_maps(tmp_path / "a", {}, GRID)
    assert not list(tmp_path.iterdir())
