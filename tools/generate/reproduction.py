"""Writes the tables of REPRODUCTION.md: ``python tools/generate/reproduction.py [DOSSIER]``.

With a dossier, verifies it first and stores its summary and figures in docs/reproduction/; without one,
uses the stored summary. What stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end
-->`` is written anew, all else is by hand.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from lenetshift.study.publish import DOSSIER
from lenetshift.study.summary import SUMMARY, read_summary, summarize_dossier, write_summary
from lenetshift.study.tables import blocks
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


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        keep(Path(folder))
    PAGE.write_text(render(PAGE.read_text()))
