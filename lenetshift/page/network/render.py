"""Fills the template of a network's page."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...checks.shifts import first_seen
from ...figures.accuracy_map import viridis
from ...shifts import signed
from ..parts import blocks
from ..parts.blocks import Block
from ..parts.bundle import policy, script
from ..parts.templates import fixed, style, template
from . import texts
from .contents import Contents, Pictures, places_of
from .pictures import address, encoded, is_exact, map_picture, scale_of, thumb

FOLDER = Path(__file__).parent

MOST_BYTES = 7_900_000
"""Of the file."""

_MOST_CELLS = 15
"""Rows, or columns, of a table of shifts that can be read; larger grids are pictures."""

_SHORT = 2
"""Letters of a class's name that fit into a cell."""

_TALL = 1.25
"""Height by width from which the height decides how large a picture is shown."""

_GALLERY = 12


def fewer(text: str, n: int) -> int | None:
    """How many images the page should have in place of ``n``; None if it is small enough, or has one."""
    size = len(text.encode())
    if size <= MOST_BYTES or n == 1:
        return None
    return max(1, min(n - 1, int(0.95 * n * MOST_BYTES / size)))


def render(told: Contents, slide: Sequence[NDArray[np.uint8]], version: str) -> str:
    """The page.

    Args:
        told: what it says.
        slide: what the network sees of the first image at each place of :func:`places_of`, grey or RGB; empty
            without pictures.
        version: of the package.
    """
    grid, kept = told.grid, told.kept
    packed, manifest = _data(told)
    text = fixed(json.dumps(manifest, separators=(",", ":"), ensure_ascii=False))
    sheet, code = style(viridis(), FOLDER / "network.css"), script(FOLDER)
    size = None if told.pictures is None else told.pictures.pixels.shape[1:3]
    accuracy = told.right / told.n_images
    result: str = template(FOLDER).render(
        policy=policy(code, sheet),
        style=sheet,
        script=code,
        manifest=text,
        manifest_crc32=zlib.crc32(text.encode()),
        blocks=packed,
        version=version,
        name=told.name or "this network",
        opening=texts.opening(told),
        numbers=texts.numbers(told),
        slide=_slide(told, slide),
        n_images=told.n_images,
        n_kept=len(kept.rows),
        n_shifts=len(grid),
        dx=list(grid.dx),
        dy=list(grid.dy),
        spans=(texts.span(grid.dx), texts.span(grid.dy)),
        has_centre=grid.has_centre,
        as_table=max(grid.shape) <= _MOST_CELLS,
        accuracy=accuracy.tolist(),
        map_picture=map_picture(_coloured(accuracy)),
        image_map=_canvas_size(grid.shape),
        has_pictures=told.pictures is not None,
        is_reduced=size is not None and scale_of(*size) < 1,
        looks=_looks(told),
        window=_window(told.pictures),
        lost=_gallery(told, kept.lost),
        wrong=_gallery(told, kept.wrong),
        n_lost=told.n_lost,
        n_wrong=told.n_wrong,
        hardest=texts.hardest_shifts(told),
        overall=texts.confusions(told, told.overall),
        metrics=texts.metric_lines(told.lines),
        facts=told.facts,
    )
    return result


def _data(told: Contents) -> tuple[list[Block], dict[str, Any]]:
    """The blocks, and the manifest that says how to read them."""
    kept, pictures = told.kept, told.pictures
    labels = sorted(told.names)
    number = np.array(labels)
    files = [] if pictures is None else [encoded(pixels) for pixels in pictures.pixels]
    taken = [
        [(*np.searchsorted(number, [of.label, of.answer]), of.times) for of in at]
        for at in told.commonest
    ]
    most = max((len(at) for at in taken), default=0) or 1
    table = np.zeros((len(taken), most, 3), "<u4")
    for i, at in enumerate(taken):
        table[i, : len(at)] = at or np.zeros((0, 3))
    packed = [
        blocks.block("answers", _u4(np.searchsorted(number, kept.predictions))),
        blocks.block("right", _u4(told.right)),
        blocks.block("taken", table.tobytes()),
        blocks.block("pictures", b"".join(files), 1),
    ]
    window = _window(pictures)
    manifest = {
        "blocks": {each.name: {"length": each.length, "crc32": each.crc32} for each in packed},
        "dx": list(told.grid.dx),
        "dy": list(told.grid.dy),
        "places": places_of(told.grid),
        "names": [told.names[label] for label in labels],
        "short": _are_short(told),
        "n_images": told.n_images,
        "numbers": kept.rows.tolist(),
        "labels": np.searchsorted(number, kept.labels).tolist(),
        "lengths": [len(file) for file in files],
        "first": kept.first,
        "hardest": [*kept.lost, *kept.wrong],
        "window": window,
        "frame": None if pictures is None else _frame(pictures),
    }
    return packed, manifest


