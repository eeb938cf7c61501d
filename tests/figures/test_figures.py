"""What the figures show, what their files hold, and that Matplotlib's settings do not change them."""

from __future__ import annotations

from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
import torch
from command_line import ROOT, python
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from lenetshift.figures.accuracy_map import accuracy_figure, plot_accuracy
from lenetshift.figures.difference_map import difference_figure, plot_difference
from lenetshift.figures.layout import save_figure
from lenetshift.figures.moved_image import plot_answers, shift_figure
from lenetshift.shifts import ShiftGrid, signed

GRID = ShiftGrid(range(-1, 2), range(0, 2))
PREDICTIONS = torch.tensor([[4, 4, 3], [2, 4, 4]])
FRACTIONS = [[0.2, 0.97, 0.5], [0.08, 0.494, 0.994]]
CELL = (28 + 14, 28 + 8)  # height and width, in pixels of the image


def square():
    """A white square; at dx = -1 it begins at column 9."""
    image = torch.zeros(28, 28, dtype=torch.uint8)
    image[10:18, 10:18] = 255
    return image


def answers(predictions=PREDICTIONS, grid=GRID, label=4):
    """Axes with ``plot_answers`` on them."""
    axes = Figure().subplots()
    plot_answers(axes, square(), label, predictions, grid)
    return axes


def pixels_of_a_figure(folder, mode):
    save_figure(folder / "a.png", shift_figure(square(), 4, PREDICTIONS, GRID, "T", "N"))
    with Image.open(folder / "a.png") as png:
        return np.asarray(png.convert(mode))


