"""The blocks of REPRODUCTION.md that are tables of numbers; each is made from a study's summary."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from reproduction_format import decimals, interval, probability, spread, table, verdict
from reproduction_values import values_of

from lenetshift.models.table import DISPLAY_NAMES
from lenetshift.study.experiments import ladder, nearest, position_bias, settings, symmetry
from lenetshift.study.experiments.drawing import Rows, rows_of
from lenetshift.study.experiments.kernels import NETWORKS as KERNELS
from lenetshift.study.experiments.runs import BIASED, CENTRED, GRID, JITTERED, Run
from lenetshift.study.experiments.statistics import Sample, prediction_interval, within
from lenetshift.study.experiments.table import COLUMNS, EPOCHS, MODELS, report_value
from lenetshift.study.experiments.words import NETWORKS

Summary = Mapping[str, Any]


def cells(summary: Summary) -> str:
    """Table 1: the report's accuracies beside ours."""
    rows = [
        (
            DISPLAY_NAMES[cell["model"]],
            cell["column"],
            f"{cell['report']:.1f}",
            cell["n"],
            f"{cell['mean']:.1f} ± {cell['sd']:.1f}",
            interval(cell["interval"]),
            verdict(cell["verdict"]),
            f"{cell['distance']:+.1f}",
            "" if cell["distance_in_sds"] is None else f"{cell['distance_in_sds']:+.1f}",
            probability(cell["p_corrected"]).removeprefix("p ").removeprefix("= "),
        )
        for cell in summary["table"]["cells"]
    ]
    about = ("model", "images", "report", "seeds", "ours", "95 % of runs", "verdict")
    return table((*about, "points", "sd", "p, corrected"), rows)


def n_seeds(of: Mapping[str, Mapping[str, Any]]) -> int:
    """How many seeds the measures of one setting are over."""
    count: int = of["moved"]["n_seeds"]
    return count


def nearest_settings(summary: Summary) -> str:
    """The nearest setting for each way to choose the epochs."""
    words = settings.words_of_settings()
    found = summary["settings"]
    rows = [
        (
            kind,
            words[near["setting"]],
            " / ".join(str(near["epochs"][model]) for model in MODELS),
            f"{near['distance']:.1f}",
            near["within_a_point"],
        )
        for kind, near in found["nearest"].items()
    ]
    head = (
        "epochs chosen by",
        "nearest setting",
        "epochs of Models 0 / 1 / 2 / 3",
        "off by (points)",
        "settings within a point of it",
    )
    return table(head, rows)


def nearest_over_seeds(summary: Summary) -> str:
    """Over all seeds: the settings of the experiment nearest beside the report."""
    rows = rows_of(summary, "nearest")
    lines = []
    for near in nearest.NEAREST:
        for model in MODELS:
            of = rows.get((f"{model}_{near.name}", near.epochs_of(model)))
            if of is not None:  # a quick study trains for fewer
                lines.append((near.words, *_beside_the_report(model, near.epochs_of(model), of)))
    about = ("setting", "model", "epochs", "seeds")
    columns = [f"{whose}, {c}" for c in COLUMNS for whose in ("report", "ours", "95 % of runs")]
    return f"{table((*about, *columns), lines)}\n\n{_rows_met(summary)}".rstrip()


def _beside_the_report(model: str, epochs: int, of: Mapping[str, Any]) -> Iterator[object]:
    yield from (DISPLAY_NAMES[model], epochs, n_seeds(of))
    for column in COLUMNS:
        row = of[column]
        yield f"{report_value(model, column):.1f}"
        yield spread(row)
        yield one_more_run(row)


def one_more_run(row: Mapping[str, Any]) -> str:
    """Where 95 % of runs lie."""
    if row["interval"] is None:
        return ""
    ends = prediction_interval(Sample(row["n_seeds"], row["mean"], row["sd"]))
    return interval(within(ends, 0, 100))


