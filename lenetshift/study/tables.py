"""What a study found, as Markdown: blocks of tables and figures from a dossier or its summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..models.table import DISPLAY_NAMES
from .experiments import position_bias

EPOCHS = 2
"""After so many the networks are compared."""

_COLUMNS = ("unmoved", "moved")

ALTERNATIVES = {
    "table": "Each cell of Table 1: the report's number beside the interval of one more of our runs",
    "convolution": "Accuracy against dx for the four models, trained on centred and on jittered digits",
    "pooling": "Accuracy unmoved and moved for each kind of pooling",
    "symmetry": "Accuracy over all patterns after 1 to 12 epochs, LeNet-5 and symmetric LeNet-5",
    "settings_grid": "Accuracy unmoved against moved for every setting of the grid, and the report's rows",
    "position_bias": "Share of all test images answered 3, and 2, against dx, for several networks",
    "place_blind": "Accuracy unmoved and moved of LeNet-5 and of a network that cannot read the place",
}
"""What a figure shows, for who cannot see it."""


def blocks(summary: Mapping[str, Any], figures: str = "") -> dict[str, str]:
    """Name -> Markdown of all that a summary says.

    Args:
        summary: of :func:`lenetshift.study.summary.summarize_dossier`, of a study of all experiments.
        figures: the folder of the figures, as links write it.
    """
    claims = {f"claim {claim['claim']}": _claim(claim) for claim in summary["claims"]}
    drawn = {
        f"figure {name}": f"![{ALTERNATIVES[name]}]({figures}{name}.png)"
        for name in summary["study"]["experiments"]
    }
    made = {
        "origin": _origin(summary),
        "verdicts": _verdicts(summary["claims"]),
        "table": _table(summary["table"]["cells"]),
        "settings": _settings(summary["settings_grid"]),
        "epochs": _epochs(summary),
        "networks": _networks(summary),
        "places": _places(summary),
    }
    return {**made, **claims, **drawn}


def _origin(summary: Mapping[str, Any]) -> str:
    ground, env, study = summary["ground"], summary["environment"], summary["study"]
    return (
        f"From {summary['n_runs']:,} runs of `python -m lenetshift.study`, up to {study['seeds']} seeds "
        f"a setting; lenetshift {ground['lenetshift']}, commit {env['commit']}; "
        f"PyTorch {ground['torch']}, Python {env['python']}, {ground['isa']}, {env['processor']}, "
        f"{env['logical_cpus']} cores. SHA-256 of `dossier.json`: `{summary['dossier_sha256']}`."
    )


def _verdicts(claims: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (claim["claim"], claim["sentence"], f"**{claim['verdict']}**", _by_verdict(claim["parts"]))
        for claim in claims
    ]
    return table(("claim", "the report", "our verdict", "part by part"), rows)


def _by_verdict(parts: Sequence[Mapping[str, Any]]) -> str:
    """The names of a claim's parts, those of one verdict together."""
    names: dict[str, list[str]] = {}
    for part in parts:
        names.setdefault(part["verdict"], []).append(part["name"])
    return "; ".join(
        f"{verdict}: {', '.join(f'*{name}*' for name in of)}" for verdict, of in names.items()
    )


def _table(cells: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            DISPLAY_NAMES[cell["model"]],
            cell["column"],
            f"{cell['report']:.1f}",
            f"{cell['mean']:.1f} ± {cell['sd']:.1f}",
            _interval(cell["interval"]),
            f"**{cell['verdict']}**",
            f"{cell['distance']:+.1f}",
            "" if cell["distance_in_sds"] is None else f"{cell['distance_in_sds']:+.1f}",
            _p(cell["p_corrected"]),
        )
        for cell in cells
    ]
    head = (
        "model",
        "images",
        "report",
        "ours",
        "95 % of runs",
        "verdict",
        "points",
        "sd",
        "p (Holm)",
    )
    return table(head, rows)


