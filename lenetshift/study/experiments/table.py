"""The first experiment, Table 1: how many test images are answered right, unmoved and moved.

Four models learn the same unmoved images and answer every test image under every shift of a grid.
What is measured (:func:`lenetshift.metrics.summarize`): the right and wrong answers at shift (0, 0), and
over all shifts. What decides: whether the report's accuracy lies as far from ours as one more run of ours
would (:func:`cells`); and the parts of claims that the position-biased LeNet-5 settles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...models.table import ALL_MODELS, BASE_MODELS, DISPLAY_NAMES
from . import position_bias
from .criteria import MARGIN, Look, Measures, Part, above, in_most_seeds, looks, of
from .drawing import COLOURS, bar, cross, name_lines, page
from .experiment import Experiment
from .runs import BIASED, GRID, Run, per_seed
from .statistics import LEVEL, holm, p_of_one_run, prediction_interval, sample, within

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EPOCHS = 2
"""How many epochs the report's models train here."""

ALL_EPOCHS = (1, 2, 5, 10)
"""After which the position-biased LeNet-5 is evaluated."""

COLUMNS = ("unmoved", "moved")
"""Of Table 1."""

AGREES, WITHIN_A_POINT, DEVIATES = "agrees", "within a point", "deviates"
VERDICTS = (AGREES, WITHIN_A_POINT, DEVIATES)
"""The verdicts on a cell: one more run of ours may be as far off; or it may not, but the report's accuracy is
less than a point from our mean; or neither."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """The four models, and LeNet-5 on position-biased images, for every seed."""
    models = [Run("table", spec.name, 0, spec.name, (EPOCHS,)) for spec in BASE_MODELS]
    biased = Run(
        "table", position_bias.MODEL, 0, "lenet5", ALL_EPOCHS[:2] if quick else ALL_EPOCHS,
        training=BIASED, rule=position_bias.RULE_ROWS,
    )  # fmt: skip
    return per_seed(seeds, [*models, biased])


PRINTED = {spec.name: spec.report for spec in ALL_MODELS if spec.report is not None}
"""The report's Table 1 as printed (Tanaka Shin'ichi, "Characteristics of convolutional neural
networks", 畳み込みニューラルネットワークの特性, Tohoku University, 2024-04-20, revised
2024-04-23), the misprint included."""

MODELS = tuple(PRINTED)
"""The report's Models 0 to 3, those with a row in its Table 1."""

MISPRINT = (
    "Misprint in the report: Model 3's unmoved row does not add up, 8733 + 1217 = 9950 and not "
    "10,000; most likely 1267 was meant for 1217. The numbers stand here as printed."
)


def report_value(model: str, column: str) -> float:
    """The report's accuracy from its count of right answers, in per cent: of 10,000 or 550,000 (Model
    3's misprinted count of wrong ones is not used)."""
    row = PRINTED[model]
    if column == "unmoved":
        return 100 * row.unmoved[0] / 10_000
    return 100 * row.moved[0] / (10_000 * len(GRID))


def cells(
    measures: Measures, quick: bool = False, of_the_report: bool = True
) -> list[dict[str, Any]]:
    """The verdicts on Table 1's eight accuracies, next to ours, as a dossier holds them.

    Args:
        measures: of this experiment.
        quick: whether the study is a quick one, which has no verdicts and no intervals.
        of_the_report: whether the data are the report's; others have no verdicts.

    Returns:
        For each accuracy, in per cent and points:
        ``model``, ``column``: which; the column is ``"unmoved"`` or ``"moved"``;
        ``report``: the report's, from its counts;
        ``n``, ``mean``, ``sd``: ours over seeds;
        ``interval``: where one more run's value lies (prediction interval over seeds, 95 %);
        ``distance``: the report's less our mean, in points;
        ``distance_in_sds``: the same in standard deviations over seeds; None if they are 0;
        ``p``, ``p_corrected``: of a run as far from the mean as the report's, and corrected for eight looks;
        ``verdict``: ``"agrees"``, ``"within a point"`` or ``"deviates"``, by ``p_corrected``; None in a quick
        study or of other data.
    """
    samples = {
        (model, column): sample(measures[model, EPOCHS][column])
        for model in MODELS
        for column in COLUMNS
    }
    p = {cell: p_of_one_run(s, report_value(*cell)) for cell, s in samples.items()}
    verdicts = []
    for (cell, s), corrected in zip(samples.items(), holm(list(p.values())), strict=True):
        report, interval = report_value(*cell), within(prediction_interval(s), 0, 100)
        verdicts.append(
            {
                "model": cell[0],
                "column": cell[1],
                "report": report,
                "n": s.n,
                "mean": s.mean,
                "sd": s.sd,
                "interval": None if quick else interval,
                "distance": report - s.mean,
                "distance_in_sds": (report - s.mean) / s.sd if s.sd else None,
                "p": p[cell],
                "p_corrected": corrected,
                "verdict": _verdict(report - s.mean, corrected)
                if of_the_report and not quick
                else None,
                "interval_over": "seeds, of one more run",
            }
        )
    return verdicts