def _rows_met(summary: Summary) -> str:
    """How likely one more run is as far off as the report's rows, both accuracies at once."""
    near, measures = nearest.OWN_EPOCHS, values_of(summary)["nearest"]
    tried = sorted(epoch for setting, epoch in measures if setting == _symmetric())
    if not tried:
        return ""
    best = best_epochs_of_model_2(summary)
    said = [
        f"{DISPLAY_NAMES[model]} after {epoch} epochs: {probability(p)}"
        for model in MODELS
        for epoch in [best if model == nearest.SYMMETRIC else near.epochs_of(model)]
        for p in [nearest.p_of_row(measures, near, model, epoch)]
    ]
    return (
        "How likely one more run of ours is as far from our mean as the report's row, in both accuracies at "
        f"once, in the first setting: {'; '.join(said)}. Model 2's number of epochs here is the best of "
        f"{tried[0]} to {tried[-1]}."
    )


def _symmetric() -> str:
    return f"{nearest.SYMMETRIC}_{nearest.OWN_EPOCHS.name}"


def best_epochs_of_model_2(summary: Summary) -> int:
    """The number of epochs at which Model 2 comes nearest to its row of the report."""
    measures = values_of(summary)["nearest"]
    tried = sorted(epoch for setting, epoch in measures if setting == _symmetric())
    near = nearest.OWN_EPOCHS
    return max(tried, key=lambda e: nearest.p_of_row(measures, near, nearest.SYMMETRIC, e))


def epochs(summary: Summary) -> str:
    """The experiment symmetry, epoch by epoch."""
    found = rows_of(summary, "symmetry")
    rows = [
        (
            epoch,
            n_seeds(found[symmetry.MODELS[0], epoch]),
            *(spread(found[m, epoch][c]) for m in symmetry.MODELS for c in COLUMNS),
        )
        for epoch in sorted({epoch for _, epoch in found})
    ]
    head = (
        "epochs",
        "seeds",
        *(f"{DISPLAY_NAMES[m]}, {c}" for m in symmetry.MODELS for c in COLUMNS),
    )
    return table(head, rows)


def steps(summary: Summary) -> str:
    """The ladder: a row for each network, trained on biased digits; and its ends trained on centred ones."""
    found = rows_of(summary, "ladder")
    rows = [
        (
            ladder.NUMBERS[name],
            what,
            "position-biased" if training == BIASED else training,
            n_seeds(of),
            *(spread(of[column]) for column in COLUMNS),
            *_by_the_place(of, position_bias.RULE_ROWS if training == BIASED else ()),
        )
        for training in (BIASED, CENTRED)
        for name, what in ladder.STEPS.items()
        if (of := found.get((f"{name}_{training}", EPOCHS))) is not None
    ]
    answered = [f"answered {digit} at dx = {dx:+d}" for digit, dx, _ in position_bias.RULE_ROWS]
    return table(("", "what differs", "trained on", "seeds", *COLUMNS, *answered), rows)


def _by_the_place(of: Mapping[str, Any], rule: Sequence[tuple[int, int, int]]) -> list[str]:
    if not rule:
        return ["", ""]
    return [spread(of[f"answered {digit} at dx={dx}"]) for digit, dx, _ in rule]


def places(summary: Summary) -> str:
    """Position bias: how many images follow the rule where it put its digits; if it moves all digits
    alike, at the places of the report's two."""
    rows = []
    for run, of in _biased_runs(summary):
        if is_usual(run):
            rule = run.rule if len(run.rule) == 2 else position_bias.RULE_ROWS
            shown = [
                f"{digit} at {dx:+d}: {share}"
                for (digit, dx, _), share in zip(rule, _by_the_place(of, rule), strict=True)
            ]
            rows.append(
                (
                    NETWORKS[run.network],
                    _moved(run),
                    n_seeds(of),
                    *(spread(of[c]) for c in COLUMNS),
                    *shown,
                )
            )
    head = (
        "network",
        "moved in training",
        "seeds",
        *COLUMNS,
        "answered with the digit moved right",
        "with that moved left",
    )
    return table(head, rows)


def is_usual(run: Run) -> bool:
    """Whether it moves all images of its digits, and trains at the usual learning rate."""
    return (run.share, run.learning_rate) == (Run.share, Run.learning_rate)


