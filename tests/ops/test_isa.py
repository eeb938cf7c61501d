"""Which kernels run: the default, the override, and no leaks between instruction sets."""

from __future__ import annotations

import subprocess

import pytest
from command_line import python

import lenetshift
from lenetshift.checks.core import core

LANES = {"portable": 4, "avx2": 8, "avx512": 16}


def run_python(code: str, isa: str | None) -> subprocess.CompletedProcess[str]:
    # In this folder: at the repository's root the sources might hide the installed package.
    return python("-c", code, env={"LENETSHIFT_ISA": isa}, cwd=".")


def test_forced_isa_runs(isa: str) -> None:
    """The number of lanes is a constant in the code that runs, not in the table that names it."""
    assert lenetshift.isa() == isa
    assert core.lanes() == LANES[isa]


def test_override_by_environment() -> None:
    code = "import lenetshift; from lenetshift.checks.core import core; print(lenetshift.isa(), core.lanes())"
    assert run_python(code, "portable").stdout.split() == ["portable", "4"]
    fastest = [name for name, supported in core.isas() if supported][-1]
    assert run_python(code, None).stdout.split()[0] == fastest


def test_empty_override_is_none() -> None:
    code = "import lenetshift; print(lenetshift.isa())"
    assert run_python(code, "").stdout == run_python(code, None).stdout != ""


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


CHANGED_MEANWHILE = """
import random, sys
import torch
from lenetshift.checks.core import core
from lenetshift.c3_table import C3_TABLE, table_masks

generator = torch.Generator().manual_seed(0)
x, weight, bias = (torch.randn(*s, generator=generator) for s in ((2, 6, 128, 128), (60, 5, 5), (16,)))
images = torch.randint(0, 256, (50, 28, 28), generator=generator, dtype=torch.uint8)
hidden = [torch.randn(*s, generator=generator) for s in ((40, 784), (40,), (10, 40), (10,))]
torch.set_num_threads(2)

def calls():
    yield torch.ops.lenetshift.c3_conv(x, weight, bias, table_masks(C3_TABLE))
    yield torch.ops.lenetshift.predict_shifts_mlp(images, [-5, 6], [-2, 3], hidden, "tanh", True)[1]
    trained = [p.clone() for p in hidden]
    yield torch.ops.lenetshift.train_epoch_mlp(
        images, torch.zeros(50, dtype=torch.int64), torch.arange(50), trained, 0.1, 10)

names = [name for name, supported in core.isas() if supported]
expected = {}
for name in names:
    core.set_isa(name)
    expected[name] = list(calls())
chance = random.Random(0)
for _ in range(30):
    # Between any two calls of functions, from Python or of a module in C.
    sys.setprofile(lambda *event: core.set_isa(chance.choice(names)))
    results = list(calls())
    sys.setprofile(None)
    for i, result in enumerate(results):
        assert any(torch.equal(result, expected[name][i]) for name in names), i
print("good")
"""


def test_isa_changed_in_the_midst_of_a_call() -> None:
    """A call has one ISA from its start to its end, with a workspace for that one."""
    result = run_python(CHANGED_MEANWHILE, None)
    assert result.stdout == "good\n", (result.returncode, result.stderr)
