"""docs/python.md names what exists, and imports between the rooms of the package run one way."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lenetshift"
MAP = ROOT / "docs" / "python.md"

MOST_FLOORS, MOST_AT_THE_TOP = 10, 21

TYPES_ALONE = ("TYPE_CHECKING", "typing.TYPE_CHECKING")

Arrows = set[tuple[str, str]]


# The document


def text() -> str:
    return MAP.read_text(encoding="utf-8")


def section(title: str) -> str:
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", text(), re.MULTILINE | re.DOTALL)
    return str(found)


def rooms_on_the_map() -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", section("Where things are"), re.MULTILINE)


def rooms_of_the_package() -> set[str]:
    """Folders at any depth, with a trailing slash, and modules at the top."""
    folders = (
        path
        for path in PACKAGE.rglob("*")
        if path.is_dir() and path.name != "__pycache__" and any(map(Path.is_file, path.iterdir()))
    )
    return {
        *(f"{path.relative_to(PACKAGE).as_posix()}/" for path in folders),
        *(path.name for path in PACKAGE.glob("*.py")),
    }


def in_code() -> list[str]:
    """The texts between backticks."""
    return re.findall(r"`([^`\n]+)`", text())


def paths() -> set[Path]:
    """All paths that the document names, in code and in links."""
    named = set()
    for code in in_code():
        is_path = re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", code)
        if is_path and ("/" in code or code.endswith((".py", ".md", ".txt"))):
            is_of_the_root = (ROOT / code.split("/")[0]).exists()
            named.add((ROOT if is_of_the_root else PACKAGE) / code)
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text())
    return named | {MAP.parent / link for link in links}


def names() -> set[str]:
    """Classes, constants and functions that the document names."""
    codes = [code for code in in_code() if re.fullmatch(r"\w+(\.\w+)?", code)]
    parts = {part for code in codes for part in code.split(".")}
    return {part for part in parts if part.lower() != part or "_" in part}


def test_the_map_has_every_room_once_and_nothing_else() -> None:
    listed = rooms_on_the_map()
    assert len(listed) == len(set(listed))
    assert set(listed) == rooms_of_the_package()


def test_every_path_exists() -> None:
    assert len(paths()) > 100
    assert [str(path) for path in sorted(paths()) if not path.exists()] == []


def test_every_name_is_one_of_the_code() -> None:
    folders = (PACKAGE, ROOT / "tests")
    sources = (path.read_text(encoding="utf-8") for f in folders for path in f.rglob("*.py"))
    known = {word for source in sources for word in re.findall(r"\w+", source)}
    assert len(names()) > 40
    assert names() - known - {"CHANGELOG", "CONTRIBUTING", "README", "REPRODUCTION"} == set()


def test_links_within_the_document_lead_somewhere() -> None:
    headings = re.findall(r"^## (.+)$", text(), re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text())) == slugs


def test_readers_are_led_to_it() -> None:
    for page in ("README.md", "CONTRIBUTING.md"):
        assert "(docs/python.md)" in (ROOT / page).read_text(encoding="utf-8"), page


# The imports


def arrows(package: Path) -> Arrows:
    """Which room imports which, also within functions, but not for the type checker alone.

    A room is a folder, a module at the top of the package or a ``__main__.py``, by its dotted name;
    ``__init__.py`` at the top is the package itself.
    """
    modules = {}
    for path in package.rglob("*.py"):
        inner = path.relative_to(package.parent).with_suffix("").parts
        modules[".".join(inner[:-1] if inner[-1] == "__init__" else inner)] = path
    found = set()
    for module, path in modules.items():
        folder = path.parent.relative_to(package.parent).parts
        for node in _run(ast.parse(path.read_text(encoding="utf-8"))):
            for target in _targets(node, folder, modules):
                found.add(tuple(_room(m, modules[m], package) for m in (module, target)))
    return {(a, b) for a, b in found if a != b}


def _room(module: str, path: Path, package: Path) -> str:
    alone = path.parent == package or path.name in ("__init__.py", "__main__.py")
    return module if alone else module.rpartition(".")[0]


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes within, except those under ``if TYPE_CHECKING:``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in TYPES_ALONE:
            for other in child.orelse:
                yield other
                yield from _run(other)
        else:
            yield child
            yield from _run(child)


def _targets(node: ast.AST, folder: tuple[str, ...], modules: dict[str, Path]) -> set[str]:
    """The modules of the package that a statement imports."""
    if isinstance(node, ast.Import):
        wanted = {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
        above = folder[: len(folder) + 1 - node.level] if node.level else ()
        source = ".".join((*above, *filter(None, [node.module])))
        inner = {alias.name: f"{source}.{alias.name}" for alias in node.names}
        wanted = {name if name in modules else source for name in inner.values()}
    else:
        return set()
    return wanted & modules.keys()


def floors(drawn: Arrows, folders: Iterable[str]) -> int:
    """The folders on the longest chain of arrows, in which there must be no cycle."""

    @functools.cache
    def floor(room: str) -> int:
        return (room in folders) + max((floor(b) for a, b in drawn if a == room), default=0)

    return max(floor(room) for arrow in drawn for room in arrow)


def dotted(room: str) -> str:
    return f"lenetshift.{room.rstrip('/').removesuffix('.py').replace('/', '.')}"


def test_arrows_run_up_the_table() -> None:
    """Each room imports rooms above it, so there is no cycle; nothing imports a ``__main__.py``."""
    listed = [dotted(room) for room in rooms_on_the_map()]
    place = {room: number for number, room in enumerate(listed)}
    place["lenetshift"] = place["lenetshift.__init__"]
    drawn = {(a, b) for a, b in arrows(PACKAGE) if not a.endswith(".__main__")}
    assert {(a, b) for a, b in drawn if place[a] <= place.get(b, len(place))} == set()


def test_floors_and_the_top() -> None:
    folders = {dotted(room) for room in rooms_of_the_package() if room.endswith("/")}
    assert floors(arrows(PACKAGE), folders) <= MOST_FLOORS
    top = [path for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]
    assert len(top) + len(list(PACKAGE.glob("*.py"))) <= MOST_AT_THE_TOP


def test_the_package_is_what_is_measured() -> None:
    """An upper bound does not notice arrows that are not found."""
    drawn = arrows(PACKAGE)
    assert ("lenetshift.predict", "lenetshift.predict.shared") in drawn
    assert ("lenetshift.metrics", "lenetshift.checks") in drawn
    assert len(drawn) > 80


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.py": "from . import b", "b.py": ""}, {("p.a", "p.b")}),
        ({"a.py": "from .b import x", "b.py": "x = 1"}, {("p.a", "p.b")}),
        ({"a.py": "def f():\n    import p.b", "b.py": ""}, {("p.a", "p.b")}),
        ({"a.py": "from . import x", "__init__.py": "x = 1"}, {("p.a", "p")}),
        ({"f/__init__.py": "from . import g", "f/g.py": "from ..b import x", "b.py": ""}, {("p.f", "p.b")}),
        ({"f/h/g.py": "from ..k import x", "f/k.py": ""}, {("p.f.h", "p.f")}),
        ({"a.py": "if TYPE_CHECKING:\n    import p.b", "b.py": ""}, set()),
        ({"a.py": "if TYPE_CHECKING:\n    pass\nelse:\n    import p.b", "b.py": ""}, {("p.a", "p.b")}),
        ({"a.py": "if TYPE_CHECKING or late:\n    import p.b", "b.py": ""}, {("p.a", "p.b")}),
        ({"a.py": "if typing.TYPE_CHECKING:\n    from . import b", "b.py": ""}, set()),
        ({"a.py": "import torch\nfrom torch import nn"}, set()),
    ],
)  # fmt: skip
def test_arrows_of_small_packages(files: dict[str, str], expected: Arrows, tmp_path: Path) -> None:
    for name, source in {"__init__.py": "", **files}.items():
        path = tmp_path / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    assert arrows(tmp_path / "p") == expected


@pytest.mark.parametrize(
    ("drawn", "folders", "expected"),
    [
        ("ab bc", "abc", 3),
        ("ab bc ac", "abc", 3),
        ("ab bc ac", "ac", 2),  # b is a module at the top
    ],
)
def test_floors_of_small_graphs(drawn: str, folders: str, expected: int) -> None:
    assert floors({(a, b) for a, b in drawn.split()}, folders) == expected