def cells(paths):
    """The (row, column) of each image that an outline surrounds; any other outline fails."""
    found = []
    for path in paths:
        (left, top), (right, bottom) = path.vertices.min(0), path.vertices.max(0)
        row, column = int(top // CELL[0]), int(left // CELL[1])
        x, y = column * CELL[1] + 4, row * CELL[0] + 4
        assert x - 4 <= left < x
        assert y - 4 <= top < y
        assert x + 28 < right <= x + 32
        assert y + 28 < bottom <= y + 38
        found.append((row, column))
    return found


def test_signed():
    assert [signed(n) for n in (-3, 0, 2)] == ["\u22123", "0", "+2"]


def test_each_answer_stands_below_its_image_with_a_mark():
    texts = answers().texts
    assert [text.get_text() for text in texts] == ["4 ✓", "4 ✓", "3 ✗", "2 ✗", "4 ✓", "4 ✓"]
    for index, text in enumerate(texts):
        row, column = divmod(index, 3)
        x, y = text.get_position()
        assert x == column * CELL[1] + 4 + 14
        assert row * CELL[0] + 4 + 28 < y < (row + 1) * CELL[0]


def test_right_and_wrong_differ_in_frame_mark_and_colour():
    axes = answers()
    right, wrong = axes.collections
    assert cells(right.get_paths()) == [(0, 0), (0, 1), (1, 1), (1, 2)]
    assert cells(wrong.get_paths()) == [(0, 2), (1, 0)]
    (_, solid), (_, dashed) = right.get_linestyle()[0], wrong.get_linestyle()[0]
    assert solid is None
    assert len(dashed) == 2
    colours = {to_hex(c.get_edgecolor()[0]): c for c in (right, wrong)}
    assert len(colours) == 2
    for text in axes.texts:
        assert colours[text.get_color().lower()] is (right if "✓" in text.get_text() else wrong)


@pytest.mark.parametrize("answer", [4, 5])
def test_answers_all_right_or_all_wrong(answer):
    axes = answers(torch.full((2, 3), answer))
    assert [len(c.get_paths()) for c in axes.collections] == ([6, 0] if answer == 4 else [0, 6])
    axes.figure.canvas.draw()


def test_only_the_unmoved_image_has_a_second_frame():
    (patch,) = answers().patches
    outline = patch.get_path().transformed(patch.get_patch_transform())
    assert cells([outline]) == [(0, 1)]
    # It surrounds the answer, and the first frame lies inside it.
    assert outline.vertices[:, 1].max() == CELL[0]
    first = next(path for path in answers().collections[0].get_paths() if cells([path]) == [(0, 1)])
    assert (outline.vertices.min(0) < first.vertices.min(0)).all()
    assert (outline.vertices.max(0) > first.vertices.max(0)).all()


def test_a_grid_without_the_unmoved_image():
    assert not answers(grid=ShiftGrid(range(1, 4), range(0, 2))).patches


def test_shifts_are_numbered_at_their_images():
    axes = answers()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["\u22121", "0", "+1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "+1"]
    assert axes.get_xticks() == pytest.approx([18, 54, 90])
    assert axes.get_yticks() == pytest.approx([18, 60])
    assert "right" in axes.get_xlabel()
    assert "down" in axes.get_ylabel()


def test_moved_images_are_shown_pixel_for_pixel(tmp_path):
    pixels = pixels_of_a_figure(tmp_path, "L")
    for row, column in np.ndindex(2, 3):
        top, left = 10 + GRID.dy[row], 10 + GRID.dx[column]
        expected = np.zeros((28, 28), np.uint8)
        expected[top : top + 8, left : left + 8] = 255
        y, x = 114 + 126 * row, 92 + 108 * column
        shown = pixels[y : y + 84, x : x + 84]
        np.testing.assert_array_equal(shown, expected.repeat(3, 0).repeat(3, 1))


def test_grey_is_shown_as_it_is():
    axes = Figure().subplots()
    grey, grid = torch.full((28, 28), 60, dtype=torch.uint8), ShiftGrid(range(1), range(1))
    plot_answers(axes, grey, 4, torch.tensor([[4]]), grid)
    assert axes.images[0].get_clim() == (0, 255)


def test_frames_in_the_picture(tmp_path):
    colours = pixels_of_a_figure(tmp_path, "RGB").astype(int)

    def share(row, column, above, colour):
        """The share of a line above a cell's image, as long as the image, that has the colour."""
        x, y = 92 + 108 * column, 114 + 126 * row - above
        return (abs(colours[y, x : x + 84] - colour).max(-1) < 40).mean()

    for row, column in np.ndindex(2, 3):
        right, wrong = share(row, column, 3, (0, 114, 178)), share(row, column, 3, (213, 94, 0))
        if PREDICTIONS[row, column] == 4:
            assert (right, wrong) == (1, 0)
        else:  # dashed
            assert right == 0
            assert 0.4 < wrong < 0.9
        # The mark of the unmoved image runs around its frame.
        assert share(row, column, 9, (34, 34, 34)) == ((row, column) == (0, 1))


def test_shift_figure_says_what_it_shows():
    figure = shift_figure(square(), 4, PREDICTIONS, GRID, "Costs $1 or $2", "A subset.")
    title, counted, note = figure.texts
    assert (title.get_text(), title.get_parse_math()) == ("Costs $1 or $2", False)
    assert "right at 4 of 6 shifts" in counted.get_text()
    assert note.get_text() == "A subset."
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["✓ right answer", "✗ wrong answer", "unmoved image"]
    assert len(figure.axes) == 1
    assert len(shift_figure(square(), 4, PREDICTIONS, GRID, "T").texts) == 2


def test_everything_is_inside_the_page_for_small_and_large_grids():
    title = "Figure 1. Test image 4017 (label 4), answers of the position-biased LeNet-5"
    for grid in (ShiftGrid(range(1), range(1)), ShiftGrid()):
        zeros = torch.zeros(grid.shape)
        drawn = (
            shift_figure(square(), 4, zeros.long(), grid, title, "A subset."),
            accuracy_figure({"a": zeros}, grid, "A subset."),
            accuracy_figure({"a": zeros, "b": zeros, "c": zeros}, grid),
        )
        for figure in drawn:
            page, tight = figure.bbox, figure.get_tightbbox()
            inches = page.width / figure.dpi, page.height / figure.dpi
            assert tight.x0 >= 0
            assert tight.y0 >= 0
            assert tight.x1 <= inches[0]
            assert tight.y1 <= inches[1]
        shifts = drawn[0]
        assert shifts.legends[0].get_window_extent().y1 < shifts.axes[0].get_tightbbox().y0


def test_each_cell_of_an_accuracy_map_has_its_per_cent_at_its_shift():
    axes = Figure().subplots()
    colours = plot_accuracy(axes, FRACTIONS, GRID)
    assert [text.get_text() for text in axes.texts] == ["20", "97", "50", "8", "49", "99"]
    assert axes.texts[2].get_position() == (1, 0)
    assert axes.texts[3].get_position() == (-1, 1)
    # Black on the light half of the colours, white on the dark one.
    assert [text.get_color() for text in axes.texts] == [
        "white", "black", "black", "white", "white", "black"
    ]  # fmt: skip
    np.testing.assert_array_equal(colours.get_array(), FRACTIONS)
    assert colours.get_clim() == (0, 1)
    assert colours.get_extent() == [-1.5, 1.5, 1.5, -0.5]  # dy grows downward


def test_the_cells_of_a_grid_with_steps_are_centred_on_its_shifts():
    axes = Figure().subplots()
    grid = ShiftGrid(range(-4, 5, 4), range(1, 4, 2))
    colours = plot_accuracy(axes, FRACTIONS, grid)
    left, right, bottom, top = colours.get_extent()
    cell_width, cell_height = (right - left) / 3, (bottom - top) / 2
    for index, text in enumerate(axes.texts):
        row, column = divmod(index, 3)
        centre = (left + (column + 0.5) * cell_width, top + (row + 0.5) * cell_height)
        assert text.get_position() == pytest.approx(centre)
        assert text.get_position() == (grid.dx[column], grid.dy[row])


def test_accuracy_figure_has_a_panel_for_each_model_and_one_scale():
    names = ["one", "two", r"$\no such formula$"]
    figure = accuracy_figure(dict.fromkeys(names, FRACTIONS), GRID)
    *panels, scale = figure.axes
    assert [panel.get_title(loc="left") for panel in panels] == names
    assert [bool(panel.get_xlabel()) for panel in panels] == [False, True, True]
    assert [bool(panel.get_ylabel()) for panel in panels] == [True, False, True]
    assert scale.get_ylim() == (0, 1)
    figure.draw_without_rendering()
    labels = [label.get_text() for label in scale.get_yticklabels()]
    assert labels == ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 11), (9, 30)])
