"""Writes docs/api/, a page for each public module: ``python tools/generate/api.py``.

The text is that of the docstrings, as pdoc reads them (``pip install '.[docs]'``).
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pdoc.doc import Class, Doc, Function, Module
from pdoc.docstrings import convert

FOLDER = Path(__file__).parents[2] / "docs" / "api"
MODULES = (
    "lenetshift",
    *(f"lenetshift.{name}" for name in ("metrics", "remedies", "ops", "reference", "c3_table")),
)
WRITTEN_BY = "*Written by `python tools/generate/api.py` from the docstrings.*"


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """File -> text."""
    modules = [Module.from_name(name) for name in MODULES]
    return {
        "README.md": index(modules),
        **{f"{module.fullname}.md": page(module) for module in modules},
    }


def index(modules: list[Module]) -> str:
    """The list of all public names, with the first sentence of each."""
    parts = ["# The public names", WRITTEN_BY]
    for module in modules:
        parts.append(f"## [{module.fullname}]({module.fullname}.md)")
        rows = [
            f"| [`{member.name}`]({module.fullname}.md#{anchor}) | {first_sentence(member)} |"
            for member, anchor in anchored(public(module))
        ]
        parts.append("\n".join(["| name | what |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def page(module: Module) -> str:
    """A module: what it is for, then its names."""
    parts = [f"# {module.fullname}", WRITTEN_BY, text_of(module)]
    for member in public(module):
        parts += [f"## {member.name}", *described(member)]
        if isinstance(member, Class):
            for inner in own(member):
                parts += [f"### {member.name}.{inner.name}", *described(inner)]
    return "\n\n".join(filter(None, parts)) + "\n"


def public(module: Module) -> list[Doc]:
    """The module's names that have a docstring; submodules have pages or are not public."""
    return [
        member
        for member in module.members.values()
        if member.docstring and member.name[0] != "_" and not inspect.ismodule(member.obj)
    ]


def anchored(members: list[Doc]) -> Iterator[tuple[Doc, str]]:
    """Each with the anchor of its heading: in small letters, numbered from the second of its kind."""
    seen: Counter[str] = Counter()
    for member in members:
        anchor = member.name.lower()
        yield member, f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor
        seen[anchor] += 1


def own(member: Class) -> list[Doc]:
    """Methods, properties and fields with a docstring, those of the package's own base classes too."""
    return [
        inner for inner in member.members.values()
        if inner.docstring and not inner.name.startswith("_")
        and inner.taken_from[0].split(".")[0] == "lenetshift"
    ]  # fmt: skip


def described(member: Doc) -> Iterator[str]:
    """How it is called, and its docstring."""
    signature = None
    if isinstance(member, Class) and "__init__" in member.members:
        signature = member.members["__init__"].signature_without_self
    elif isinstance(member, Function):
        method = "." in member.qualname and not member.is_staticmethod
        signature = member.signature_without_self if method else member.signature
    if signature is not None:
        yield f"```python\n{member.name}{plain(str(signature))}\n```"
    yield text_of(member)


def plain(signature: str) -> str:
    """A signature without the modules of its types and addresses in memory."""
    return re.sub(r"\b(?:[a-z_0-9]+\.)+(?=[A-Z])", "", signature).replace("'", "")


def text_of(member: Doc) -> str:
    """A docstring as Markdown."""
    text = re.sub(r":(\w+):`~?\.?([\w.]+)`", r"`\2`", member.docstring)
    text = re.sub(r"^(=+ +=+\n.*\n=+ +=+)$", r"```\n\1\n```", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^( *)(>>> (?:.+\n?)+)", fenced, text, flags=re.MULTILINE)
    text = convert(text, "google", None)
    return re.sub(r"^###### (.*):$\n", r"**\1**\n\n", text, flags=re.MULTILINE).strip()


def fenced(block: re.Match[str]) -> str:
    """An example as a block of code."""
    indent, code = block[1], block[2].rstrip("\n").replace("<BLANKLINE>", "")
    return f"{indent}```pycon\n{indent}{code}\n{indent}```\n"


def first_sentence(member: Doc) -> str:
    """The beginning of a docstring, for a table."""
    text = " ".join(text_of(member).split("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z])", text)[0].replace("|", "\\|")


if __name__ == "__main__":
    main()
