"""docs/api/ is what its command writes of the docstrings, and has every public name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lenetshift
from lenetshift import metrics, ops, remedies

FOLDER = Path(__file__).parents[2] / "docs" / "api"


def test_the_pages_are_what_the_command_writes(script) -> None:
    pytest.importorskip("pdoc")
    pages = script("tools/generate/api.py").pages()
    assert pages.keys() == {path.name for path in FOLDER.iterdir()}
    stale = [name for name, text in pages.items() if (FOLDER / name).read_text("utf-8") != text]
    assert stale == [], "python tools/generate/api.py"


@pytest.mark.parametrize("module", [lenetshift, metrics, ops, remedies], ids=lambda m: m.__name__)
def test_every_public_function_and_class_has_a_heading(module) -> None:
    text = (FOLDER / f"{module.__name__}.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    public = {name for name in module.__all__ if callable(getattr(module, name))}
    assert public <= set(headings)


def test_every_link_of_the_index_leads_to_a_heading() -> None:
    links = re.findall(r"\]\(([\w.]+\.md)#([\w-]+)\)", (FOLDER / "README.md").read_text("utf-8"))
    assert len(links) > 70
    for page, anchor in links:
        headings = re.findall(r"^## (.+)$", (FOLDER / page).read_text("utf-8"), re.MULTILINE)
        name, _, number = anchor.partition("-")
        same = [heading for heading in headings if heading.lower() == name]
        assert len(same) > int(number or 0), (page, anchor)
