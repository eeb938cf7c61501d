"""Writes the tables of REPRODUCTION.md: ``python tools/generate/reproduction.py [DOSSIER]``.

With a dossier, verifies it first and stores its summary and figures in docs/reproduction/; without one,
uses the stored summary. What stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end
-->`` is rewritten; everything else is written by hand.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lenetshift.models.table import DISPLAY_NAMES
from lenetshift.study.experiments import EXPERIMENTS, position_bias, symmetry
from lenetshift.study.experiments.drawing import rows_of
from lenetshift.study.experiments.table import COLUMNS, EPOCHS
from lenetshift.study.publish import DOSSIER
from lenetshift.study.summary import SUMMARY, read_summary, summarize_dossier, write_summary
from lenetshift.study.verification import verify

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "REPRODUCTION.md"
KEPT = ROOT / "docs" / "reproduction"


def keep(dossier: Path) -> None:
    """Verify a dossier, and store its summary and figures."""
    value = verify(dossier)
    KEPT.mkdir(parents=True, exist_ok=True)
    write_summary(KEPT / SUMMARY, summarize_dossier((dossier / DOSSIER).read_bytes()))
    for name in value["study"]["experiments"]:
        shutil.copyfile(dossier / f"{name}.png", KEPT / f"{name}.png")


def render(text: str) -> str:
    """The page with every block rewritten; ValueError if a block is unknown."""
    found = blocks(read_summary(KEPT / SUMMARY), "docs/reproduction/")

    def block(match: re.Match[str]) -> str:
        name = match[1]
        if name not in found:
            raise ValueError(f"{PAGE.name}: got the block {name!r}, expected {', '.join(found)}")
        return f"<!-- {name}: begin -->\n{found[name]}\n<!-- {name}: end -->"

    return re.sub(r"<!-- ([^:]+): begin -->.*?<!-- \1: end -->", block, text, flags=re.DOTALL)


def blocks(summary: Mapping[str, Any], figures: str = "") -> dict[str, str]:
    """Name -> Markdown: tables and figures of what a study found.

    Args:
        summary: of :func:`lenetshift.study.summary.summarize_dossier`, of a study of all experiments.
        figures: the folder of the figures, as links write it.
    """
    claims = {f"claim {claim['claim']}": _claim(claim) for claim in summary["claims"]}
    drawn = {
        f"figure {name}": f"![{EXPERIMENTS[name].shows}]({figures}{name}.png)"
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
    found = rows_of(summary, "symmetry")
    epochs = sorted({epoch for _, epoch in found})
    rows = [
        (
            epoch,
            *(
                _mean(found[model, epoch][column])
                for model in symmetry.MODELS
                for column in COLUMNS
            ),
        )
        for epoch in epochs
    ]
    head = ("epochs", *(f"{DISPLAY_NAMES[m]}, {c}" for m in symmetry.MODELS for c in COLUMNS))
    return table(head, rows)


def _networks(summary: Mapping[str, Any]) -> str:
    """A row for each network and its training images, after two epochs."""
    rows = []
    for experiment in ("convolution", "pooling", "place_blind"):
        for (setting, epoch), measures in rows_of(summary, experiment).items():
            if epoch == EPOCHS:
                shown = [_mean(measures[name]) for name in (*COLUMNS, "worst_case", "consistency")]
                rows.append((experiment, f"`{setting}`", measures["moved"]["n_seeds"], *shown))
    head = ("experiment", "setting", "seeds", *COLUMNS, "right at every shift", "consistency")
    return table(head, rows)


def _places(summary: Mapping[str, Any]) -> str:
    """Position bias: how many images follow the rule where it put its digits; if it moves all digits
    alike, at the places of the report's two."""
    rules = {run.setting: run.rule for run in position_bias.runs([0])}
    rows = []
    for (setting, _), measures in rows_of(summary, "position_bias").items():
        rule = rules[setting] if len(rules[setting]) == 2 else position_bias.RULE_ROWS
        shown = [
            f"{digit} at {dx:+d}: {_mean(measures[f'answered {digit} at dx={dx}'])}"
            for digit, dx, _ in rule
        ]
        rows.append((f"`{setting}`", *(_mean(measures[c]) for c in COLUMNS), *shown))
    return table(("setting", *COLUMNS, "answered the right one", "answered the left one"), rows)


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


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        keep(Path(folder))
    PAGE.write_text(render(PAGE.read_text()))
