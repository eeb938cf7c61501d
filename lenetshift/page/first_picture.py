"""The first picture: one digit moved left and right, and what each network answers."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..ops import translate as _translate  # noqa: F401 (registers the op)
from ..predict.predict_shifts import predict_shifts
from ..reproduce.checkpoints import Checkpoint
from ..reproduce.reproduction import Reproduction
from ..shifts import ShiftGrid
from ..study.experiments import position_bias
from . import texts
from .mended import MENDED, Mended, accuracies, mended_network

MODELS = ("lenet5", "mlp", position_bias.MODEL)
"""The run's models that it shows; if the run has none of them, its first."""

_FARTHEST = 7  # pixels: more answers do not fit next to each other on a phone
_CANDIDATES = (
    24  # images that are typical for the run's models, of which the mended networks choose
)


def first_picture(
    job: Reproduction,
    checkpoints: Mapping[str, Checkpoint],
    value: Mapping[str, Any],
    rows: Sequence[int],
    with_mended: bool,
) -> dict[str, Any]:
    """The digit, its pictures at every dx for dy = 0, and the networks with their answers.

    Args:
        job, checkpoints, value: as for :func:`lenetshift.page.render_page`.
        rows: those of the job that the page has.
        with_mended: whether the networks of :data:`MENDED` are shown; they are about MNIST.
    """
    names = [name for name in texts.SHORT_NAMES if name in checkpoints and name in MODELS]
    names = names or list(checkpoints)[:1]
    grid = job.config.grid
    dx = [x for x in grid.dx if abs(x) <= _FARTHEST]
    columns, centre = [grid.dx.index(x) for x in dx], grid.index(0, 0)[0]
    indices = [job.rows[row] for row in rows]
    labels = job.test.labels[indices].numpy()
    run = {
        name: checkpoints[name].evaluated()[list(rows), centre][:, columns].numpy()
        for name in names
    }
    chosen = _typical(run, labels)
    mended: dict[str, NDArray[np.uint8]] = {}
    if with_mended:
        images = job.test.images[[indices[i] for i in chosen]]
        along = ShiftGrid(range(dx[0], dx[-1] + 1), range(1))
        for item in MENDED:
            network = mended_network(item.name)
            mended[item.name] = predict_shifts(network, images, along, method="plain")[:, 0].numpy()
    right = sum((answers == labels[chosen][:, None]).sum(1) for answers in mended.values())
    best = int(np.argmax(right)) if mended else 0
    i = int(chosen[best])
    shown = [_row(value, name, run[name][i]) for name in names]
    return {
        "index": indices[i],
        "label": int(labels[i]),
        "dx": dx,
        "centre": dx.index(0),
        "pictures": _pictures(job.test.images[indices[i]], dx),
        "networks": shown,
        "mended": [_mended_row(item, mended[item.name][best]) for item in MENDED if mended],
    }


def _typical(run: Mapping[str, NDArray[np.uint8]], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The images whose answers are right and wrong where most images' are, the most typical first."""
    off = np.zeros(len(labels))
    for answers in run.values():
        right = answers == labels[:, None]
        off += np.abs(right - right.mean(axis=0)).sum(axis=1)
    return np.argsort(off, kind="stable")[:_CANDIDATES]


def _row(value: Mapping[str, Any], name: str, answers: NDArray[np.uint8]) -> dict[str, Any]:
    return {
        "name": name,
        "short": texts.SHORT_NAMES[name],
        "caption": texts.trained_on(value, name),
        "moved": texts.percent(value["models"][name]["moved"]["accuracy"]),
        "answers": answers.tolist(),
    }


def _mended_row(item: Mended, answers: NDArray[np.uint8]) -> dict[str, Any]:
    return {
        "name": item.name,
        "short": item.short,
        "caption": item.caption,
        "moved": texts.percent(accuracies()[item.name]["moved"]),
        "answers": answers.tolist(),
    }


def _pictures(image: Tensor, dx: Sequence[int]) -> list[str]:
    """The image moved to each place, as addresses of PNG files."""
    shifts = torch.tensor([(x, 0) for x in dx])
    moved = torch.ops.lenetshift.translate(image[None], shifts)[0].numpy()
    return [_png(picture) for picture in moved]


def _png(picture: NDArray[np.uint8]) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
