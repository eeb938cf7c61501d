"""The figures: one image under every shift with the model's answers, and accuracy per shift.

Both functions draw from finished predictions and never run a model. Right and wrong differ in
line style, in mark and in colour (Okabe and Ito's blue and vermilion), so that any one of the
three is enough. Layout is in screen pixels, x to the right and y down from the top left corner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..dossier.files import write_atomically
from ..reference import translate
from ..shifts import ShiftGrid

if TYPE_CHECKING:
    from matplotlib.backend_bases import RendererBase

_DPI = 100
_RIGHT, _WRONG, _INK = "#0072B2", "#D55E00", "#222222"
_SOLID, _DASHED = "solid", (0, (3, 1.5))
_MIDDLE = {"ha": "center", "va": "center"}

# Shift figures: each image pixel is a square of _SCALE screen pixels, so no digit is resampled.
_SCALE = 3
_CELL_GAP = 24
_CELL_FOOT = 42  # below each image: its answer, then the gap to the next row

# Accuracy maps: a cell's size, and what lies around the cells of a panel.
_CELL_WIDTH, _CELL_HEIGHT = 50, 46
_PANEL_LEFT, _PANEL_RIGHT, _PANEL_TOP, _PANEL_BOTTOM = 76, 14, 48, 34


def signed(value: int) -> str:
    """A shift as the figures write it: with a sign unless 0, the minus a true one (U+2212)."""
    return f"{value:+d}".replace("-", "\N{MINUS SIGN}") if value else "0"


class _Sheet:
    """A white page measured in screen pixels, on Matplotlib's Agg canvas.

    There are no axes: their ticks and image resampling cost far more than the drawing itself.
    """

    def __init__(self, width: int, height: int) -> None:
        # Imported here: a command that fails early should not wait for Matplotlib.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.transforms import Affine2D

        size = (width / _DPI, height / _DPI)
        self.figure = Figure(figsize=size, dpi=_DPI, facecolor="white")
        self.canvas = FigureCanvasAgg(self.figure)
        self.width, self.height = width, height
        self._metadata: dict[str, str] = {}
        self._pixels = Affine2D().scale(1, -1).translate(0, height)

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        style = {"color": _INK, "size": 11, **style}
        self.figure.text(x, y, text, transform=self._pixels, **style)

    def lines(self, paths: Sequence[Any], *, width: float, **style: Any) -> None:
        """Draw polylines, each [n_points, 2]; ``width`` in points."""
        from matplotlib.collections import LineCollection

        style = {"transform": self._pixels, "linewidths": width, "snap": False, **style}
        self.figure.add_artist(LineCollection(paths, **style))

    def picture(self, x: int, y: int, rgba: NDArray[np.uint8]) -> None:
        """Put uint8 [H, W, 4] on the page as it is, pixel for pixel, below lines and text."""
        from matplotlib.artist import Artist

        bottom = self.height - y - rgba.shape[0]

        class Picture(Artist):
            def draw(self, renderer: RendererBase) -> None:
                renderer.draw_image(renderer.new_gc(), x, bottom, rgba[::-1])

        self.figure.add_artist(Picture())

    def heading(self, x: float, title: str, subtitle: str, note: str) -> None:
        """Title, second line and, where there is one, a note: in the picture and in its metadata.

        They fill 70 pixels from the top, 92 with a note.
        """
        self.text(x, 16, title, size=14, weight="bold", va="top")
        self.text(x, 44, subtitle, va="top")
        self.text(x, 66, note, style="italic", weight="bold", color=_WRONG, va="top")
        self._metadata = {"Title": title, "Description": f"{subtitle}. {note}".rstrip(". ") + "."}

    def save(self, path: Path) -> None:
        """Write the PNG atomically."""
        metadata = {**self._metadata, "Software": "lenetshift"}
        # Level 3 halves the time to write and adds a tenth to the size.
        options = {"metadata": metadata, "pil_kwargs": {"compress_level": 3}}
        write_atomically(path, lambda file: self.canvas.print_png(file, **options))


def draw_shift_figure(
    path: Path,
    image: Tensor,
    label: int,
    predictions: Tensor,
    grid: ShiftGrid,
    title: str,
    note: str = "",
) -> None:
    """Draw one image under every shift, each with the model's answer (the report's figures 1-4).

    Args:
        path: the PNG file, written atomically.
        image: uint8 [H, W], unmoved.
        label: the true answer.
        predictions: integer [n_dy, n_dx], the model's answer under each shift.
        grid: the shifts, in pixels; dx > 0 is right, dy > 0 is down.
        title: the first line; the second says how many answers are right.
        note: a line below the title, such as that the data are a subset; empty for none.

    Raises:
        ValueError: ``image`` or ``predictions`` has another shape than stated.
    """
    if image.ndim != 2:
        raise ValueError(f"image: got shape {list(image.shape)}, expected [H, W]")
    _check_map("predictions", predictions, grid)
    width, height = image.shape[1] * _SCALE, image.shape[0] * _SCALE
    pitch_x, pitch_y = width + _CELL_GAP, height + _CELL_FOOT
    left, top = 92, 114 if note else 92
    right, bottom = left + grid.n_dx * pitch_x, top + grid.n_dy * pitch_y
    sheet = _Sheet(right + 12, bottom + 92)

    answers = predictions.tolist()
    n_right = sum(answer == label for row in answers for answer in row)
    counted = f"true label {label}; the answer is right at {n_right} of {len(grid)} shifts"
    sheet.heading(left, title, counted, note)

    sheet.picture(left, top, _moved_images(image, grid))
    frames: dict[bool, list[NDArray[np.float64]]] = {True: [], False: []}
    for row in range(grid.n_dy):
        for column in range(grid.n_dx):
            x, y = left + column * pitch_x, top + row * pitch_y
            good = answers[row][column] == label
            frames[good].append(_box(x - 2.5, y - 2.5, width + 5, height + 5))
            mark = "\N{CHECK MARK}" if good else "\N{BALLOT X}"
            sheet.text(
                x + width / 2,
                y + height + 16,
                f"{answers[row][column]} {mark}",
                color=_RIGHT if good else _WRONG,
                size=12,
                weight="bold",
                **_MIDDLE,
            )
    sheet.lines(frames[True], width=2.2, colors=_RIGHT, linestyles=[_SOLID])
    sheet.lines(frames[False], width=2.2, colors=_WRONG, linestyles=[_DASHED])
    if grid.has_centre:
        row, column = grid.index(0, 0)
        x, y = left + column * pitch_x, top + row * pitch_y
        around = _box(x - 9, y - 9, width + 18, height + 39)
        sheet.lines([around], width=2.4, colors=_INK)

    columns = [left + i * pitch_x + width / 2 for i in range(grid.n_dx)]
    rows = [top + i * pitch_y + height / 2 for i in range(grid.n_dy)]
    _label_shifts(sheet, grid, columns, rows, left - 18, bottom + 6, size=11)
    _shift_legend(sheet, (left + right - _CELL_GAP) / 2, bottom + 66)
    sheet.save(path)


def _moved_images(image: Tensor, grid: ShiftGrid) -> NDArray[np.uint8]:
    """An image under every shift, as one transparent picture with rows of dy, columns of dx."""
    height, width = image.shape
    moved = translate(image.cpu()[None], grid.shifts())[0].numpy()  # [n_shifts, H, W]
    moved = moved.repeat(_SCALE, axis=1).repeat(_SCALE, axis=2)
    moved = moved.reshape(grid.n_dy, grid.n_dx, *moved.shape[1:]).transpose(0, 2, 1, 3)
    height, width = height * _SCALE, width * _SCALE
    pitch_y, pitch_x = height + _CELL_FOOT, width + _CELL_GAP
    picture = np.zeros((grid.n_dy, pitch_y, grid.n_dx, pitch_x, 4), np.uint8)
    picture[:, :height, :, :width, :3] = moved[..., None]
    picture[:, :height, :, :width, 3] = 255
    return picture.reshape(grid.n_dy * pitch_y, grid.n_dx * pitch_x, 4)


def _shift_legend(sheet: _Sheet, middle: float, y: float) -> None:
    """Say, below a shift figure, what its frames and marks mean."""
    right, wrong, unmoved = middle - 275, middle - 70, middle + 145
    sheet.lines([_box(right, y - 8, 16, 16)], width=2.2, colors=_RIGHT)
    sheet.text(right + 26, y, "\N{CHECK MARK} right answer", va="center")
    sheet.lines([_box(wrong, y - 8, 16, 16)], width=2.2, colors=_WRONG, linestyles=[_DASHED])
    sheet.text(wrong + 26, y, "\N{BALLOT X} wrong answer", va="center")
    sheet.lines([_box(unmoved, y - 10, 20, 20)], width=2.4, colors=_INK)
    sheet.text(unmoved + 30, y, "unmoved image", va="center")


def draw_accuracy_maps(
    path: Path,
    maps: Mapping[str, Sequence[Sequence[float]] | Tensor],
    grid: ShiftGrid,
    note: str = "",
) -> None:
    """Draw one heat map per model: the accuracy at every shift, on a shared scale of 0 to 100 %.

    Args:
        path: the PNG file, written atomically.
        maps: by panel title the accuracies, fractions [n_dy, n_dx], as
            ``metrics.summarize(...)["accuracy_map"]`` gives them.
        grid: the shifts, in pixels.
        note: a line below the title, such as that the data are a subset; empty for none.

    Raises:
        ValueError: ``maps`` is empty, or one of them has another shape than stated.
    """
    if not maps:
        raise ValueError("maps: got none, expected at least one")
    values = {name: torch.as_tensor(fractions) for name, fractions in maps.items()}
    for name, value in values.items():
        _check_map(f"maps[{name!r}]", value, grid)

    n_columns = min(2, len(values))
    n_rows = -(-len(values) // n_columns)
    width, height = grid.n_dx * _CELL_WIDTH, grid.n_dy * _CELL_HEIGHT
    panel_width = _PANEL_LEFT + width + _PANEL_RIGHT
    panel_height = _PANEL_TOP + height + _PANEL_BOTTOM
    head, foot, scale_width = 92 if note else 70, 40, 104
    sheet = _Sheet(n_columns * panel_width + scale_width, head + n_rows * panel_height + foot)
    counted = "per cent of the test images that are answered right when all are moved by (dx, dy)"
    sheet.heading(_PANEL_LEFT, "Accuracy at every shift", counted, note)

    for index, (name, value) in enumerate(values.items()):
        x = (index % n_columns) * panel_width + _PANEL_LEFT
        y = head + (index // n_columns) * panel_height + _PANEL_TOP
        lowest = index + n_columns >= len(values)
        _draw_map(sheet, x, y, value.double().numpy(), name)
        columns = [x + (i + 0.5) * _CELL_WIDTH for i in range(grid.n_dx)]
        rows = [y + (i + 0.5) * _CELL_HEIGHT for i in range(grid.n_dy)]
        _label_shifts(
            sheet, grid, columns, rows, x - 10, y + height + 6, size=10,
            name_dx=lowest, name_dy=index % n_columns == 0,
        )  # fmt: skip
    top, bottom = head + _PANEL_TOP, head + n_rows * panel_height - _PANEL_BOTTOM
    _draw_scale(sheet, n_columns * panel_width + 22, top, bottom)
    sheet.save(path)


def _draw_map(sheet: _Sheet, x: int, y: int, value: NDArray[np.float64], name: str) -> None:
    """One panel: its title, the coloured cells, and each cell's per cent."""
    cells = _viridis(value).repeat(_CELL_HEIGHT, axis=0).repeat(_CELL_WIDTH, axis=1)
    sheet.picture(x, y, cells)
    sheet.text(x, y - 10, name, size=11.5, weight="bold", va="bottom")
    for (row, column), fraction in np.ndenumerate(value):
        sheet.text(
            x + (column + 0.5) * _CELL_WIDTH,
            y + (row + 0.5) * _CELL_HEIGHT,
            f"{100 * fraction:.0f}",
            # Where viridis turns light, black has the better contrast.
            color="white" if fraction < 0.5 else "black",
            **_MIDDLE,
        )


