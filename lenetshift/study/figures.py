"""The figures of a study, each drawn from what ``dossier.json`` holds, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..figures.layout import save_figure
from ..figures.matplotlib_settings import figure_settings
from ..models.table import DISPLAY_NAMES
from .experiments import convolution, settings_grid
from .experiments.claims import report_value
from .experiments.table import MODELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
_MARKS = "osD^vP"

Summaries = dict[tuple[str, str, int], dict[str, Mapping[str, Any]]]


def draw_study(folder: Path, value: Mapping[str, Any]) -> list[Path]:
    """Write the figures of the experiments that a dossier has, and return their paths."""
    summaries: Summaries = {}
    for row in value["summaries"]:
        key = (row["experiment"], row["setting"], row["epochs"])
        summaries.setdefault(key, {})[row["measure"]] = row
    draw = {
        "table": lambda: _table(value["table"]["cells"]),
        "convolution": lambda: _convolution(summaries),
        "pooling": lambda: _dots("Pooling", "pooling", summaries),
        "symmetry": lambda: _symmetry(summaries),
        "settings_grid": lambda: _settings(value["settings_grid"]["rows"]),
        "position_bias": lambda: _position_bias(summaries),
        "place_blind": lambda: _dots(
            "A network that cannot read the place", "place_blind", summaries
        ),
    }
    paths = []
    for name in value["study"]["experiments"]:
        with figure_settings():
            figure = draw[name]()
            if value["note"]:
                figure.text(0.01, 0.01, value["note"], size=7, style="italic", weight="bold")
        for kind in ("png", "svg"):
            paths.append(folder / f"{name}.{kind}")
            save_figure(paths[-1], figure)
    return paths


def _page(
    title: str, subtitle: str, n_panels: int, height: float = 5, names: float = 0.9
) -> tuple[Figure, list[Axes]]:
    """A figure with panels beside each other; ``height`` of all, ``names`` of room at the left, inches."""
    from matplotlib.figure import Figure

    width = max(names + 5.2 * n_panels, 8.5)
    figure = Figure(figsize=(width, height), dpi=100)
    figure.text(0.15 / width, 1 - 0.15 / height, title, size=14, weight="bold", va="top")
    figure.text(0.15 / width, 1 - 0.5 / height, subtitle, va="top")
    axes = list(figure.subplots(1, n_panels, squeeze=False, sharey=True)[0])
    figure.subplots_adjust(
        names / width, 0.85 / height, 1 - 0.2 / width, 1 - 1.1 / height, wspace=0.08
    )
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
    return figure, axes


def _curve(
    axes: Axes, number: int, label: str, x: Sequence[float], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Means over seeds, with their 95 % intervals as a band."""
    colour = _COLOURS[number % len(_COLOURS)]
    means = [row["mean"] for row in rows]
    axes.plot(
        x, means, color=colour, marker=_MARKS[number % len(_MARKS)], label=label, markersize=5
    )
    low, high = zip(*(row["interval"] for row in rows), strict=True)
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)


def _table(cells: Sequence[Mapping[str, Any]]) -> Figure:
    figure, (axes,) = _page(
        "Table 1: the report beside one more run of ours",
        "bar: where 95 % of runs lie (prediction interval over seeds); cross: the report",
        1,
        names=4.2,
    )
    for row, cell in enumerate(cells):
        agrees = cell["verdict"] == "agrees"
        colour = _COLOURS[0] if agrees else _COLOURS[1]
        axes.plot(cell["interval"], [row, row], color=colour, linewidth=6, alpha=0.5)
        axes.plot(cell["mean"], row, "o", color=colour)
        axes.plot(cell["report"], row, "x", color="black", markersize=9, markeredgewidth=2)
    names = [f"{DISPLAY_NAMES[c['model']]}, {c['column']}: {c['verdict']}" for c in cells]
    axes.set_yticks(range(len(cells)), names)
    axes.invert_yaxis()
    axes.set_xlabel("accuracy, per cent")
    return figure


