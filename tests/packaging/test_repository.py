"""The repository's address stands in pyproject.toml alone; others take it from there."""

from __future__ import annotations

import importlib.metadata
from email.message import Message

import pytest

from lenetshift.checks.repository import address, documentation, repository
from lenetshift.ops import _common

URL = "https://example.org/somebody/lenetshift"
PYPROJECT = f"""
[project]
name = "lenetshift"
[project.urls]
# Repository = "https://..."
Repository = "{URL}"
[project.scripts]
Repository = "no URL"
"""


@pytest.fixture
def citation(script):
    return script("tools/generate/citation.py")


def test_the_citation_is_what_the_command_writes(citation) -> None:
    assert citation.CITATION.read_text(encoding="utf-8") == citation.written()


def test_an_address_comes_and_goes(citation) -> None:
    assert citation.address(PYPROJECT) == URL
    assert citation.address(PYPROJECT.replace(f'Repository = "{URL}"', "")) == ""
    assert citation.address("[project]\n") == ""
    without = citation.render(citation.written(), "1.2.3", "")
    with_it = citation.render(without, "1.2.3", URL)
    assert f'\nversion: 1.2.3\nrepository-code: "{URL}"\nlicense: MIT\n' in with_it
    assert citation.render(with_it, "1.2.3", URL) == with_it
    assert citation.render(with_it, "1.2.3", "") == without


def installed(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    """Make the installed package's metadata have these URLs."""
    made = Message()
    for url in urls:
        made["Project-URL"] = url
    monkeypatch.setattr(importlib.metadata, "metadata", lambda name: made)


def test_an_installed_package_with_an_address(monkeypatch) -> None:
    installed(monkeypatch, "Homepage, https://example.org", f"Repository, {URL}/")
    assert address() == URL
    assert repository() == f"the repository ({URL})"
    assert (
        documentation() == f"Documentation: README.md and docs/using.md in the repository ({URL})."
    )
    with pytest.raises(RuntimeError, match=rf"in the root of the repository \({URL}\) builds them"):
        _common._without_cuda("c3_conv")()


def test_no_address(monkeypatch) -> None:
    installed(monkeypatch, "Homepage, https://example.org")
    assert repository() == "the repository"

    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "metadata", missing)
    assert documentation() == "Documentation: README.md and docs/using.md in the repository."
