"""What the figures of the experiments show, drawn from made-up numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lenetshift.figures.matplotlib_settings import figure_settings
from lenetshift.models.build import MODEL_NAMES
from lenetshift.models.table import DISPLAY_NAMES
from lenetshift.study import figures
from lenetshift.study.experiments import (
    EXPERIMENTS,
    convolution,
    kernels,
    ladder,
    position_bias,
    table,
)
from lenetshift.study.experiments.runs import GRID, Run
from lenetshift.study.experiments.words import NETWORKS


def row(run: Run, epochs: int, measure: str, mean: float) -> dict[str, Any]:
    of = {"experiment": run.experiment, "setting": run.setting, "epochs": epochs}
    return {**of, "measure": measure, "mean": mean, "interval": [mean - 1, mean + 1]}


def summary_of(experiment: str, accuracy: float = 100.0) -> dict[str, Any]:
    """Of an experiment whose measures are all the same."""
    measures = ["unmoved", "moved", *(f"dx={dx}" for dx in GRID.dx)]
    for digit in position_bias.RULE:
        measures += [f"answered {digit} at dx={dx}" for dx in GRID.dx]
    runs = {run.setting: run for run in EXPERIMENTS[experiment].runs([0, 1])}
    rows = [
        row(run, epochs, measure, accuracy)
        for run in runs.values()
        for epochs in run.epochs
        for measure in measures
    ]
    return {"summaries": rows, "study": {"experiments": [experiment]}, "note": ""}


def draw(experiment: str, value: dict[str, Any]) -> Figure:
    with figure_settings():
        figure = EXPERIMENTS[experiment].draw(value)
        figure.canvas.draw()
    return figure


def cell(number: int, distance: float | None, sd: float = 0.5) -> dict[str, Any]:
    """A cell of Table 1 whose report lies so many standard deviations from our mean."""
    model, column = table.MODELS[number // 2], table.COLUMNS[number % 2]
    report = 60 + sd * (distance or 0)
    made = {"model": model, "column": column, "report": report, "mean": 60.0, "sd": sd}
    ends = [60 - 2 * sd, 60 + 2 * sd]
    return {**made, "interval": ends, "distance_in_sds": distance, "verdict": "agrees"}


def positions(axes: Axes, mark: str) -> list[tuple[float, float]]:
    """Where marks of a kind stand: x and line."""
    found = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == mark]
    return [(round(float(x), 6), float(y)) for x, y in dict.fromkeys(map(tuple, found))]


def test_table_1_shows_distances_in_standard_deviations() -> None:
    distances = [0.0, 1.5, -3.0, 11.0, -40.0, 25.0, 0.5, None]
    cells = [cell(n, d, 0.01 * 10 ** (n % 3)) for n, d in enumerate(distances)]
    cells[7] |= {"sd": 0.0, "interval": [60.0, 60.0]}
    figure = draw("table", {"table": {"cells": cells}})
    (axes,) = figure.axes
    assert positions(axes, "x") == [(0, 0), (1.5, 1), (-3, 2), (11, 3), (0.5, 6)]
    assert positions(axes, "<") == [(-table.FARTHEST, 4)]
    assert positions(axes, ">") == [(table.FARTHEST, 5)]
    texts = [text.get_text() for text in axes.texts]
    assert "\N{MINUS SIGN}40" in texts
    assert "+25" in texts
    assert "report 60.1, ours 60.0 ± 0.1 %" in texts
    bars = [line for line in axes.lines if line.get_linewidth() == 8]
    assert [np.round(bar.get_xdata(), 6).tolist() for bar in bars] == [[-2, 2]] * 7
    pixels = np.diff(axes.transData.transform([(-2, 0), (2, 0)])[:, 0])[0]
    assert pixels > 3 * 9  # a bar is wider than the marks


def test_table_1_of_a_quick_study() -> None:
    cells = [cell(n, 1.0) | {"interval": None, "verdict": None} for n in range(8)]
    (axes,) = draw("table", {"table": {"cells": cells}}).axes
    assert not [line for line in axes.lines if line.get_linewidth() == 8]
    assert axes.get_yticklabels()[0].get_text() == "Model 0 LeNet-5, unmoved"


CURVES = ("convolution", "kernels", "position_bias", "symmetry")


@pytest.mark.parametrize("experiment", CURVES)
def test_marks_at_100_per_cent_are_whole(experiment) -> None:
    for axes in draw(experiment, summary_of(experiment)).axes:
        curves = [line for line in axes.lines if line.get_marker() not in ("None", "")]
        assert curves
        assert not any(line.get_clip_on() for line in curves)


@pytest.mark.parametrize("experiment", [*CURVES, "pooling", "locality", "ladder"])
def test_legends_are_off_the_data_and_in_words(experiment) -> None:
    figure = draw(experiment, summary_of(experiment))
    legends = [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]
    assert legends
    for legend in legends:
        box = legend.get_window_extent()
        assert not any(box.overlaps(axes.patch.get_window_extent()) for axes in figure.axes)
        assert figure.bbox.containsx(box.x0)
        assert figure.bbox.containsx(box.x1)
        for text in legend.get_texts():
            assert "_" not in text.get_text()
    for axes in figure.axes:
        assert not [t for t in axes.get_yticklabels() if "_" in t.get_text()]
    for text in figure.texts:
        assert text.get_window_extent().x1 < figure.bbox.x1, text.get_text()


@pytest.mark.parametrize("experiment", ["convolution", "symmetry"])
def test_the_curve_under_another_is_wider(experiment) -> None:
    for axes in draw(experiment, summary_of(experiment)).axes:
        curves = [line for line in axes.lines if line.get_marker() not in ("None", "")]
        below, above = (
            [line for line in curves if line.get_color() == colour]
            for colour in (curves[0].get_color(), curves[-1].get_color())
        )
        for a in below:
            for b in above:
                assert a.get_linewidth() > 3 * b.get_linewidth()
                assert a.get_markersize() > 2 * b.get_markersize()


def test_the_figures_say_which_curve_lies_below() -> None:
    figure = draw("convolution", summary_of("convolution"))
    assert "Model 0, the wide line, lies under Model 2" in figure.texts[1].get_text()
    legend = draw("symmetry", summary_of("symmetry")).legends[0]
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["Model 0 LeNet-5 (under Model 2)", "Model 2 symmetric LeNet-5"]
    assert DISPLAY_NAMES[convolution.COVERED] == "Model 0 LeNet-5"


def test_every_network_has_words() -> None:
    for experiment in (position_bias, kernels, convolution):
        for run in experiment.EXPERIMENT.runs([0, 1]):
            assert run.network in NETWORKS
    assert set(MODEL_NAMES) < set(NETWORKS)
    assert all("_" not in words for words in (*NETWORKS.values(), *ladder.STEPS.values()))


def test_the_report_s_cross_lies_above_all_lines() -> None:
    """Also above the lines of many settings, of which the last one ends at the report's own numbers."""
    curve = {"unmoved": [80.0, 97.0], "moved": [40.0, 60.0]}
    models = dict.fromkeys(table.MODELS, curve)
    near = {"setting": "a", "epochs": dict.fromkeys(table.MODELS, 2), "distance": 1.0}
    kinds = ("equal epochs", "own epochs", "one training loss", "no gain on held-out images")
    found = {"trajectories": {"a": models}, "nearest": dict.fromkeys(kinds, near)}
    figure = draw("settings", {"settings": found})
    for axes in figure.axes:
        (below, above) = [line for line in axes.lines if line.get_marker() == "x"]
        others = [line for line in axes.lines if line.get_marker() in ("None", "")]
        assert max(line.get_zorder() for line in others) < below.get_zorder() < above.get_zorder()
        assert below.get_markeredgewidth() > above.get_markeredgewidth()
    (legend,) = figure.legends
    tops = [axes.patch.get_window_extent().y1 for axes in figure.axes]
    assert legend.get_window_extent().y0 > max(tops)


def test_a_study_is_drawn_in_the_formats_asked_for(tmp_path) -> None:
    value = summary_of("kernels")
    assert figures.draw_study(tmp_path, value, ("png",)) == [tmp_path / "kernels.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["kernels.png"]