def _draw_scale(sheet: _Sheet, x: int, top: int, bottom: int) -> None:
    """The colour bar that all panels share."""
    shades = np.linspace(1, 0, bottom - top)[:, None]
    sheet.picture(x, top, _viridis(shades).repeat(18, axis=1))
    for percent in range(0, 101, 20):
        sheet.text(x + 26, bottom + (top - bottom) * percent / 100, f"{percent} %",
                   size=10, va="center")  # fmt: skip
    sheet.text(x, top - 16, "accuracy", size=10, va="bottom")


def _viridis(fractions: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Fractions 0..1 [...] -> uint8 [..., 4]; the map is even in lightness, safe without hue."""
    from matplotlib import colormaps

    return np.asarray(colormaps["viridis"](fractions, bytes=True))


def _label_shifts(
    sheet: _Sheet,
    grid: ShiftGrid,
    columns: Sequence[float],
    rows: Sequence[float],
    left: float,
    bottom: float,
    *,
    size: float,
    name_dx: bool = True,
    name_dy: bool = True,
) -> None:
    """Number the columns below, the rows on the left, and name the two directions."""
    for x, dx in zip(columns, grid.dx, strict=True):
        sheet.text(x, bottom, signed(dx), size=size, ha="center", va="top")
    for y, dy in zip(rows, grid.dy, strict=True):
        sheet.text(left, y, signed(dy), size=size, ha="right", va="center")
    if name_dx:
        x = (columns[0] + columns[-1]) / 2
        sheet.text(x, bottom + 20, "dx (pixels; > 0 is right)", size=size, ha="center", va="top")
    if name_dy:
        y = (rows[0] + rows[-1]) / 2
        sheet.text(left - 40, y, "dy (pixels; > 0 is down)", size=size, rotation=90, **_MIDDLE)


def _box(x: float, y: float, width: float, height: float) -> NDArray[np.float64]:
    """The outline of a rectangle as a closed polyline, [5, 2]."""
    far_x, far_y = x + width, y + height
    return np.array([(x, y), (far_x, y), (far_x, far_y), (x, far_y), (x, y)], np.float64)


def _check_map(name: str, value: Tensor, grid: ShiftGrid) -> None:
    if tuple(value.shape) != grid.shape:
        raise ValueError(
            f"{name}: got shape {list(value.shape)}, expected [n_dy, n_dx] {list(grid.shape)}"
        )