def values_read() -> Iterator[tuple[str, str, int, str]]:
    """What :func:`cells` reads: experiment, setting, epochs and measure."""
    for model in MODELS:
        for column in COLUMNS:
            yield "table", model, EPOCHS, column


def _verdict(distance: float, p_corrected: float) -> str:
    if p_corrected >= 1 - LEVEL:
        return AGREES
    return WITHIN_A_POINT if abs(distance) < MARGIN else DEVIATES


COLOUR_OF = {AGREES: COLOURS[0], WITHIN_A_POINT: COLOURS[4], DEVIATES: COLOURS[1]}


FARTHEST = 12.0
"""Standard deviations that the figure shows to each side; what lies farther away stands at its edge."""


def draw(value: Mapping[str, Any]) -> Figure:
    """How far the report's accuracies lie from our means, in standard deviations of our runs."""
    figure, (axes,) = page(
        "Table 1: the report beside one more run of ours",
        "standard deviations over seeds; bar: where 95 % of runs lie (prediction interval); dot: our mean; "
        "cross: the report",
        1,
        names=4.8,
        panel_width=7.6,
    )
    cells = value["table"]["cells"]
    farthest = 4.0
    for line, cell in enumerate(cells):
        colour, sd = COLOUR_OF.get(cell["verdict"], "grey"), cell["sd"]
        ends = (
            [(end - cell["mean"]) / sd for end in cell["interval"]]
            if cell["interval"] and sd
            else None
        )
        bar(axes, ends, line, color=colour, linewidth=8, alpha=0.5, solid_capstyle="butt")
        axes.plot(0, line, "o", color=colour)
        if (distance := cell["distance_in_sds"]) is not None:
            _report(axes, distance, line)
            farthest = max(farthest, min(abs(distance), FARTHEST))
        numbers = (
            f"report {cell['report']:.1f}, ours {cell['mean']:.1f} \N{PLUS-MINUS SIGN} {sd:.1f} %"
        )
        axes.text(1.02, line, numbers, transform=axes.get_yaxis_transform(), va="center", size=10)
    verdicts = [f": {cell['verdict']}" if cell["verdict"] else "" for cell in cells]
    names = [
        f"{DISPLAY_NAMES[cell['model']]}, {cell['column']}{verdict}"
        for cell, verdict in zip(cells, verdicts, strict=True)
    ]
    name_lines(axes, names)
    axes.set_xlim(-1.1 * farthest, 1.1 * farthest)
    axes.locator_params("x", integer=True)
    axes.set_xlabel("the report less our mean, in standard deviations of our runs")
    figure.subplots_adjust(right=1 - 2.5 / figure.get_figwidth())
    return figure


def _report(axes: Axes, distance: float, line: int) -> None:
    """The report's accuracy; if it lies beyond the figure's edge, an arrow with its distance."""
    if abs(distance) <= FARTHEST:
        cross(axes, distance, line, size=9)
        return
    side = 1 if distance > 0 else -1
    axes.plot(side * FARTHEST, line, "<>"[side > 0], color="black", markersize=9)
    near = side * (FARTHEST - 0.5)
    far = f"{distance:+.0f}".replace("-", "\N{MINUS SIGN}")
    axes.text(near, line, far, ha="right" if side > 0 else "left", va="center")


def _as_in_figures(name: str, hypothesis: str, measure: str) -> Part:
    criterion = in_most_seeds(of(position_bias.MODEL, name))
    look = (Look(EPOCHS, name),)
    return Part(
        4,
        name,
        hypothesis,
        measure,
        criterion,
        look,
        known=True,
        images=position_bias.FIGURES[name],
    )


EXPERIMENT = Experiment(
    "table",
    runs,
    draw,
    "Each cell of Table 1: how far the report's number lies from our mean, in standard deviations of our "
    "runs, beside the interval of one more run",
    (
        Part(
            4,
            "the answer follows the position",
            "LeNet-5, trained on position-biased digits, answers by the position.",
            "per cent of all test images answered 3 at dx = 3, and 2 at dx = -3, the smaller of the two",
            above(position_bias.follows(position_bias.MODEL), position_bias.HALF),
            looks((2, 1, 5, 10), position_bias.FOLLOWS),
            known=True,
        ),
        _as_in_figures(
            "figures 1 and 2",
            "Images 4017 and 4888 are read right unmoved, as 3 moved right and as 2 moved left.",
            "share of seeds in which at least 90 % of these images' patterns with |dx| of 3 or more are "
            "answered so; none of an image that is misread unmoved",
        ),
        _as_in_figures(
            "figures 3 and 4",
            "Images 5392 and 8655 are misread unmoved.",
            "share of seeds in which both images are misread unmoved",
        ),
    ),
)