def _convolution(summaries: Summaries) -> Figure:
    figure, panels = _page(
        "Is the robustness the convolution's or the data's?",
        "accuracy after 2 epochs, dy = 0; dotted: the kernel's 5 pixels; bands: 95 % over seeds",
        2,
    )
    for axes, training in zip(panels, ("centred", "jittered"), strict=True):
        for number, model in enumerate(MODELS):
            of = summaries["convolution", f"{model}_{training}", 2]
            rows = [of[f"dx={dx}"] for dx in range(-5, 6)]
            _curve(axes, number, DISPLAY_NAMES[model], range(-5, 6), rows)
        for edge in (-convolution.KERNEL, convolution.KERNEL):
            axes.axvline(edge, color="grey", linestyle=":")
        axes.set_title(f"trained on {training} digits", size=11)
        axes.set_xlabel("dx (pixels; > 0 is right)")
        axes.set_ylim(0, 100)
    panels[0].set_ylabel("accuracy, per cent")
    panels[0].legend(frameon=False, fontsize=9)
    return figure


def _symmetry(summaries: Summaries) -> Figure:
    figure, (axes,) = _page(
        "Does C3's asymmetry matter?",
        "accuracy over all patterns; dashed: the report's Model 2; bands: 95 % over seeds",
        1,
    )
    for number, model in enumerate(("lenet5", "symmetric_lenet5")):
        epochs = sorted(e for name, s, e in summaries if (name, s) == ("symmetry", model))
        rows = [summaries["symmetry", model, epoch]["moved"] for epoch in epochs]
        _curve(axes, number, DISPLAY_NAMES[model], epochs, rows)
    axes.axhline(report_value("symmetric_lenet5", "moved"), color="black", linestyle="--")
    axes.set_xticks(epochs)
    axes.set_xlabel("epochs")
    axes.set_ylabel("accuracy (moved), per cent")
    axes.legend(frameon=False)
    return figure


def _settings(rows: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    figure, (axes,) = _page(
        "Which settings give the report's rows?",
        "a mark a setting of learning rate, batch size, epochs and activation; cross: the report",
        1,
    )
    for number, model in enumerate(MODELS):
        colour = _COLOURS[number]
        unmoved, moved = zip(*(models[model] for models in rows.values()), strict=True)
        axes.plot(
            unmoved, moved, _MARKS[number], color=colour, alpha=0.5, label=DISPLAY_NAMES[model]
        )
        axes.plot(*settings_grid.reported(model), "x", color=colour, markersize=12, mew=3)
    axes.set_xlabel("accuracy (unmoved), per cent")
    axes.set_ylabel("accuracy (moved), per cent")
    axes.legend(frameon=False, fontsize=9)
    return figure


def _position_bias(summaries: Summaries) -> Figure:
    figure, panels = _page(
        "Does the answer follow the position?",
        "share of all test images answered so, 3 trained to the right and 2 to the left by 3 pixels",
        2,
    )
    names = [s for name, s, _ in summaries if name == "position_bias" and s.endswith("_by_3")]
    for axes, digit in zip(panels, (3, 2), strict=True):
        for number, setting in enumerate(names):
            of = summaries["position_bias", setting, 2]
            rows = [of[f"answered {digit} at dx={dx}"] for dx in range(-5, 6)]
            _curve(axes, number, setting.removesuffix("_by_3"), range(-5, 6), rows)
        axes.set_title(f"answered {digit}", size=11)
        axes.set_xlabel("dx (pixels; > 0 is right)")
        axes.set_ylim(0, 100)
    panels[0].set_ylabel("per cent of the images")
    panels[0].legend(frameon=False, fontsize=9)
    return figure


def _dots(title: str, experiment: str, summaries: Summaries) -> Figure:
    """One row a setting: accuracy unmoved and moved."""
    settings = [(s, e) for name, s, e in summaries if name == experiment]
    figure, (axes,) = _page(
        title,
        "accuracy, means and 95 % intervals over seeds",
        1,
        2.2 + 0.35 * len(settings),
        names=2.8,
    )
    for number, column in enumerate(("unmoved", "moved")):
        for row, (setting, epochs) in enumerate(settings):
            of = summaries[experiment, setting, epochs][column]
            axes.plot(of["interval"], [row, row], color=_COLOURS[number], linewidth=2)
            label = column if row == 0 else None
            axes.plot(of["mean"], row, _MARKS[number], color=_COLOURS[number], label=label)
    axes.set_yticks(range(len(settings)), [setting for setting, _ in settings])
    axes.invert_yaxis()
    axes.set_xlabel("accuracy, per cent")
    axes.legend(frameon=False)
    return figure
