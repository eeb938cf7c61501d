"""Public names, listed in tests/packaging/public_names.txt, are not removed without a warning first.

A line is a name; `` warns since VERSION`` follows a name whose use warns since release VERSION. To rewrite
the list, with its marks: ``python tests/packaging/test_public_names.py``.
A metric may be missing from the list until then.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import lenetshift
from lenetshift import metrics, ops, remedies
from lenetshift.metrics.registry import METRICS

LIST = Path(__file__).with_name("public_names.txt")
MARK = " warns since "


def public_names() -> set[str]:
    """The names that the package exports, and the attributes of its classes."""
    names = set()
    for module in (lenetshift, metrics, ops, remedies):
        for name in module.__all__:
            names.add(f"{module.__name__}.{name}")
            value = getattr(module, name)
            if isinstance(value, type):
                names |= {f"{module.__name__}.{name}.{each}" for each in attributes(value)}
    return names


def attributes(value: type) -> set[str]:
    """Methods, properties and fields, including those of the package's own base classes."""
    own = [base for base in value.__mro__ if base.__module__.split(".")[0] == "lenetshift"]
    names = {name for base in own for name in (*vars(base), *inspect.get_annotations(base))}
    return {name for name in names if not name.startswith("_")}


def listed() -> dict[str, str]:
    """Name -> the first version that warns of its use; empty for names that stay."""
    lines = (line.partition(MARK) for line in LIST.read_text().splitlines())
    return {name: version for name, _, version in lines}


def numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def gone_too_soon(known: dict[str, str], names: set[str], now: str) -> list[str]:
    """Names that are missing although no version before ``now`` has warned."""
    return [
        name
        for name, since in known.items()
        if name not in names and not (since and numbers(since) < numbers(now))
    ]


def test_no_name_goes_before_a_version_has_warned_of_it() -> None:
    assert gone_too_soon(listed(), public_names(), lenetshift.__version__) == []


def test_the_list_is_complete_and_in_order() -> None:
    of_metrics = {f"lenetshift.metrics.{metric.function.__name__}" for metric in METRICS.values()}
    assert public_names() - listed().keys() - of_metrics == set()
    assert list(listed()) == sorted(listed())


def test_which_names_may_go() -> None:
    known = {"stays": "", "warned": "0.3.0", "went": "0.2.0"}
    assert gone_too_soon(known, {"stays", "warned"}, "0.3.0") == []
    assert gone_too_soon(known, {"warned", "went"}, "0.10.0") == ["stays"]
    assert gone_too_soon(known, {"stays", "went"}, "0.3.0") == ["warned"]
    assert gone_too_soon(known, {"stays", "went"}, "0.10.0") == []


def test_what_a_class_has_is_public() -> None:
    some = {"Dataset.subset", "Evaluation.seconds", "Evaluation.moved", "MLP.forward", "train"}
    assert {f"lenetshift.{name}" for name in some} < public_names()
    assert "lenetshift.metrics.Counts.wrong" in public_names()
    assert "lenetshift.MLP.state_dict" not in public_names()  # torch's to keep


@pytest.mark.parametrize("module", ["c3_table", "metrics", "ops", "reference", "remedies"])
def test_public_modules_come_with_the_package(module: str) -> None:
    code = f"import lenetshift; print(lenetshift.{module}.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == f"lenetshift.{module}\n", done.stderr


if __name__ == "__main__":
    marks = listed() if LIST.exists() else {}
    lines = (name + (MARK + marks[name] if marks.get(name) else "") for name in public_names())
    LIST.write_text("".join(f"{line}\n" for line in sorted(lines)))
