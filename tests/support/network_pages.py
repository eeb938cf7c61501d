"""Pages of one network, read back: their texts and what their blocks hold."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lenetshift import Evaluation, ShiftGrid

GRID = ShiftGrid(range(-3, 4), range(-1, 2))


class PageFile(HTMLParser):
    """A page as it was written: elements with their attributes, the text of each, and blocks."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(self.source)
        self.text = " ".join(" ".join(self.texts).split()).replace("\N{NO-BREAK SPACE}", " ")
        found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', self.source)
        assert found is not None
        self.manifest: dict[str, Any] = json.loads(found[1])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] not in ("script", "style"):
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def block(self, name: str) -> bytes:
        found = re.search(
            rf'<script type="application/gzip;base64" id="{name}">([^<]*)<', self.source
        )
        assert found is not None
        return gzip.decompress(base64.b64decode(found[1]))

    def numbers(self, name: str, *shape: int) -> NDArray[np.uint32]:
        return np.frombuffer(self.block(name), "<u4").reshape(shape)

    @property
    def answers(self) -> NDArray[np.str_]:
        """The name of each answer to each image, ``[n, n_dy, n_dx]``."""
        m = self.manifest
        rows = self.numbers("answers", -1, len(m["dy"]), len(m["dx"]))
        return np.array(m["names"])[rows]

    @property
    def pictures(self) -> NDArray[np.uint8]:
        """The pictures, decoded."""
        files, found, at = self.block("pictures"), [], 0
        for length in self.manifest["lengths"]:
            found.append(np.array(Image.open(io.BytesIO(files[at : at + length]))))
            at += length
        assert at == len(files)
        return np.array(found)

    def taken(self, row: int, column: int) -> list[tuple[str, str, int]]:
        """The commonest wrong answers at a shift: label, answer, count."""
        m = self.manifest
        table = self.numbers("taken", len(m["dy"]), len(m["dx"]), -1, 3)[row, column]
        return [(m["names"][a], m["names"][b], int(n)) for a, b, n in table if n]


def made_up(
    n: int = 40,
    *,
    size: tuple[int, ...] = (12, 12),
    grid: ShiftGrid = GRID,
    share: float = 0.4,
    **how: Any,
) -> Evaluation:
    """An evaluation whose answers were drawn: about ``share`` of them are wrong, of 10 classes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, n)
    predictions = np.repeat(labels, len(grid)).reshape(n, *grid.shape)
    off = rng.random(predictions.shape) < share * rng.random((n, 1, 1)) * 2
    predictions[off] = rng.integers(0, 10, int(off.sum()))
    images = torch.from_numpy(rng.integers(0, 256, (n, *size), dtype=np.uint8))
    return Evaluation(predictions, labels, grid, **{"images": images, **how})
