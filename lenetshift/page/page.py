"""Fills the template with texts, tables and blocks."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..c3_table import C3_TABLE
from ..data.dataset import evenly_spaced
from ..data.load import MNIST_FOLDER, MNIST_SHA256
from ..figures.accuracy_map import viridis
from ..models.table import BY_NAME
from ..reproduce.checkpoints import Checkpoint
from ..reproduce.reproduction import Reproduction
from ..study.experiments import position_bias
from . import texts
from .first_picture import first_picture
from .intervals import n_seeds
from .mended import MENDED, Mended, accuracies, weights_by_layer
from .parts import blocks
from .parts.blocks import Block
from .parts.bundle import policy, script
from .parts.templates import fixed, style, template

FOLDER = Path(__file__).parent
"""The folder of template and modules."""

LAYERS = {
    "c1": ("C1", "6 maps", 172, 260),
    "s2": ("S2", "6 maps", 172, 260),
    "c3": ("C3", "16 maps", 252, 252),
    "s4": ("S4", "16 maps", 252, 252),
    "c5": ("C5", "120 units", 143, 119),
    "f6": ("F6", "84 units", 143, 83),
}
"""LeNet-5's layers -> name, contents, and the size of their pictures in pixels, which ``layers.js`` draws."""

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
    mended = MENDED if _is_mnist(job) else ()
    contents, packed, rows = _data(job, checkpoints, mended)
    slide = first_picture(job, checkpoints, value, rows, with_mended=bool(mended))
    contents["first"] = slide["index"]
    manifest = _unbroken(json.dumps(contents, separators=(",", ":"), ensure_ascii=False))
    manifest = fixed(manifest)
    sheet, code = style(viridis()), script(FOLDER)
    grid = job.config.grid
    result: str = template(FOLDER).render(
        policy=policy(code, sheet),
        style=sheet,
        script=code,
        manifest=manifest,
        manifest_crc32=zlib.crc32(manifest.encode()),
        blocks=packed,
        note=value["note"],
        opening=texts.opening(value),
        finding=texts.finding(value),
        slide=slide,
        networks=[
            *({**model, "kept": True} for model in texts.models(value)),
            *map(_network, mended),
        ],
        lenets=[model["name"] for model in contents["models"] if model["drawn"]["kind"] == "lenet"],
        layers=LAYERS,
        mended=[{"short": item.short, **accuracies()[item.name]} for item in mended],
        table=texts.table1(value, dossier),
        n_seeds=n_seeds(),
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
    readable, mark, rest = result.rpartition('<script type="module">')  # whose hash is fixed
    return _unbroken(readable) + mark + rest


def _unbroken(text: str) -> str:
    """A text in which no line ends within "LeNet-5"."""
    return text.replace("LeNet-5", "LeNet\N{NON-BREAKING HYPHEN}5")


def _drawn(of: Mapping[str, Any]) -> dict[str, Any]:
    """How ``forward.js`` computes a network."""
    drawn = dict(of)
    if drawn.get("connections") == "1998":
        drawn["connections"] = C3_TABLE
    elif drawn.get("connections") == "all":
        drawn["connections"] = [sorted({i for seen in C3_TABLE for i in seen})] * len(C3_TABLE)
    return drawn


def _network(item: Mended) -> dict[str, Any]:
    """A network that comes with the package, beside the run's models."""
    return {
        "name": item.name,
        "short": item.short,
        "kind": item.caption,
        "diverged": False,
        "kept": False,
    }


def _data(
    job: Reproduction, checkpoints: Mapping[str, Checkpoint], mended: Sequence[Mended]
) -> tuple[dict[str, Any], list[Block], list[int]]:
    """The explorer's data: the manifest that says how to read the blocks; the blocks, which hold images,
    answers and weights; and the job's rows in the page. If all images would be too many, they are drawn
    evenly."""
    parameters = {name: checkpoint.state_dict for name, checkpoint in checkpoints.items()}
    parameters |= {item.name: weights_by_layer(item.name) for item in mended}
    weights = [blocks.weights_block(f"weights-{name}", of) for name, of in parameters.items()]
    n = max(1, min(job.n_test, blocks.MOST_IMAGES, blocks.MOST_ANSWERS // len(job.config.grid)))
    while True:
        rows = _rows(job, n)
        found = _images_and_answers(job, checkpoints, rows)
        size, most = blocks.total(found), blocks.MOST_BYTES - blocks.total(weights)
        if size <= most or n == 1:
            break
        n = max(1, min(n - 1, int(0.95 * n * max(most, 0) / size)))
    packed = [*found, *weights]
    networks = [
        (name, short, BY_NAME[name].drawn)
        for name, short in texts.SHORT_NAMES.items()
        if name in checkpoints
    ]
    networks += [(item.name, item.short, item.drawn) for item in mended]
    models = [
        {
            "name": name,
            "short": short,
            "drawn": _drawn(drawn),
            "kept": name in checkpoints,
            "parameters": [[key, list(w.shape)] for key, w in parameters[name].items()],
        }
        for name, short, drawn in networks
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
    return manifest, packed, rows


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
