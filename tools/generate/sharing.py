"""The counts and figures of docs/sharing.md, from the kernels' own sizes.

    python tools/generate/sharing.py

Writes docs/sharing/*.png and, between its markers, the table of counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lenetshift import ShiftGrid, load_mnist
from lenetshift.c3_table import C3_TABLE
from lenetshift.figures.matplotlib_settings import figure_settings, import_matplotlib

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "sharing.md"
FIGURES = ROOT / "docs" / "sharing"
BEGIN, END = "<!-- counts: begin -->", "<!-- counts: end -->"

N_IMAGES = 10_000
COLOURS = {"C1": "#56B4E9", "C3": "#0072B2", "C5": "#E69F00", "F6 and output": "#999999"}
SHIFTS = {(0, 0): "#222222", (5, -2): "#D55E00", (-4, 2): "#009E73"}
"""Shifts that the figures show, (dx, dy)."""


def constants(text: str) -> dict[str, int]:
    """The plain ``constexpr int`` of a header, in order; a value may use those before it."""
    found: dict[str, int] = {}
    for line in re.findall(r"^constexpr int (.*?);", text, re.MULTILINE):
        for name, value in re.findall(r"(k\w+) = ([^,]+)", line):
            names = re.sub(r"k\w+", lambda match: str(found[match[0]]), value)
            found[name] = eval(names.replace("/", "//"), {"__builtins__": {}})
    return found


def sizes() -> dict[str, int]:
    """Those of csrc/lenet5_sizes.h, and the tile of csrc/cpu/lenet5/weights.h."""
    image = re.search(r"kImageSize = (\d+)", (ROOT / "csrc" / "kernels.h").read_text())
    tile = re.search(r"kMaxTile = (\d+)", (ROOT / "csrc/cpu/lenet5/weights.h").read_text())
    assert image
    assert tile
    header = (ROOT / "csrc" / "lenet5_sizes.h").read_text()
    found = constants(f"constexpr int kImageSize = {image[1]};\n{header}")
    return {**found, "kMaxTile": int(tile[1])}


@dataclass(frozen=True)
class Counts:
    """Multiply-adds of one image under all shifts, layer by layer."""

    plain: dict[str, float]
    shared: dict[str, float]
    in_forms: dict[str, float]


def counts(grid: ShiftGrid) -> Counts:
    """Image by image; skipped blank pixels and edge lines are not counted."""
    k = sizes()
    n_dy, n_dx = grid.shape
    n, taps, tile = n_dy * n_dx, k["kTaps"], k["kMaxTile"]
    connections = sum(len(row) for row in C3_TABLE)
    c1, c3 = taps**2 * k["kMaps1"], taps**2 * connections
    c5 = k["kS4Pixels"] * k["kMaps3"] * k["kC5Units"]
    head = k["kC5Units"] * k["kF6Units"] + k["kF6Units"] * 10
    side = k["kImageSize"]
    plain = {
        "C1": n * c1 * side**2,
        "C3": n * c3 * k["kC3Side"] ** 2,
        "C5": n * c5,
        "F6 and output": n * head,
    }
    c1_canvas = (side + n_dy - 1) * (side + n_dx - 1)
    c3_canvas = (k["kC3Last"] + n_dy) * (k["kC3Last"] + n_dx)
    shared = {**plain, "C1": c1 * c1_canvas, "C3": c3 * c3_canvas}
    form = (tile + taps - 1) / (tile * taps)  # of the direct products
    # C5: of the shifts of one phase (dx modulo 4), tiles of at most three.
    phases = [len(range(phase, n_dx, 4)) for phase in range(4)]
    products = sum(sum(_tile_products(m, tile, taps)) for m in phases)
    in_forms = {**shared, "C3": shared["C3"] * form, "C5": plain["C5"] * products / (n_dx * taps)}
    return Counts(*({name: float(v) for name, v in c.items()} for c in (plain, shared, in_forms)))


def _tile_products(n: int, tile: int, taps: int) -> list[int]:
    """Products of one row of taps for n outputs, tile by tile."""
    tiles = [tile] * (n // tile) + ([n % tile] if n % tile else [])
    return [m + taps - 1 if m > 1 else taps for m in tiles]


def table(found: Counts) -> str:
    """The counts for all test images, in thousand millions."""

    def cells(name: str, of: dict[str, float]) -> str:
        values = [of[layer] for layer in COLOURS]
        shown = [f"{value * N_IMAGES / 1e9:.1f}" for value in (*values, sum(values))]
        return "| " + " | ".join((name, *shown)) + " |"

    return "\n".join(
        [
            "| | " + " | ".join((*COLOURS, "all")) + " |",
            "|---|" + "---:|" * (len(COLOURS) + 1),
            cells("every pattern by itself", found.plain),
            cells("maps shared on the canvas", found.shared),
            cells("and in Toom-Cook forms", found.in_forms),
        ]
    )


def draw_canvas(grid: ShiftGrid) -> None:
    """One digit on the canvas of all shifts, and the windows of three shifts."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    image = load_mnist()[1].images[4017].numpy()
    side = image.shape[0]
    height, width = side + len(grid.dy) - 1, side + len(grid.dx) - 1
    top, left = grid.dy[-1], grid.dx[-1]  # of the image on the canvas
    figure = Figure(figsize=(8.6, 4.3))
    large, *small = (figure.add_subplot(1, 4, number) for number in range(1, 5))
    figure.subplots_adjust(0.02, 0.1, 0.98, 0.86, wspace=0.12)
    large.set_position([0.02, 0.08, 0.38, 0.78])
    large.imshow(
        image, cmap="gray_r", extent=(left - 0.5, left + side - 0.5, top + side - 0.5, top - 0.5)
    )
    large.set_xlim(-1, width)
    large.set_ylim(height, -1)
    large.add_patch(Rectangle((-0.5, -0.5), width, height, fill=False, ec="#BBBBBB", ls=":"))
    large.set_title(f"one canvas, {height} x {width} pixels", size=11)
    for (dx, dy), colour in SHIFTS.items():
        x, y = left - dx, top - dy
        large.add_patch(
            Rectangle((x - 0.5, y - 0.5), side, side, fill=False, ec=colour, lw=2, alpha=0.9)
        )
    for number, ((dx, dy), colour) in enumerate(SHIFTS.items()):
        axes = small[number]
        axes.set_position([0.43 + 0.19 * number, 0.25, 0.17, 0.45])
        window = {"extent": (left - 0.5, left + side - 0.5, top + side - 0.5, top - 0.5)}
        axes.imshow(image, cmap="gray_r", **window)
        axes.set_xlim(left - dx - 0.5, left - dx + side - 0.5)
        axes.set_ylim(top - dy + side - 0.5, top - dy - 0.5)
        axes.set_title(f"dx = {dx:+d}, dy = {dy:+d}" if (dx, dy) != (0, 0) else "unmoved", size=11)
        for spine in axes.spines.values():
            spine.set(color=colour, linewidth=2)
    for axes in (large, *small):
        axes.set(xticks=[], yticks=[])
    for spine in large.spines.values():
        spine.set_visible(False)
    figure.savefig(FIGURES / "canvas.png", dpi=150)