def _claim(claim: Mapping[str, Any]) -> str:
    rows = [
        (
            part["name"],
            part["hypothesis"],
            part["measure"],
            "" if part["value"] is None else f"{part['value']:.1f} {_interval(part['interval'])}",
            f"**{part['verdict']}**",
        )
        for part in claim["parts"]
    ]
    head = ("part", "says", "measured", "value [95 % over seeds]", "verdict")
    return f"> {claim['sentence']}\n\nOur verdict: **{claim['verdict']}**.\n\n{table(head, rows)}"


def _settings(grid: Mapping[str, Any]) -> str:
    rows = [
        (name, f"`{found['setting']}`", f"{found['distance']:.1f}", found["within_a_point"])
        for name, found in grid["nearest"].items()
    ]
    head = (
        "rows of Table 1",
        "nearest setting",
        "off by (points)",
        "settings within a point of it",
    )
    met = grid["meet_model_2"]
    names = ", ".join(f"`{name}`" for name in met)
    return (
        f"{table(head, rows)}\n\nOf {grid['n_settings']} settings, {len(met) or 'none'} "
        f"{'meets' if len(met) in (0, 1) else 'meet'} Model 2's row{': ' + names if met else ''}."
    )


def _epochs(summary: Mapping[str, Any]) -> str:
    """The experiment symmetry, epoch by epoch."""
    models = ("lenet5", "symmetric_lenet5")
    found = _summaries(summary, "symmetry")
    epochs = sorted({epoch for _, epoch in found})
    rows = [
        (epoch, *(_mean(found[model, epoch][column]) for model in models for column in _COLUMNS))
        for epoch in epochs
    ]
    head = ("epochs", *(f"{DISPLAY_NAMES[m]}, {c}" for m in models for c in _COLUMNS))
    return table(head, rows)


def _networks(summary: Mapping[str, Any]) -> str:
    """All networks and training images of the study after two epochs, a row each."""
    rows = []
    for experiment in ("convolution", "pooling", "place_blind"):
        for (setting, epoch), measures in _summaries(summary, experiment).items():
            if epoch == EPOCHS:
                shown = [_mean(measures[name]) for name in (*_COLUMNS, "worst_case", "consistency")]
                rows.append((experiment, f"`{setting}`", measures["moved"]["n_seeds"], *shown))
    head = ("experiment", "setting", "seeds", *_COLUMNS, "right at every shift", "consistency")
    return table(head, rows)


def _places(summary: Mapping[str, Any]) -> str:
    """Position bias: how many images follow the rule where it put its digits."""
    rows = []
    for (setting, _), measures in _summaries(summary, "position_bias").items():
        shown = [
            f"{digit} at {dx:+d}: {_mean(measures[f'answered {digit} at dx={dx}'])}"
            for digit, dx in _shifted_digits(setting)
        ]
        rows.append((f"`{setting}`", *(_mean(measures[c]) for c in _COLUMNS), *shown))
    return table(("setting", *_COLUMNS, "answered the right one", "answered the left one"), rows)


def _shifted_digits(setting: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Digit and dx of what a position-biased setting moved right, and left; of all digits moved alike,
    the report's two."""
    for right, left in position_bias.OTHER_PAIRS:
        if setting == f"lenet5_{right}_and_{left}":
            return (right, 3), (left, -3)
    bias = int(setting.rpartition("_by_")[2]) if "_by_" in setting else 3
    return (3, bias), (2, -bias)


def _summaries(
    summary: Mapping[str, Any], experiment: str
) -> dict[tuple[str, int], dict[str, Mapping[str, Any]]]:
    """(setting, epochs) -> measure -> row, of one experiment."""
    found: dict[tuple[str, int], dict[str, Mapping[str, Any]]] = {}
    for row in summary["summaries"]:
        if row["experiment"] == experiment:
            found.setdefault((row["setting"], row["epochs"]), {})[row["measure"]] = row
    return found


def _mean(row: Mapping[str, Any]) -> str:
    return "diverged" if row["mean"] is None else f"{row['mean']:.1f} ± {row['sd']:.1f}"


def _interval(ends: Sequence[float]) -> str:
    return f"[{ends[0]:.1f}, {ends[1]:.1f}]"


def _p(value: float) -> str:
    return f"{value:.2f}" if value >= 0.01 else f"{value:.0e}"


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Lines of a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |" for cells in lines
    )