def test_a_single_panel_is_as_wide_as_its_page(shape):
    grid = ShiftGrid(range(shape[1]), range(shape[0]))
    figure = accuracy_figure({"one": np.zeros(shape)}, grid)
    panel, scale = figure.axes
    assert panel.get_position().x1 < scale.get_position().x0
    if shape[1] > 5:  # one of a few cells is not drawn larger than its heading
        assert panel.get_position().width > 0.75


DIFFERENCES = [[0.05, -0.2, 0.0004], [-0.0004, 0.199, -0.15]]


def test_each_cell_of_a_difference_has_its_points_and_0_is_white():
    axes = Figure().subplots()
    colours = plot_difference(axes, DIFFERENCES, GRID)
    texts = ["+5.0", "\N{MINUS SIGN}20.0", "0", "0", "+19.9", "\N{MINUS SIGN}15.0"]
    assert [text.get_text() for text in axes.texts] == texts
    assert axes.texts[2].get_position() == (1, 0)
    # White on the dark ends of the colours.
    assert [text.get_color() for text in axes.texts] == [
        "black", "white", "black", "black", "white", "white"
    ]  # fmt: skip
    assert colours.get_clim() == (-0.2, 0.2)
    assert colours.get_extent() == [-1.5, 1.5, 1.5, -0.5]
    red, green, blue = (colours.cmap(colours.norm(x))[:3] for x in (-0.2, 0.0, 0.2))
    assert min(green) > 0.95
    assert red[0] > 2 * red[2]
    assert blue[2] > 2 * blue[0]


