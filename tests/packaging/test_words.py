"""One name for one thing, where people read it: Models 1 and 3 are the MLP and the pooled MLP."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lenetshift.models.table import ALL_MODELS
from lenetshift.page.texts import SHORT_NAMES
from lenetshift.study.experiments.claims import PARTS, SENTENCES
from lenetshift.study.experiments.words import NETWORKS

ROOT = Path(__file__).parents[2]
READ_BY_PEOPLE = sorted(
    path
    for pattern in (
        *(
            "README.md",
            "REPRODUCTION.md",
            "docs/*.md",
            "docs/api/*.md",
            "docs/reproduction/**/*.md",
        ),
        *("benchmarks/*.md", "examples/*.py", "lenetshift/cli/**/*.py", "lenetshift/page/**/*.j2"),
        *("lenetshift/page/texts.py", "lenetshift/page/network/texts.py"),
    )
    for path in ROOT.glob(pattern)
)


def other_names(text: str) -> list[str]:
    """Where a text says perceptron and does not explain the name MLP; names of files are not words."""
    words = re.sub(r"`[^`\n]*`", "", text)
    return re.findall(r"(?<!multilayer )(?<!multilayer\n)\bperceptrons?\b", words, re.IGNORECASE)


@pytest.mark.parametrize("path", READ_BY_PEOPLE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_mlps_have_one_name(path: Path) -> None:
    assert other_names(path.read_text("utf-8")) == []


def test_the_mlps_have_one_name_in_tables_and_claims() -> None:
    parts = [part for of_claim in PARTS.values() for _, part in of_claim]
    said = [
        *(text for spec in ALL_MODELS for text in (spec.display, spec.sentence, spec.caption)),
        *SHORT_NAMES.values(),
        *NETWORKS.values(),
        *SENTENCES.values(),
        *(text for part in parts for text in (part.name, part.hypothesis, part.measure)),
    ]
    assert other_names("\n".join(said)) == []
    assert [SHORT_NAMES[name] for name in ("mlp", "pooled_mlp")] == ["MLP", "Pooled MLP"]
