"""Templates and style of a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2

from ...shifts import signed

FOLDER = Path(__file__).parent
"""The folder of what pages share."""


def style(colours: Sequence[Sequence[float]], *others: Path) -> str:
    """The style sheet of all pages, with a class for each per cent of an accuracy map, then others.

    Args:
        colours: of each whole per cent, 0 to 100: red, green, blue and maybe alpha in 0..1.
        others: further style sheets.
    """
    shades = [
        f".v{percent}{{background:{_hex(colour)};color:{_readable_on(colour)}}}"
        for percent, colour in enumerate(colours)
    ]
    sheets = [path.read_text(encoding="utf-8") for path in (FOLDER / "style.css", *others)]
    return sheets[0] + "\n".join(shades) + "\n" + "".join(sheets[1:])


def _hex(colour: Sequence[float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour[:3])


def _readable_on(colour: Sequence[float]) -> str:
    """Black or white, whichever has the better contrast (WCAG 2.2, relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#fff"


def template(folder: Path) -> jinja2.Template:
    """``template.html.j2`` of a folder, which may import what pages share."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, FOLDER]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["signed"] = signed
    return environment.get_template("template.html.j2")


def fixed(text: str) -> str:
    """JSON as it stands in a page: no element can begin in it."""
    return text.replace("<", "\\u003c")
