"""Fills the template with texts, tables and blocks."""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np

from ..c3_table import C3_TABLE
from ..data.dataset import evenly_spaced
from ..data.load import MNIST_FOLDER, MNIST_SHA256
from ..figures.layout import signed
from ..figures.matplotlib_settings import import_matplotlib
from ..models.table import BY_NAME
from ..reproduce.checkpoints import Checkpoint
from ..reproduce.reproduction import Reproduction
from ..study.experiments import position_bias
from ..study.experiments.table import MISPRINT
from . import blocks, texts
from .blocks import Block
from .bundle import FOLDER, policy, script

_WIDEST_STRIP = 15  # pictures that fit next to each other on a phone
_STRIP_MODELS = ("lenet5", "mlp", position_bias.MODEL)

_IDX_HEADER = 16  # bytes before the pixels of an IDX file of images


def render_page(
    job: Reproduction,
    checkpoints: Mapping[str, Checkpoint],
    value: Mapping[str, Any],
    dossier: Mapping[str, Any] | None = None,
) -> str:
    """``report.html`` of a finished job.

    Args:
        job: with its test images.
        checkpoints: by model's name, each evaluated.
        value: what ``results.json`` holds.
        dossier: what ``dossier.json`` of a study holds, for intervals and verdicts; None for none.
    """
    contents, packed = _data(job, checkpoints)
    manifest = json.dumps(contents, separators=(",", ":")).replace("<", "\\u003c")
    style, code = _style(), script()
    grid = job.config.grid
    result: str = _template().render(
        policy=policy(code, style),
        style=style,
        script=code,
        manifest=manifest,
        manifest_crc32=zlib.crc32(manifest.encode()),
        blocks=packed,
        note=value["note"],
        finding=texts.finding(value),
        strip=_strip(job, checkpoints, value),
        table=texts.table1(value, dossier),
        misprint=MISPRINT,
        claims=texts.claims(dossier),
        dossier=dossier,
        figures=value.get("figures", []),
        shown=job.figures,
        figures_missing=len(position_bias.FIGURE_INDICES) - len(value.get("figures", [])),
        models=texts.models(value),
        try_this=texts.what_to_try(value),
        try_moves=list(value["config"]["bias_rule"].values()),
        grid_spans=[texts.span((shifts[0], shifts[-1])) for shifts in (grid.dx, grid.dy)],
        rule=texts.rule(value),
        settings=list(texts.settings(value)),
        surroundings=list(texts.surroundings(value)),
        is_mnist=_is_mnist(job),
        n_test=job.n_test,
        n_kept=contents["n_test"],
        n_shifts=len(grid),
        dx=list(grid.dx),
        dy=list(grid.dy),
        version=value["environment"]["lenetshift"],
    )
    return result


