"""Every test that docs/PROMISES.md names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").is_file())
PROMISES = ROOT / "docs" / "PROMISES.md"


def named() -> list[tuple[str, str]]:
    """Each file and test, the test empty where a whole file is meant."""
    text = PROMISES.read_text(encoding="utf-8")
    return re.findall(r"`(?:[\w/]+/)?(test_\w+\.py)(?:::(\w+))?`", text)


def existing() -> dict[str, set[str]]:
    """The test functions of each test file, by the file's name, in whatever folder under tests/ it is."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        found.setdefault(path.name, set()).update(names)
    return found


def test_every_named_test_exists() -> None:
    tests = existing()
    assert len(named()) > 30
    for file, test in named():
        assert file in tests
        assert not test or test in tests[file], f"{file}::{test}"


def test_every_name_is_read() -> None:
    """A name that the pattern of ``named`` does not match would not be checked."""
    text = PROMISES.read_text(encoding="utf-8")
    assert len(named()) == len(re.findall(r"\btest_\w+\.py", text))


def test_every_promise_names_a_test_or_says_that_none_holds_it() -> None:
    text = PROMISES.read_text(encoding="utf-8").split("## Not promised")[0]
    promises = re.split(r"^\d+\. ", text, flags=re.MULTILINE)[1:]
    numbers = [int(n) for n in re.findall(r"^(\d+)\. ", text, flags=re.MULTILINE)]
    assert numbers == list(range(1, len(promises) + 1))
    for number, promise in enumerate(promises, 1):
        assert re.search(r"\btest_\w+\.py", promise) or "no test holds this" in promise, number


def test_nothing_asks_for_the_time_of_day() -> None:
    """The clock and the times of files have no effect: durations come from a monotonic clock."""
    asks = re.compile(
        r"time\.(time|time_ns|localtime|gmtime|ctime)\(|datetime|st_[mac]time|get[mac]time"
    )
    sources = sorted((ROOT / "lenetshift").rglob("*.py"))
    assert len(sources) > 100
    assert not [path for path in sources if asks.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("tool", ["tools/release/wheels.py", "tools/stress/mutate_kernels.py"])
def test_a_tool_runs_tests_that_exist(tool: str, script: Callable[[str], ModuleType]) -> None:
    """Paths from tests/, where it starts pytest."""
    assert [path for path in script(tool).TESTS if not (ROOT / "tests" / path).is_file()] == []


def test_a_breach_of_every_promise_can_be_planted(script: Callable[[str], ModuleType]) -> None:
    breaches = script("tools/stress/breaches.py").BREACHES
    assert {breach.promise for breach in breaches} | {26} == set(range(1, 28))  # 26 plants its own
    for breach in breaches:
        assert breach.text in (ROOT / breach.file).read_text(encoding="utf-8"), breach.what
    assert {breach.test for breach in breaches} <= existing().keys()


def test_a_fault_that_sanitizers_must_find_can_be_planted(
    script: Callable[[str], ModuleType],
) -> None:
    for name, fault in script("tools/stress/sanitized.py").FAULTS.items():
        assert fault.text in (ROOT / "csrc" / fault.file).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("file", ["tools/release/aarch64.sh", "pyproject.toml"])
def test_a_file_names_tests_that_exist(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    named = re.findall(r"(?:tests/)?((?:\w+/)*test_\w+\.py)", text)
    assert len(named) > 5
    assert [path for path in named if not (ROOT / "tests" / path).is_file()] == []


@pytest.mark.parametrize("path", [ROOT / ".ci" / "run", *sorted((ROOT / "tools").rglob("*.sh"))])
def test_a_shell_script_goes_to_the_repository_root(path: Path) -> None:
    (up,) = re.findall(r'^cd "\$\(dirname "\$0"\)/([./]+)"$', path.read_text(), re.MULTILINE)
    assert (path.parent / up).resolve() == ROOT