def draw_columns() -> None:
    """Which columns of S4 the shifts of one phase read."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    k = sizes()
    offsets = (0, 4, 8)
    n = k["kS4Last"] + 1 + offsets[-1]
    figure = Figure(figsize=(8.6, 1.5))
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.86))
    for row, offset in enumerate(offsets):
        used = {offset + 4 * j for j in range(k["kS4Side"])}
        for x in range(n):
            colour = "#E69F00" if x in used else "#E4E4E4"
            axes.add_patch(Circle((x, -row), 0.33, fc=colour, ec="none"))
        axes.text(-0.8, -row, f"f = {offset}", ha="right", va="center")
    axes.text(-0.8, 1, "column", ha="right", va="center", color="#777777")
    for x in range(0, n, 4):
        axes.text(x, 1, str(x), ha="center", va="center", color="#777777")
    axes.set(xlim=(-3.2, n), ylim=(-2.6, 1.6), aspect="equal")
    axes.axis("off")
    figure.savefig(FIGURES / "columns.png", dpi=150)


def draw_counts(found: Counts) -> None:
    """The table as bars."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 2.6))
    axes = figure.add_axes((0.28, 0.2, 0.68, 0.66))
    names = ("every pattern by itself", "maps shared on the canvas", "and in Toom-Cook forms")
    for row, of in enumerate((found.plain, found.shared, found.in_forms)):
        start = 0.0
        for layer, colour in COLOURS.items():
            length = of[layer] * N_IMAGES / 1e9
            axes.barh(row, length, left=start, color=colour, label=layer if row == 0 else None)
            start += length
        axes.text(start + 2, row, f"{start:.0f}", va="center")
    axes.set_yticks(range(3), names)
    axes.invert_yaxis()
    axes.set_xlabel("thousand million multiply-adds for 550,000 patterns")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.4, 1.0), fontsize=9)
    figure.savefig(FIGURES / "counts.png", dpi=150)


def render(text: str) -> str:
    """The page with its table rewritten."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table(counts(ShiftGrid()))}\n{END}{after}"


if __name__ == "__main__":
    import_matplotlib()
    FIGURES.mkdir(parents=True, exist_ok=True)
    with figure_settings():
        draw_canvas(ShiftGrid())
        draw_columns()
        draw_counts(counts(ShiftGrid()))
    PAGE.write_text(render(PAGE.read_text()))
