"""All files of a finished reproduction; ``results.json`` comes last, so a folder that has it is complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch

from ..figures.accuracy_map import accuracy_figure
from ..figures.layout import save_figure
from ..figures.moved_image import shift_figure
from ..models.table import DISPLAY_NAMES
from ..storage.files import write_json, write_npz, write_text
from ..study.experiments import position_bias
from .checkpoints import SCHEMA, Checkpoint
from .reproduction import Reproduction
from .results import FILE
from .tables import format_csv, format_markdown, table


def write_products(
    reproduction: Reproduction,
    checkpoints: Mapping[str, Checkpoint],
    value: Mapping[str, Any],
    *,
    page: str | None = None,
) -> None:
    """Write all files of a finished reproduction, ``results.json`` last.

    Args:
        reproduction: with its data.
        checkpoints: by model's name, each evaluated.
        value: of :func:`lenetshift.reproduce.results.compute_results`, what ``results.json`` will hold.
        page: the text of ``report.html``; None to write none.
    """
    grid, n_test = reproduction.config.grid, reproduction.n_test
    rows, title, note = table(value)
    write_text(reproduction.out / "table1.csv", format_csv(rows, note))
    write_text(reproduction.out / "table1.md", format_markdown(rows, title, note))
    arrays: dict[str, Any] = {
        "schema": SCHEMA,
        "note": reproduction.note,
        "config": json.dumps(value["config"]),
        "dx": list(grid.dx),
        "dy": list(grid.dy),
        "indices": list(reproduction.rows[:n_test]),
        "labels": reproduction.labels.to(torch.uint8),
        **{name: checkpoint.evaluated()[:n_test] for name, checkpoint in checkpoints.items()},
    }
    for figure in value.get("figures", ()):
        index = figure["index"]
        drawn = shift_figure(
            reproduction.test.images[index],
            figure["label"],
            torch.tensor(figure["predictions"], device="cpu"),
            grid,
            f"Figure {figure['figure']}. Test image {index} (label {figure['label']}), "
            "answers of the position-biased LeNet-5",
            checkpoints[position_bias.MODEL].caveat(),
        )
        save_figure(reproduction.out / f"figure{figure['figure']}.png", drawn)
    if "figures" in value:
        arrays["figure_indices"] = list(reproduction.figures)
        arrays["figure_predictions"] = checkpoints[position_bias.MODEL].evaluated()[
            [reproduction.rows.index(index) for index in reproduction.figures]
        ]
    write_npz(reproduction.out / "predictions.npz", arrays)
    maps = {}
    for name, model in value["models"].items():
        percent = [f"{100 * model[part]['accuracy']:.1f} %" for part in ("unmoved", "moved")]
        display = DISPLAY_NAMES[name] + (" (diverged)" if model["diverged"] else "")
        heading = f"{display}: unmoved {percent[0]}, moved {percent[1]}"
        maps[heading] = model["accuracy_map"]
    drawn = accuracy_figure(maps, grid, reproduction.note)
    save_figure(reproduction.out / "accuracy_maps.png", drawn)
    if page is not None:
        write_text(reproduction.out / "report.html", page)
    write_json(reproduction.out / FILE, value)
