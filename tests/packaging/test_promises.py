"""Every test that docs/PROMISES.md names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PROMISES = TESTS.parent / "docs" / "PROMISES.md"


def named() -> list[tuple[str, str]]:
    """Each file and test, the test empty where a whole file is meant."""
    text = PROMISES.read_text(encoding="utf-8")
    return re.findall(r"`(test_\w+\.py)(?:::(\w+))?`", text)


def test_every_named_test_exists() -> None:
    assert len(named()) > 30
    for file, test in named():
        tree = ast.parse(next(TESTS.rglob(file)).read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not test or test in names, f"{file}::{test}"


def test_every_promise_names_a_test_or_says_that_none_holds_it() -> None:
    text = PROMISES.read_text(encoding="utf-8").split("## Not promised")[0]
    promises = re.split(r"^\d+\. ", text, flags=re.MULTILINE)[1:]
    numbers = [int(n) for n in re.findall(r"^(\d+)\. ", text, flags=re.MULTILINE)]
    assert numbers == list(range(1, len(promises) + 1))
    for number, promise in enumerate(promises, 1):
        assert re.search(r"`test_\w+\.py", promise) or "no test holds this" in promise, number


def test_nothing_asks_for_the_time_of_day() -> None:
    """A clock that is set back, or a file's time, can decide nothing: durations are monotonic."""
    asks = re.compile(
        r"time\.(time|time_ns|localtime|gmtime|ctime)\(|datetime|st_[mac]time|get[mac]time"
    )
    sources = sorted((TESTS.parent / "lenetshift").rglob("*.py"))
    assert len(sources) > 100
    assert not [path for path in sources if asks.search(path.read_text(encoding="utf-8"))]
