"""Digests of models: the same in another process, and another for whatever changes answers."""

from __future__ import annotations

import copy
import functools
import threading
import types

import pytest
import torch
from cases import refused
from command_line import python
from torch import nn

from lenetshift.predict.shards import fingerprint as module
from lenetshift.predict.shards.fingerprint import fingerprint

SCRIPT = """
import functools
import torch
from torch import nn
from helpers import scale

FACTOR = 3


def outer(x):
    return inner(x) * FACTOR


def inner(x):
    return scale(x)


class Net(nn.Module):
    kinds = {"b", "a", "c"}

    def __init__(self, padding=1):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 2, 3, padding=padding)
        self.register_buffer("mean", torch.ones(2, 1, 1), persistent=False)
        self.then = functools.partial(torch.clamp, min=0.5)
        self.hook = self.conv.register_forward_hook(lambda *_: None)

    @property
    def twice(self):
        return 2

    @staticmethod
    def flat(x):
        return x.flatten(1)

    def forward(self, x):
        return self.flat(self.then(outer(self.conv(x)) - self.mean)) * self.twice


if __name__ == "__main__":
    from lenetshift.predict.shards.fingerprint import fingerprint

    print(*fingerprint(Net()))
"""
HELPERS = "def scale(x):\n    return x + 1\n"


def printed(folder, script=SCRIPT, helpers=HELPERS, seed="1") -> tuple[str, str]:
    """Code and weights, as another process has them."""
    (folder / "net.py").write_text(script)
    (folder / "helpers.py").write_text(helpers)
    done = python(
        "net.py", cwd=folder, env={"PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"}
    )
    assert done.stderr == ""
    code, weights = done.stdout.split()
    return code, weights


def test_it_is_the_same_in_every_process(tmp_path) -> None:
    """Also with comments, and with another order of what has none."""
    first = printed(tmp_path)
    assert printed(tmp_path, seed="2", script=SCRIPT.replace("\n\n", "\n\n# a comment\n")) == first


def run(script: str) -> types.ModuleType:
    """A script as a module that is a person's own."""
    made = types.ModuleType("__main__")
    made.__dict__["scale"] = abs
    exec(script.replace("from helpers import scale", ""), made.__dict__)
    return made


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("FACTOR = 3", "FACTOR = 4"),
        ("scale(x)", "scale(x) + 1"),
        ("- self.mean", "+ self.mean"),
        ("padding=1", "padding=0"),
        ("min=0.5", "min=0.25"),
        ("return 2", "return 3"),
        ("x.flatten(1)", "x.flatten(1).abs()"),
        ('"c"', '"d"'),
        ("lambda *_: None", "lambda *_: 0"),
    ],
)
def test_a_change_of_the_code_is_seen(before, after) -> None:
    assert before in SCRIPT
    code, weights = fingerprint(run(SCRIPT).Net())
    assert fingerprint(run(SCRIPT).Net()) == (code, weights)
    other = fingerprint(run(SCRIPT.replace(before, after)).Net())
    assert other[0] != code
    assert other[1] == weights


def test_a_change_of_a_neighbour_is_seen(tmp_path) -> None:
    first = printed(tmp_path)
    code, weights = printed(tmp_path, helpers=HELPERS.replace("+ 1", "+ 2"))
    assert code != first[0]
    assert weights == first[1]


def change_weight(model: nn.Module) -> None:
    with torch.no_grad():
        model.conv.weight[0, 0, 0, 0] += 1e-6


def change_buffer(model: nn.Module) -> None:
    model.mean[1] = 2


@pytest.mark.parametrize("change", [change_weight, change_buffer])
def test_a_change_of_the_weights_is_seen(change) -> None:
    model = run(SCRIPT).Net()
    code, weights = fingerprint(model)
    change(model)
    assert fingerprint(model)[0] == code
    assert fingerprint(model)[1] != weights


