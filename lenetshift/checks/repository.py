"""Where the project's sources and documentation are."""

from __future__ import annotations


def repository() -> str:
    """The repository as sentences name it, with its address if the installed package has one: the URL
    ``Repository`` in pyproject.toml."""
    found = address()
    return f"the repository ({found})" if found else "the repository"


def documentation() -> str:
    """Where the documentation is, in a sentence."""
    return f"Documentation: README.md and docs/using.md in {repository()}."


def address() -> str:
    """The repository's address; empty if the installed package names none, or if none is installed."""
    from importlib import metadata  # takes a while: not for every command

    try:
        urls = metadata.metadata("lenetshift").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # the sources alone
        return ""
    named = (url.partition(", ") for url in urls)
    return next((str(url).rstrip("/") for name, _, url in named if name == "Repository"), "")
