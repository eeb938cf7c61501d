"""The figures of a study, each drawn from what ``dossier.json`` holds, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..figures.layout import save_figure
from ..figures.matplotlib_settings import figure_settings
from .experiments import EXPERIMENTS


def draw_study(
    folder: Path, value: Mapping[str, Any], kinds: Sequence[str] = ("png", "svg")
) -> list[Path]:
    """Write the figures of the experiments that a dossier or its summary has, and return their paths."""
    paths = []
    for name in value["study"]["experiments"]:
        with figure_settings():
            figure = EXPERIMENTS[name].draw(value)
            if value["note"]:
                figure.text(0.01, 0.01, value["note"], size=7, style="italic", weight="bold")
        for kind in kinds:
            paths.append(folder / f"{name}.{kind}")
            save_figure(paths[-1], figure)
    return paths
