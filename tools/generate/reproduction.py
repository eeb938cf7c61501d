"""Writes the numbers of REPRODUCTION.md: ``python tools/generate/reproduction.py [DOSSIER]``.

With a dossier, verifies it first and stores its summary in docs/reproduction/; without one, uses the stored
summary, and judges its values by the present rules. Draws the figures there from the summary. The intervals
that report.html shows beside a run's own numbers, lenetshift/page/published/intervals.json, come from it too.
Of the page, two kinds of text are rewritten; everything else is written by hand:

- a block: what stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``, each in a line of its own
  (``reproduction_claims.py``, ``reproduction_tables.py``);
- a number in a sentence: what stands between ``<!-- n WHAT -->`` and ``<!-- n -->``
  (``reproduction_numbers.py``). No line may begin with one: Markdown would take it for a block.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import reproduction_claims
import reproduction_numbers
import reproduction_tables
from reproduction_values import judged

from lenetshift.checks.choices import INSTRUCTION_SETS
from lenetshift.page import intervals
from lenetshift.storage.files import write_text
from lenetshift.study.experiments import EXPERIMENTS
from lenetshift.study.figures import draw_study
from lenetshift.study.publish import DOSSIER
from lenetshift.study.summary import SUMMARY, read_summary, summarize_dossier, write_summary
from lenetshift.study.verification import verify

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "REPRODUCTION.md"
KEPT = ROOT / "docs" / "reproduction"


def keep(dossier: Path) -> None:
    """Verify a dossier, and store its summary."""
    verify(dossier)
    KEPT.mkdir(parents=True, exist_ok=True)
    write_summary(KEPT / SUMMARY, summarize_dossier((dossier / DOSSIER).read_bytes()))


def draw(summary: Mapping[str, Any], folder: Path) -> None:
    """Draw all figures of a study, and remove others."""
    drawn = draw_study(folder, summary, ("png",))
    for path in folder.glob("*.png"):
        if path not in drawn:
            path.unlink()


def render(text: str, summary: Mapping[str, Any]) -> str:
    """The page with every block and number rewritten; ValueError if one is unknown."""
    found = blocks(summary, "docs/reproduction/")

    def block(match: re.Match[str]) -> str:
        name = match[1]
        if name not in found:
            raise ValueError(f"{PAGE.name}: got the block {name!r}, expected {', '.join(found)}")
        return f"<!-- {name}: begin -->\n{found[name]}\n<!-- {name}: end -->"

    def in_a_sentence(match: re.Match[str]) -> str:
        return f"<!-- n {match[1]} -->{reproduction_numbers.number(summary, match[1])}<!-- n -->"

    text = re.sub(r"<!-- ([^:\n]+): begin -->.*?<!-- \1: end -->", block, text, flags=re.DOTALL)
    return re.sub(r"<!-- n ([^>]+) -->[^<]*<!-- n -->", in_a_sentence, text)


def blocks(summary: Mapping[str, Any], figures: str = "") -> dict[str, str]:
    """Name -> Markdown: tables and figures of what a study found.

    Args:
        summary: of :func:`lenetshift.study.summary.summarize_dossier`, of a study of all experiments.
        figures: the folder of the figures, as links write it.
    """
    claims = summary["claims"]
    drawn = {
        f"figure {name}": f"![{EXPERIMENTS[name].shows}]({figures}{name}.png)"
        for name in summary["study"]["experiments"]
    }
    return {
        "origin": origin(summary),
        "verdicts": reproduction_claims.verdicts(claims),
        **{f"claim {one['claim']}": reproduction_claims.claim(one) for one in claims},
        **{name: table(summary) for name, table in reproduction_tables.TABLES.items()},
        **drawn,
    }


def origin(summary: Mapping[str, Any]) -> str:
    """Where a study comes from: runs, versions and machine."""
    ground, env, study = summary["ground"], summary["environment"], summary["study"]
    thorough = " --thorough" if study["thorough"] else ""
    return (
        f"From {summary['n_runs']:,} runs of `python -m lenetshift.study{thorough}`, which are "
        f"{summary['n_trainings']:,} different trainings: some experiments share a training. Up to "
        f"{study['seeds']} seeds a setting; lenetshift {ground['lenetshift']}, commit {env['commit']}; "
        f"PyTorch {ground['torch']}, Python {env['python']}, {INSTRUCTION_SETS[ground['isa']]}, "
        f"{env['processor']}, {env['logical_cpus']} cores. "
        f"SHA-256 of `dossier.json`: `{summary['dossier_sha256']}`."
    )


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        keep(Path(folder))
    stored = judged(read_summary(KEPT / SUMMARY))
    write_summary(KEPT / SUMMARY, stored)
    draw(stored, KEPT)
    PAGE.write_text(render(PAGE.read_text(), stored))
    write_text(intervals.FILE, intervals.text_of(stored))