def test_what_changes_no_answers_is_not_seen() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = fingerprint(model)
    assert fingerprint(copy.deepcopy(model).eval().requires_grad_(False)) == before
    assert fingerprint(torch.compile(model))[1] == before[1]


def scaled(factor: float):
    return lambda x: x * factor


def test_functions_and_what_they_close_over() -> None:
    assert fingerprint(scaled(2.0)) == fingerprint(scaled(2.0))
    assert fingerprint(scaled(2.0)) != fingerprint(scaled(3.0))
    halves = [functools.partial(torch.mul, other=torch.tensor(x)) for x in (0.5, 0.5, 0.25)]
    assert fingerprint(halves[0]) == fingerprint(halves[1]) != fingerprint(halves[2])


def test_archives() -> None:
    """TorchScript and torch.export, whose code is in the object."""
    x = torch.zeros(2, 4)
    for archive in (
        lambda net: torch.jit.trace(net, x),
        lambda net: torch.export.export(net, (x,)).module(),
    ):
        torch.manual_seed(0)
        linear = nn.Linear(4, 3)
        plain = fingerprint(archive(linear))
        assert fingerprint(archive(linear)) == plain
        assert fingerprint(archive(nn.Sequential(linear, nn.ReLU())))[0] != plain[0]
        with torch.no_grad():
            linear.weight += 1
        assert fingerprint(archive(linear))[1] != plain[1]


def test_objects_that_contain_themselves() -> None:
    value: list[object] = [1]
    value.append({"again": value})
    assert fingerprint(value) == fingerprint(value)


def test_values_without_attributes() -> None:
    from decimal import Decimal

    assert fingerprint(Decimal("0.1")) != fingerprint(Decimal("0.2"))
    assert fingerprint(object()) == fingerprint(object())
    assert fingerprint(b"ab", b"c") != fingerprint(b"a", b"bc")


class Slotted:
    __slots__ = ("__hidden", "shift", "unset")

    def __init__(self, shift: object, hidden: int = 0) -> None:
        self.shift, self.__hidden = shift, hidden


class WithBoth(Slotted):
    """Has slots and a dict."""


@pytest.mark.parametrize("kind", [Slotted, WithBoth])
def test_slots(kind) -> None:
    assert fingerprint(kind(1)) == fingerprint(kind(1))
    assert len({fingerprint(kind(*values)) for values in [(1,), (2,), (1, 2)]}) == 3
    assert fingerprint(kind(torch.ones(2)))[1] != fingerprint(kind(torch.zeros(2)))[1]


def test_scripted_functions() -> None:
    codes = ["def f(x):\n    return x + 1\n", "def f(x):\n    return x + 2\n"]
    one, again, two = (
        fingerprint(torch.jit.CompilationUnit(code).f) for code in (codes[0], *codes)
    )
    assert one == again != two


def test_what_pickle_knows_of_values_without_attributes() -> None:
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 1, 2)]
    one, again, two = map(fingerprint, generators)
    assert one == again != two


def test_settings_that_cannot_be_read() -> None:
    model = nn.Identity()
    model.lock = threading.Lock()
    assert fingerprint(model) == fingerprint(copy.copy(model))
    model.numbers = (n for n in range(3))
    with refused("answers: got a model with generator, whose settings cannot be read, expected a"):
        fingerprint(model)


def test_attributes_that_a_class_leaves_out() -> None:
    class Runs(nn.Module):
        not_in_fingerprint = ("session",)

    one, two = Runs(), Runs()
    one.session, two.session = (n for n in range(3)), (n for n in range(4))
    assert fingerprint(one) == fingerprint(two)


def test_the_code_of_packages_goes_by_its_name() -> None:
    """Their versions are among the settings."""
    walk = module._Walk()
    walk.feed(torch.nn.functional.relu)
    assert not any(isinstance(value, types.CodeType) for _, value in walk._seen.values())