def test_no_difference_has_no_colour():
    colours = plot_difference(Figure().subplots(), np.zeros((2, 3)), GRID)
    assert colours.get_clim() == (-0.01, 0.01)
    assert min(colours.cmap(colours.norm(0.0))[:3]) > 0.95


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 11), (9, 30)])
@pytest.mark.parametrize("most", [0.002, 0.062, 1.0])
def test_a_difference_figure_fits_its_page(shape, most):
    grid = ShiftGrid(range(shape[1]), range(shape[0]))
    values = np.full(shape, -most)
    figure = difference_figure("b minus a", values, grid, "A subset.")
    page, tight = figure.bbox, figure.get_tightbbox()
    assert tight.x0 >= 0
    assert tight.y0 >= 0
    assert tight.x1 <= page.width / figure.dpi
    assert tight.y1 <= page.height / figure.dpi
    panel, scale = figure.axes
    assert panel.get_title(loc="left") == "b minus a"
    assert panel.get_position().x1 < scale.get_position().x0
    figure.draw_without_rendering()
    shown = [label.get_text() for label in scale.get_yticklabels()]
    assert "0" in shown
    for label, at in zip(shown, scale.get_yticks(), strict=True):
        assert float(label.replace("\N{MINUS SIGN}", "-")) == pytest.approx(100 * at)
    with pytest.raises(ValueError, match=r"^differences: got shape \[1, 7\], expected \["):
        difference_figure("", np.zeros((1, 7)), grid)


def test_files_hold_what_the_figure_says(tmp_path):
    save_figure(tmp_path / "m.png", accuracy_figure({"a": FRACTIONS}, GRID, "A subset."))
    with Image.open(tmp_path / "m.png") as png:
        assert png.text["Title"] == "Accuracy at every shift"
        assert png.text["Description"].endswith("by (dx, dy). A subset.")
        assert png.text["Software"] == "lenetshift"
    figure = shift_figure(square(), 4, PREDICTIONS, GRID, "T", "N")
    first, second = tmp_path / "1.svg", tmp_path / "2.svg"
    save_figure(first, figure)
    save_figure(second, shift_figure(square(), 4, PREDICTIONS, GRID, "T", "N"))
    assert first.read_bytes() == second.read_bytes()  # no random names
    assert b"dc:date" not in first.read_bytes()
    namespace = "{http://purl.org/dc/elements/1.1/}"
    described = ElementTree.parse(first).iter(namespace + "description")
    assert [e.text for e in described] == ["true label 4; the answer is right at 4 of 6 shifts. N."]


def test_bad_input(tmp_path):
    path, image, zeros = tmp_path / "a.png", square(), torch.zeros(2, 3, dtype=torch.uint8)
    for changed, message in (
        ({"image": image[None]}, r"image: got shape \[1, 28, 28\], expected \[\*, \*\]"),
        ({"image": image.float()}, "image: got float32, expected uint8"),
        ({"image": [[0]]}, "image: got list, expected a Tensor"),
        ({"predictions": zeros.T}, r"predictions: got shape \[3, 2\], expected \[2, 3\]"),
        ({"predictions": zeros.float()}, "predictions: got float32, expected uint8 or int64"),
        (
            {"path": path.with_suffix(".jpg")},
            "path: got '.*a.jpg', expected the suffix .png or .svg",
        ),
    ):
        given = {"path": path, "image": image, "predictions": zeros, **changed}
        with pytest.raises(ValueError, match=f"^{message}$"):
            save_figure(given.pop("path"), shift_figure(**given, label=1, grid=GRID, title=""))
    with pytest.raises(ValueError, match=r"^maps\['b'\]: got shape \[1, 3\], expected \[2, 3\]$"):
        save_figure(path, accuracy_figure({"a": zeros, "b": zeros[:1]}, GRID))
    with pytest.raises(ValueError, match=r"^maps: got none"):
        save_figure(path, accuracy_figure({}, GRID))
    assert not list(tmp_path.iterdir())


