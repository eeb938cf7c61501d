"""The digits in the kernels' sources equal those that the scripts in tools/ print."""

from __future__ import annotations

import re

import pytest
from command_line import ROOT, python


def printed_by(script: str) -> str:
    done = python(ROOT / "tools" / "generate" / script)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("script", "header"),
    [
        ("tanh_digits.py", "csrc/tanh_digits.h"),
        ("exp_digits.py", "csrc/cpu/math/exp_digits.h"),
    ],
)
def test_header_is_what_its_script_prints(script: str, header: str) -> None:
    assert (ROOT / header).read_text() == printed_by(script)


def test_no_other_source_has_digits_of_its_own() -> None:
    """A number of nine digits is a constant of a formula, which one of the scripts prints."""
    headers = {ROOT / "csrc" / "tanh_digits.h", ROOT / "csrc" / "cpu" / "math" / "exp_digits.h"}
    sources = {
        path for ending in ("h", "cpp", "cu") for path in (ROOT / "csrc").rglob(f"*.{ending}")
    }
    assert headers < sources
    for path in sources - headers:
        assert not re.findall(r"(?<![\w.])\d*\.\d{6,}", path.read_text()), path


def test_points_are_what_the_search_finds() -> None:
    found = dict(re.findall(r"^(k\w+) \{(.*)\}$", printed_by("toom_cook_points.py"), re.MULTILINE))
    in_sources = {}
    for path in (ROOT / "csrc").rglob("*.h"):
        matches = re.findall(r"Points<\d+> (k\w+) =\s*\{\{(.*?)\}, Fractions::", path.read_text())
        in_sources.update(matches)
    assert len(found) == 4
    assert in_sources == found