def _strip(
    job: Reproduction, checkpoints: Mapping[str, Checkpoint], value: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The finding in one picture: a digit moved along dy = 0, and the answers of some models."""
    grid = job.config.grid
    if not 3 <= grid.n_dx <= _WIDEST_STRIP:
        return None
    figures = value.get("figures", ())
    row = job.rows.index(figures[min(1, len(figures) - 1)]["index"] if figures else job.rows[0])
    names = [name for name in texts.SHORT_NAMES if name in checkpoints and name in _STRIP_MODELS]
    label = int(job.test.labels[job.rows[row]])
    centre = grid.index(0, 0)[0]
    return {
        "index": job.rows[row],
        "label": label,
        "answers": [
            (texts.SHORT_NAMES[name], checkpoints[name].evaluated()[row, centre].tolist())
            for name in names or list(checkpoints)[:1]
        ],
    }


def _drawn(name: str) -> dict[str, Any]:
    """How ``forward.js`` computes a model."""
    drawn = dict(BY_NAME[name].drawn)
    if drawn.get("connections") == "1998":
        drawn["connections"] = C3_TABLE
    elif drawn.get("connections") == "all":
        drawn["connections"] = [sorted({i for seen in C3_TABLE for i in seen})] * len(C3_TABLE)
    return drawn


def _data(
    job: Reproduction, checkpoints: Mapping[str, Checkpoint]
) -> tuple[dict[str, Any], list[Block]]:
    """The explorer's data: the manifest that says how to read the blocks, and the blocks, which hold images,
    answers and weights. If all images would be too many, they are drawn evenly."""
    weights = [
        blocks.weights_block(f"weights-{name}", checkpoint.state_dict)
        for name, checkpoint in checkpoints.items()
    ]
    n = max(1, min(job.n_test, blocks.MOST_IMAGES, blocks.MOST_ANSWERS // len(job.config.grid)))
    while True:
        rows = _rows(job, n)
        found = _images_and_answers(job, checkpoints, rows)
        size, most = blocks.total(found), blocks.MOST_BYTES - blocks.total(weights)
        if size <= most or n == 1:
            break
        n = max(1, min(n - 1, int(0.95 * n * max(most, 0) / size)))
    packed = [*found, *weights]
    models = [
        {
            "name": name,
            "short": texts.SHORT_NAMES[name],
            "drawn": _drawn(name),
            "parameters": [[key, list(w.shape)] for key, w in checkpoints[name].state_dict.items()],
        }
        for name in texts.SHORT_NAMES
        if name in checkpoints
    ]
    grid = job.config.grid
    manifest = {
        "blocks": {each.name: {"length": each.length, "crc32": each.crc32} for each in packed},
        "n_images": len(rows),
        "n_test": n,
        "image_offset": _IDX_HEADER if _packaged(job, rows) else 0,
        "activation": job.config.activation,
        "dx": list(grid.dx),
        "dy": list(grid.dy),
        "models": models,
        "figures": list(job.figures),
    }
    return manifest, packed


def _rows(job: Reproduction, n: int) -> list[int]:
    """Which of the job's rows the page has: ``n`` of the tables' images, then the figures'."""
    drawn = evenly_spaced(n, job.n_test).tolist()
    shown = [job.rows.index(index) for index in job.figures]
    return [*drawn, *(row for row in shown if row not in set(drawn))]


def _images_and_answers(
    job: Reproduction, checkpoints: Mapping[str, Checkpoint], rows: Sequence[int]
) -> list[Block]:
    indices = [job.rows[row] for row in rows]
    if _packaged(job, rows):
        file = MNIST_FOLDER / "t10k-images-idx3-ubyte.gz"
        images = Block("images", file.read_bytes())
    else:
        images = blocks.array_block("images", job.test.images[indices].numpy())
    return [
        images,
        blocks.array_block("labels", job.test.labels[indices].numpy()),
        blocks.block("indices", np.array(indices, "<i4").tobytes()),
        *(
            blocks.array_block(f"answers-{name}", checkpoint.evaluated()[list(rows)].numpy())
            for name, checkpoint in checkpoints.items()
        ),
    ]


def _is_mnist(job: Reproduction) -> bool:
    return dict(job.sha256) == MNIST_SHA256


def _packaged(job: Reproduction, rows: Sequence[int]) -> bool:
    """Whether these are all images of the packaged test set, whose file is compressed already."""
    indices = [job.rows[row] for row in rows]
    return _is_mnist(job) and indices == list(range(len(job.test)))


def _style() -> str:
    """The style sheet, with a class for each per cent of an accuracy map."""
    import_matplotlib()
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    viridis = [colormaps["viridis"](percent / 100) for percent in range(101)]
    shades = [
        f".v{percent}{{background:{to_hex(colour)};color:{_readable_on(colour)}}}"
        for percent, colour in enumerate(viridis)
    ]
    return (FOLDER / "style.css").read_text(encoding="utf-8") + "\n".join(shades) + "\n"


def _readable_on(colour: Sequence[float]) -> str:
    """Black or white, whichever has the better contrast (WCAG 2.2, relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#fff"


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["signed"] = signed
    return environment.get_template("template.html.j2")