def _moved(run: Run) -> str:
    if len(run.rule) > 2:
        return f"all digits by {run.rule[0][1]:+d}"
    return ", ".join(f"{digit} by {dx:+d}" for digit, dx, _ in run.rule if dx) or "none"


def _biased_runs(summary: Summary) -> Iterator[tuple[Run, Mapping[str, Any]]]:
    """The settings of the experiment position_bias that a study has, with their measures."""
    found = rows_of(summary, "position_bias")
    for run in position_bias.runs([0]):
        if (run.setting, EPOCHS) in found:
            yield run, found[run.setting, EPOCHS]


def shares(summary: Summary) -> str:
    """Position bias of LeNet-5 against the share of the moved digits, and the learning rate."""
    chosen = [
        (run, of)
        for run, of in _biased_runs(summary)
        if run.network == "lenet5" and run.rule == position_bias.RULE_ROWS
    ]
    usual = Run.learning_rate
    by_share = sorted((p for p in chosen if p[0].learning_rate == usual), key=lambda p: p[0].share)
    by_rate = [pair for pair in chosen if pair[0].learning_rate != usual]
    rows = [
        (
            f"{100 * run.share:g} %",
            f"{run.learning_rate:g}",
            n_seeds(of),
            *(spread(of[column]) for column in COLUMNS),
            *_by_the_place(of, run.rule),
        )
        for run, of in (*by_share, *by_rate)
    ]
    answered = [f"answered {digit} at dx = {dx:+d}" for digit, dx, _ in position_bias.RULE_ROWS]
    return table(("3s and 2s moved", "learning rate", "seeds", *COLUMNS, *answered), rows)


def first_classes(summary: Summary) -> str:
    """For each true digit, how many of its images are answered by the place."""
    rows = []
    for run, _ in _biased_runs(summary):
        if (
            run.network == "lenet5"
            and is_usual(run)
            and [abs(dx) for _, dx, _ in run.rule] == [3, 3]
        ):
            for digit, dx, _ in run.rule:
                by_class = answered_at(summary, run.setting, digit, dx)
                shown = [f"{by_class[c]:.0f}" if c in by_class else "" for c in DIGITS]
                rows.append((_moved(run), f"{digit} at dx = {dx:+d}", *shown))
    return table(("moved in training", "answered", *(f"true {digit}" for digit in DIGITS)), rows)


DIGITS = [str(digit) for digit in range(10)]


def answered_at(summary: Summary, setting: str, digit: int, dx: int) -> dict[str, float]:
    """True class -> per cent of its images that one setting of position_bias answers with a digit at dx."""
    for row in summary["answered_by_class"]:
        if (row["experiment"], row["setting"], row["epochs"]) == ("position_bias", setting, EPOCHS):
            of = row["answered"][str(digit)]
            return {shown: at[GRID.dx.index(dx)] for shown, at in of.items() if shown != "all"}
    raise KeyError(setting)


def facts(summary: Summary) -> str:
    """What is measured on images and layers."""
    found = summary["facts"]
    correlation = found["pixel_correlation"]
    far = [d for d in correlation if int(d) in (1, 2, 3, 4, 5, 7, 10, 14)]
    first = table(
        ("pixels apart", *far), [("correlation", *(decimals(correlation[d], 2) for d in far))]
    )
    r2 = found["pixels_from_s2"]["mean"] or {}
    third = table(
        ("units a side of S2", *r2), [("R² of the pixels", *(f"{v:.2f}" for v in r2.values()))]
    )
    return "\n\n".join((first, _similarities(found), third))


def _similarities(found: Mapping[str, Any]) -> str:
    aligned = found["aligned_similarity"]["mean"] or {}
    rows = [
        (
            NETWORKS[model],
            layer,
            *(_at(values, dx) for dx in (1, 2, 5)),
            *(
                _at(aligned[layer], dx) if model == "lenet5" and layer in aligned else ""
                for dx in (2, 4)
            ),
        )
        for model, of in found["layer_similarity"].items()
        for layer, values in (of["mean"] or {}).items()
    ]
    head = ("network", "layer", *(f"dx = {dx}" for dx in (1, 2, 5)))
    return table((*head, *(f"moved back, dx = {dx}" for dx in (2, 4))), rows)