def _u4(values: NDArray[Any]) -> bytes:
    return values.astype("<u4").tobytes()


def _window(pictures: Pictures | None) -> list[int] | None:
    """Height and width of the frame in the pixels of the files."""
    if pictures is None:
        return None
    scale = scale_of(*pictures.pixels.shape[1:3])
    return [max(1, round(scale * side)) for side in pictures.window]


def _frame(pictures: Pictures) -> dict[str, Any]:
    """How a picture is drawn at a shift: what lies around it, and where the network begins to look."""
    height, width = pictures.pixels.shape[1:3]
    fill = pictures.fill
    top, left = (
        first_seen(side, seen) for side, seen in zip((height, width), pictures.window, strict=True)
    )
    colours = None if isinstance(fill, str) else f"rgb({', '.join(map(str, _rgb(fill)))})"
    return {"scale": scale_of(height, width), "top": top, "left": left, "fill": colours}


def _rgb(fill: Sequence[int]) -> tuple[int, ...]:
    return tuple(fill) * 3 if len(fill) == 1 else tuple(fill)


def _looks(told: Contents) -> list[str]:
    """Classes of the page: what its pictures and names are like."""
    looks = []
    if not _are_short(told):
        looks.append("wordy")
    if told.pictures is not None:
        height, width = told.pictures.window
        looks += ["tall"] * (height > _TALL * width)
        looks += ["smooth"] * (not is_exact(*told.pictures.pixels.shape[1:3]))
    return looks


def _are_short(told: Contents) -> bool:
    """Whether the names of all classes fit into cells."""
    return all(len(name) <= _SHORT for name in told.names.values())


def _slide(told: Contents, slide: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
    """The first image along the slide."""
    grid, kept = told.grid, told.kept
    places = places_of(grid)
    along_dx = grid.n_dx > 1
    shifts = [grid.dx[column] if along_dx else grid.dy[row] for row, column in places]
    label = int(kept.labels[kept.first])
    answers = [int(kept.predictions[kept.first][at]) for at in places]
    start = min(range(len(shifts)), key=lambda i: abs(shifts[i]))
    row, column = places[start]
    return {
        "index": int(kept.rows[kept.first]),
        "label": told.names[label],
        "axis": "dx" if along_dx else "dy",
        "shifts": shifts,
        "start": start,
        "where": f"dx {signed(grid.dx[column])}, dy {signed(grid.dy[row])}",
        "answers": [told.names[answer] for answer in answers],
        "right": [answer == label for answer in answers],
        "short": _are_short(told),
        "still": address(encoded(slide[start])) if slide else None,
        "thumbs": [thumb(picture) for picture in slide],
    }


def _gallery(told: Contents, which: Sequence[int]) -> list[dict[str, Any]]:
    """The first of some kept images, as the network sees them unmoved."""
    found = []
    for i in which[:_GALLERY]:
        answers = told.kept.predictions[i]
        off, counts = np.unique(answers[answers != told.kept.labels[i]], return_counts=True)
        found.append(
            {
                "index": int(told.kept.rows[i]),
                "label": told.names[int(told.kept.labels[i])],
                "answer": told.names[int(off[counts.argmax()])],
                "right": texts.right_at(told, i),
                "picture": None if told.pictures is None else thumb(_seen(told.pictures, i)),
            }
        )
    return found


def _seen(pictures: Pictures, i: int) -> NDArray[np.uint8]:
    (height, width), pixels = pictures.window, pictures.pixels[i]
    top, left = first_seen(pixels.shape[0], height), first_seen(pixels.shape[1], width)
    seen: NDArray[np.uint8] = pixels[top : top + height, left : left + width]
    return seen


def _coloured(accuracy: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A colour for each shift: uint8 ``[n_dy, n_dx, 3]``."""
    colours = np.rint(255 * np.array(viridis())[:, :3]).astype(np.uint8)
    of_each: NDArray[np.uint8] = colours[np.rint(100 * accuracy).astype(int)]
    return of_each


def _canvas_size(shape: tuple[int, int]) -> tuple[int, int, int]:
    """Pixels for each shift, height and width of the picture of an image's answers at every shift."""
    each = max(3, min(24, 640 // max(shape)))
    return each, each * shape[0], each * shape[1]
