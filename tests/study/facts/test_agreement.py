"""Facts agree within a tolerance; what is no finite number is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from lenetshift.checks.errors import ArgumentError
from lenetshift.study.facts.agreement import agree, first_difference, rounded

FACT = {1: 0.5, 2: 0.25}
LISTS = {"C1": [0.5, None, -0.25]}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (FACT, {1: 0.502, 2: 0.248}),  # 0.502 - 0.5 is a little more than 0.002
        (FACT, json.loads(json.dumps(FACT))),
        (LISTS, {"C1": [0.4985, None, -0.2515]}),
        ({"a": LISTS}, {"a": LISTS}),
        ({}, {}),
        (0, 0.001),
        (None, None),
    ],
)
def test_facts_that_agree(first: Any, second: Any) -> None:
    assert agree(first, second)
    assert agree(second, first)


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        (FACT, {1: 0.5, 2: 0.2521}, "x[2]: 0.25 and 0.2521"),
        (FACT, {1: 0.5, 2: 0.2479}, "x[2]: 0.25 and 0.2479"),
        (FACT, {1: 0.5}, "x[2]: only in the first"),
        ({"1": 0.5}, FACT, "x[2]: only in the second"),
        (LISTS, {"C1": [0.5, None, 0.25]}, "x[C1][2]: -0.25 and 0.25"),
        (LISTS, {"C1": [0.5, None]}, "x[C1][2]: only in the first"),
        (LISTS, {"C1": [0.5, 0.0, -0.25]}, "x[C1][1]: None and 0.0"),
        (LISTS, {"C1": 0.5}, "x[C1]: list and float"),
        (FACT, [0.5, 0.25], "x: dict and list"),
        (0.5, None, "x: 0.5 and None"),
    ],
)
def test_the_first_difference(first: Any, second: Any, difference: str) -> None:
    assert first_difference(first, second, "x") == difference
    assert not agree(first, second)
    assert not agree(second, first)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "0.5"])
def test_what_is_no_finite_number(value: Any) -> None:
    for first, second in ((value, value), (value, 0.5), (0.5, value), (value, None)):
        with pytest.raises(ArgumentError, match=r"^\[C1\]\[0\]: got .*, expected a finite number$"):
            agree({"C1": [first]}, {"C1": [second]})
    with pytest.raises(ArgumentError, match=r"^value: got .*, expected a finite number$"):
        agree(value, 0.5)


def test_rounded() -> None:
    assert rounded("R2", 0.12344999) == 0.1234
    with pytest.raises(ArgumentError, match=r"^R2: got nan, expected a finite number$"):
        rounded("R2", math.nan)
