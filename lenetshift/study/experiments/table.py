"""The first experiment, Table 1: how many test images are answered right, unmoved and moved.

Four models learn the same unmoved images and answer every test image under every shift of a grid.
What is measured (:func:`lenetshift.metrics.summarize`): the right and wrong answers at shift (0, 0), and
over all shifts. What decides: whether the report's accuracy lies where one more run of ours would
(:func:`cells`); and the parts of claims that these runs and those of the position-biased LeNet-5 settle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...models.table import ALL_MODELS, BASE_MODELS, DISPLAY_NAMES
from . import position_bias
from .criteria import Measures, Part, Quantity, above, below, larger, measured, not_larger
from .drawing import COLOURS, page
from .experiment import Experiment
from .runs import BIASED, GRID, Run, per_seed
from .statistics import holm, p_of_one_run, prediction_interval, sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPOCHS = 2
"""How many epochs the report's models train here."""

COLUMNS = ("unmoved", "moved")
"""Of Table 1."""

MILD_LOSS = 10.0
"""Points that a network may lose and still be called mildly robust: LeNet-5's lead over the perceptron
in Table 1, 19 points, would be halved by more."""

AGREES, DEVIATES = "agrees", "deviates"


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """The four models, and LeNet-5 on position-biased images, for every seed."""
    models = [Run("table", spec.name, 0, spec.name, (EPOCHS,)) for spec in BASE_MODELS]
    biased = Run(
        "table", position_bias.MODEL, 0, "lenet5", (EPOCHS,),
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


def cells(measures: Measures) -> list[dict[str, Any]]:
    """The verdicts on Table 1's eight accuracies, next to ours, as a dossier holds them.

    Args:
        measures: of this experiment.

    Returns:
        For each accuracy, in per cent and points:
        ``model``, ``column``: which; the column is ``"unmoved"`` or ``"moved"``;
        ``report``: the report's, from its counts;
        ``n``, ``mean``, ``sd``: ours over seeds;
        ``interval``: where one more run's value lies (prediction interval over seeds, 95 %);
        ``distance``: the report's less our mean, in points;
        ``distance_in_sds``: the same in standard deviations over seeds; None if they are 0;
        ``p``, ``p_corrected``: of a run as far from the mean as the report's, and corrected for eight looks;
        ``verdict``: ``"agrees"`` if the report's lies in the interval, else ``"deviates"``.
    """
    samples = {
        (model, column): sample(measures[model, EPOCHS][column])
        for model in MODELS
        for column in COLUMNS
    }
    p = {cell: p_of_one_run(s, report_value(*cell)) for cell, s in samples.items()}
    verdicts = []
    for (cell, s), corrected in zip(samples.items(), holm(list(p.values())), strict=True):
        report, interval = report_value(*cell), prediction_interval(s)
        verdicts.append(
            {
                "model": cell[0],
                "column": cell[1],
                "report": report,
                "n": s.n,
                "mean": s.mean,
                "sd": s.sd,
                "interval": interval,
                "distance": report - s.mean,
                "distance_in_sds": (report - s.mean) / s.sd if s.sd else None,
                "p": p[cell],
                "p_corrected": corrected,
                "verdict": AGREES if interval.includes(report) else DEVIATES,
                "interval_over": "seeds, of one more run",
            }
        )
    return verdicts


def draw(value: Mapping[str, Any]) -> Figure:
    """Each cell of Table 1: the report's accuracy, our mean and the interval of one more run."""
    figure, (axes,) = page(
        "Table 1: the report beside one more run of ours",
        "bar: where 95 % of runs lie (prediction interval over seeds); cross: the report",
        1,
        names=4.2,
    )
    cells = value["table"]["cells"]
    for line, cell in enumerate(cells):
        colour = COLOURS[0] if cell["verdict"] == AGREES else COLOURS[1]
        axes.plot(cell["interval"], [line, line], color=colour, linewidth=6, alpha=0.5)
        axes.plot(cell["mean"], line, "o", color=colour)
        axes.plot(cell["report"], line, "x", color="black", markersize=9, markeredgewidth=2)
    names = [f"{DISPLAY_NAMES[c['model']]}, {c['column']}: {c['verdict']}" for c in cells]
    axes.set_yticks(range(len(cells)), names)
    axes.invert_yaxis()
    axes.set_xlabel("accuracy, per cent")
    return figure


def lost_at(distance: int) -> Quantity:
    """Points that LeNet-5, trained on centred digits, loses when moved so far left or right."""

    def lost(measures: Measures) -> list[float]:
        of = measures["lenet5", EPOCHS]
        columns = (of[f"dx={dx}"] for dx in (0, -distance, distance))
        return [centre - (left + right) / 2 for centre, left, right in zip(*columns, strict=True)]

    return lost


def _as_in_figures(name: str, hypothesis: str, measure: str) -> Part:
    quantity = measured(position_bias.MODEL, name)
    criterion = above(quantity, position_bias.HALF)
    return Part(4, name, hypothesis, measure, criterion, position_bias.FIGURES[name])


EXPERIMENT = Experiment(
    "table",
    runs,
    draw,
    "Each cell of Table 1: the report's number beside the interval of one more of our runs",
    (
        Part(
            1,
            "convolution helps",
            "LeNet-5 is more robust to movement than a perceptron.",
            "accuracy over all patterns: LeNet-5 less the perceptron, after 2 epochs",
            larger(measured("lenet5"), measured("mlp")),
        ),
        Part(
            1,
            "well below the kernel",
            "Half a kernel's movement is borne.",
            "points that LeNet-5 loses at |dx| = 2, dy = 0, after 2 epochs",
            below(lost_at(2), MILD_LOSS),
        ),
        Part(
            1,
            "not at the kernel's size",
            "A whole kernel's movement is not borne.",
            "points that LeNet-5 loses at |dx| = 5, dy = 0, after 2 epochs",
            above(lost_at(5), MILD_LOSS),
        ),
        Part(
            2,
            "Model 3",
            "A perceptron behind 4-fold pooling is no more robust than one without.",
            "accuracy over all patterns: Model 3 less Model 1, after 2 epochs",
            not_larger(measured("pooled_mlp"), measured("mlp")),
        ),
        Part(
            4,
            "the answer follows the position",
            "LeNet-5, trained on position-biased digits, answers by the position.",
            "per cent of all test images answered 3 at dx = 3, and 2 at dx = -3, the smaller of the two",
            above(position_bias.follows(position_bias.MODEL), position_bias.HALF),
        ),
        _as_in_figures(
            "figures 1 and 2",
            "Images 4017 and 4888 are read right unmoved, as 3 moved right and as 2 moved left.",
            "per cent of these images' patterns with |dx| of 3 or more that are answered so; none of an "
            "image that is misread unmoved",
        ),
        _as_in_figures(
            "figures 3 and 4",
            "Images 5392 and 8655 are misread unmoved.",
            "per cent of these two images that are misread unmoved",
        ),
    ),
)