def _at(values: Sequence[float | None], dx: int) -> str:
    """The mean of a measure at -dx and dx; nothing where it has no value."""
    both = [values[GRID.dx.index(way * dx)] for way in (-1, 1)]
    known = [value for value in both if value is not None]
    return decimals(sum(known) / len(known), 2) if known else ""


def lost(of: Mapping[str, Any], dx: int) -> float:
    """Points lost when images are moved so far left or right, dy = 0."""
    ends = [of[f"dx={way * dx}"]["mean"] for way in (-1, 1)]
    return float(of["dx=0"]["mean"] - sum(ends) / 2)


def losses(summary: Summary) -> str:
    """Points lost at 1 to 5 pixels, and their share of the MLP's."""
    distances = [dx for dx in GRID.dx if dx > 0]
    mlp = rows_of(summary, "convolution")[f"mlp_{CENTRED}", EPOCHS]
    found = rows_of(summary, "kernels")
    lines = {"MLP": mlp}
    lines |= {f"LeNet-5, {k} x {k} kernels": found[name, EPOCHS] for k, name in KERNELS.items()}
    rows = [
        (
            name,
            n_seeds(of),
            *(spread(of[column]) for column in COLUMNS),
            *(f"{lost(of, dx):.1f}{_ratio(lost(of, dx), lost(mlp, dx))}" for dx in distances),
        )
        for name, of in lines.items()
    ]
    return table(("network", "seeds", *COLUMNS, *(f"lost at {dx}" for dx in distances)), rows)


def _ratio(loss: float, of_mlp: float) -> str:
    return f" ({loss / of_mlp:.2f})" if of_mlp > 0 else ""


MODEL_3 = {
    "average of 4 x 4 (our choice)": "mlp_average_4",
    "largest of 4 x 4": "mlp_max_4",
    "first pixel of 4 x 4": "mlp_subsampling_4",
}


def model_3(summary: Summary) -> str:
    """Kinds of 4 x 4 pooling beside the report's Model 3."""
    found = rows_of(summary, "pooling")
    reported = [report_value("pooled_mlp", column) for column in COLUMNS]
    rows: list[Sequence[object]] = [("the report", 1, *(f"{value:.1f}" for value in reported), "")]
    for name, setting in MODEL_3.items():
        of = found[setting, EPOCHS]
        off = [of[c]["mean"] - value for c, value in zip(COLUMNS, reported, strict=True)]
        distance = math.sqrt(sum(one**2 for one in off) / len(off))
        rows.append(
            (name, n_seeds(of), *(spread(of[column]) for column in COLUMNS), f"{distance:.1f}")
        )
    return table(("pooling", "seeds", *COLUMNS, "off by (points)"), rows)


def networks(summary: Summary) -> str:
    """A row for each network and its training images, after two epochs."""
    measures = (*COLUMNS, "kept", "worst_case", "consistency")
    rows = [
        (experiment, words, n_seeds(of), *(spread(of[name]) for name in measures))
        for experiment in ("convolution", "locality", "kernels", "pooling")
        for words, of in _named(rows_of(summary, experiment))
    ]
    shown = (*COLUMNS, "kept", "right at every shift", "consistency")
    return table(("experiment", "network", "seeds", *shown), rows)


def _named(rows: Rows) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The settings after two epochs, in words."""
    words = NETWORKS | {
        f"{model}_{training}": f"{DISPLAY_NAMES[model]}, {training} digits"
        for model in MODELS
        for training in (CENTRED, JITTERED)
    }
    for (setting, epoch), of in rows.items():
        if epoch == EPOCHS:
            yield words[setting], of


TABLES: dict[str, Callable[[Summary], str]] = {
    "table": cells,
    "model 3": model_3,
    "facts": facts,
    "kernels": losses,
    "epochs": epochs,
    "settings": nearest_settings,
    "nearest": nearest_over_seeds,
    "ladder": steps,
    "places": places,
    "shares": shares,
    "first classes": first_classes,
    "networks": networks,
}
"""Block -> what writes it."""
