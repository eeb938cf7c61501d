"""Which kernels run: the choice, the override, and that nothing leaks between ISAs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import lenetshift
from lenetshift._native import core

LANES = {"portable": 4, "avx2": 8, "avx512": 16}


def run_python(code: str, isa: str | None) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "LENETSHIFT_ISA"}
    if isa is not None:
        environment["LENETSHIFT_ISA"] = isa
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def test_forced_isa_runs(isa: str) -> None:
    """The lanes are a constant of the code that runs, not of the table that names it."""
    assert lenetshift.isa() == isa
    assert core.lanes() == LANES[isa]


def test_override_by_environment() -> None:
    code = "import lenetshift; from lenetshift._native import core; print(lenetshift.isa(), core.lanes())"
    assert run_python(code, "portable").stdout.split() == ["portable", "4"]
    fastest = [name for name, supported in core.isas() if supported][-1]
    assert run_python(code, None).stdout.split()[0] == fastest


def test_unknown_override_raises() -> None:
    result = run_python("import lenetshift; lenetshift.isa()", "sse9")
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: LENETSHIFT_ISA=sse9: expected one of portable")


def test_impossible_choice_raises() -> None:
    missing = [name for name, supported in core.isas() if not supported]
    if not missing:
        pytest.skip("this machine has every ISA")
    with pytest.raises(ValueError, match=f"isa={missing[0]}: this machine has no {missing[0]}"):
        core.set_isa(missing[0])
