"""Facts as a dossier holds them: rounded, and compared within a tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...checks.describe import shown
from ...checks.errors import ArgumentError
from ...checks.numbers import number

DECIMALS = 4
"""Of the numbers that facts consist of. Sums in another order change their last digits at most."""

TOLERANCE = 2e-3
"""How far the same number may differ between two machines."""


def rounded(name: str, value: float) -> float:
    """The value to 4 decimals; ArgumentError with the name unless it is finite."""
    return round(_finite(name, value), DECIMALS)


def agree(first: Any, second: Any) -> bool:
    """Whether two facts are the same: see :func:`first_difference`."""
    return not first_difference(first, second)


def first_difference(first: Any, second: Any, name: str = "") -> str:
    """The first place where two facts differ, with both values; empty if they agree.

    They agree if they have the same keys, lists of the same lengths, None at the same places, and numbers
    that differ by 0.002 or less, at 4 decimals. Keys are compared as JSON has them: 1 is ``"1"``.

    Args:
        first, second: numbers, None, or lists and dictionaries of facts.
        name: of the facts, with which the place begins.

    Raises:
        ArgumentError: a number is NaN or infinite, or a value is none of these; the place is named.

    >>> first_difference({1: [0.74, None]}, {"1": [0.743, None]}, "correlation")
    'correlation[1][0]: 0.74 and 0.743'
    """
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        a_by_key, b_by_key = ({str(k): v for k, v in f.items()} for f in (first, second))
        return _first_of(a_by_key, b_by_key, name)
    if isinstance(first, list) and isinstance(second, list):
        return _first_of(dict(enumerate(first)), dict(enumerate(second)), name)
    if any(isinstance(fact, (Mapping, list)) for fact in (first, second)):
        return f"{name}: {type(first).__name__} and {type(second).__name__}"
    a, b = (None if value is None else _finite(name, value) for value in (first, second))
    differ = a is not b if a is None or b is None else round(abs(a - b), DECIMALS) > TOLERANCE
    return f"{name}: {a} and {b}" if differ else ""


def _first_of(first: Mapping[Any, Any], second: Mapping[Any, Any], name: str) -> str:
    for key in {**first, **second}:
        place = f"{name}[{key}]"
        if (key in first) != (key in second):
            return f"{place}: only in the {'first' if key in first else 'second'}"
        if found := first_difference(first[key], second[key], place):
            return found
    return ""


def _finite(name: str, value: Any) -> float:
    found = number(value)
    if found is None or not math.isfinite(found):
        raise ArgumentError(name or "value", shown(value), "a finite number")
    return found
