"""Writes the version and, if pyproject.toml has one, the repository's address into CITATION.cff.

python tools/generate/citation.py
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CITATION = ROOT / "CITATION.cff"


def address(pyproject: str) -> str:
    """The URL ``Repository`` of a pyproject.toml; empty if it has none."""
    urls = re.search(r"^\[project\.urls\]\n(.*?)(?=^\[|\Z)", pyproject, re.MULTILINE | re.DOTALL)
    found = re.search(r'^Repository = "(.*)"$', urls[1], re.MULTILINE) if urls else None
    return found[1] if found else ""


def version(source: str) -> str:
    """What ``lenetshift/version.py`` holds."""
    (found,) = re.findall(r'^__version__ = "(.*)"$', source, re.MULTILINE)
    return str(found)


def render(citation: str, new_version: str, new_address: str) -> str:
    """CITATION.cff with this version and address."""
    text = re.sub(r"^version: .*$", f"version: {new_version}", citation, flags=re.MULTILINE)
    text = re.sub(r"^repository-code: .*\n", "", text, flags=re.MULTILINE)
    if new_address:
        line = f'repository-code: "{new_address}"\n'
        text = re.sub(r"(?<=\n)(?=license: )", line, text, count=1)
    return text


def written() -> str:
    """What CITATION.cff must hold."""
    new_version = version((ROOT / "lenetshift" / "version.py").read_text())
    new_address = address((ROOT / "pyproject.toml").read_text())
    return render(CITATION.read_text(encoding="utf-8"), new_version, new_address)


if __name__ == "__main__":
    CITATION.write_text(written(), encoding="utf-8")