# Draws everything that the package and its benchmarks draw, into the folder that it is given, after the
# other code that could use Matplotlib.
DRAW = f"""
import json, sys
from pathlib import Path
import torch
sys.path.append({str(ROOT / "benchmarks")!r})
import scaling
from lenetshift import ShiftGrid
from lenetshift.storage.environment import environment
from lenetshift.figures.accuracy_map import accuracy_figure
from lenetshift.figures.layout import save_figure
from lenetshift.figures.moved_image import shift_figure

assert "matplotlib" not in sys.modules
environment(torch.device("cpu"))

out = Path(sys.argv[1])
image, grid = torch.arange(784).remainder(251).byte().reshape(28, 28), ShiftGrid(range(-1, 2), range(2))
save_figure(out / "shifts.png", shift_figure(image, 4, torch.arange(6).reshape(2, 3), grid, "Title", "note"))
save_figure(out / "maps.png", accuracy_figure({{"a": torch.arange(6).reshape(2, 3) / 5}}, grid))
rows = [{{"model": m, "n_shifts": n, "n_images": n, "seconds": n / 7}}
        for m in scaling.MODELS for n in (1, 30, 900)]
scaling.draw({{"shifts": rows, "images": rows}}, out / "scaling.png")
"""

RC = """
text.usetex: True
font.family: No Such Font
font.size: 31
text.color: red
path.sketch: 1, 100, 2
image.origin: lower
image.cmap: jet
savefig.bbox: tight
savefig.dpi: 33
savefig.transparent: True
figure.autolayout: True
axes.titlesize: 40
"""


@pytest.fixture(scope="module")
def drawn_plainly(tmp_path_factory):
    """What DRAW draws without any settings, by file name."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "matplotlibrc").write_text("")
    settings = {"MATPLOTLIBRC": str(folder / "matplotlibrc"), "MPLBACKEND": ""}
    done = python("-c", DRAW, folder, env=settings)
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.mark.parametrize(
    ("rc", "backend"),
    [
        (RC, ""),
        ("backend: no_such_backend", "module://matplotlib_inline.backend_inline"),  # a notebook's
    ],
)
def test_a_users_settings_change_nothing(tmp_path, drawn_plainly, rc, backend):
    settings = tmp_path / "matplotlibrc"
    settings.write_text(rc)
    env = {"MATPLOTLIBRC": str(settings), "MPLBACKEND": backend}
    done = python("-c", DRAW, tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.png")} == drawn_plainly


def test_the_settings_of_the_calling_code_change_nothing_and_stay(tmp_path):
    def draw(path):
        save_figure(path, accuracy_figure({"a": FRACTIONS}, GRID))
        return path.read_bytes()

    def settings():  # to ask for the backend would choose one
        return {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}

    plain = draw(tmp_path / "plain.svg")
    with matplotlib.rc_context({"font.size": 31, "text.usetex": True, "svg.fonttype": "none"}):
        before = settings()
        assert draw(tmp_path / "set.svg") == plain
        assert settings() == before


def test_plotting_on_own_axes_takes_their_settings():
    with matplotlib.rc_context({"font.size": 31}):
        axes = Figure().subplots()
        plot_accuracy(axes, FRACTIONS, GRID)
        assert axes.texts[0].get_fontsize() == 31


@pytest.mark.parametrize("backend", ["svg", "no_such_backend"])
def test_mplbackend_is_left_to_the_calling_code(backend):
    code = """
import os
from lenetshift.figures.matplotlib_settings import figure_settings
with figure_settings():
    pass
import matplotlib
print(os.environ["MPLBACKEND"], dict.__getitem__(matplotlib.rcParams, "backend"))
"""
    done = python("-c", code, env={"MPLBACKEND": backend})
    assert done.returncode == 0, done.stderr
    mine, kept = done.stdout.split(maxsplit=1)
    assert mine == backend
    assert (kept.strip() == backend) == (backend == "svg")


def test_scaling_has_a_curve_for_each_model(script, monkeypatch, tmp_path):
    scaling = script("benchmarks/scaling.py")
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    rows = [
        {"model": name, "n_shifts": n, "n_images": n, "seconds": n / 7}
        for name in scaling.MODELS
        for n in (1, 30)
    ]
    scaling.draw({"shifts": rows, "images": rows}, tmp_path / "scaling.png")
    for axes in drawn[0].axes:
        assert {line.get_label() for line in axes.lines} == {
            *scaling.NAMES.values(), "proportional"
        }  # fmt: skip
    assert not drawn[0].axes[0].get_legend()  # it lies outside of the curves
    assert drawn[0].legends
