"""Checks of numbers. A check returns a Python ``int`` or ``float``, also for a NumPy number."""

from __future__ import annotations

import contextlib
import math
import numbers
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeGuard

from .arrays import as_array
from .describe import shown
from .errors import ArgumentError

MAX_BATCH_SIZE = 2**31 - 1
"""Most images in a batch: the kernels count them in 32 bits."""

MAX_SEED = 2**32 - 1
"""Largest seed: torch's CPU generator keeps 32 bits, so larger seeds would repeat smaller ones."""


def is_int(value: object) -> TypeGuard[int]:
    """Whether a value's type is that of a whole number, Python's or NumPy's; a bool does not count."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def whole_number(value: object) -> int | None:
    """A whole number as an int, also from a tensor or an array without dimensions; None for anything
    else."""
    item = _item(value)
    return int(item) if is_int(item) else None


def number(value: object) -> float | None:
    """A real number of any type as a float, also from a tensor or an array without dimensions; None for
    anything else, such as a bool or a number that is too large for a float."""
    item = _item(value)
    if isinstance(item, (numbers.Real, Decimal)) and not isinstance(item, bool):
        with contextlib.suppress(OverflowError, ValueError):  # 10**400, a signalling NaN
            return float(item)
    return None


def _item(value: object) -> object:
    """The number in a tensor or an array without dimensions; any other value itself."""
    array = as_array(value)
    return value if array is None or array.ndim else array.item()


def finite_numbers(value: object) -> list[float] | None:
    """One finite number, or a sequence, tensor or array of them, as a list; None for anything else."""
    items: Sequence[object] = [value]
    array = as_array(value)
    if array is not None:
        items = array.reshape(-1).tolist()
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        items = value
    found = [one for one in map(number, items) if one is not None and math.isfinite(one)]
    return found if 0 < len(found) == len(items) else None


def check_int(name: str, value: int, least: int, most: int | None = None) -> int:
    """The value as an int; ArgumentError unless it is one within ``least..most``."""
    # Made Python's int, which has no bounds, before it is compared.
    as_int = int(value) if is_int(value) else None
    if as_int is None or as_int < least or (most is not None and as_int > most):
        bounds = f"of {least} or more" if most is None else f"in {least}..{most}"
        raise ArgumentError(name, shown(value), f"an int {bounds}")
    return as_int


def check_seed(seed: int) -> int:
    """The seed as an int; ArgumentError unless it is one in 0..2**32 - 1."""
    return check_int("seed", seed, 0, MAX_SEED)


def check_batch_size(batch_size: int) -> int:
    """The batch size as an int; ArgumentError unless it is one in 1..2**31 - 1."""
    return check_int("batch_size", batch_size, 1, MAX_BATCH_SIZE)


def check_positive(name: str, value: float) -> float:
    """The value as a float; ArgumentError unless it is a positive, finite number."""
    return _check_number(name, value, lambda n: 0 < n < math.inf, "a positive number")


def check_not_negative(name: str, value: float) -> float:
    """The value as a float; ArgumentError unless it is a finite number of 0 or more."""
    return _check_number(name, value, lambda n: 0 <= n < math.inf, "a number of 0 or more")


def check_fraction(name: str, value: float) -> float:
    """The value as a float; ArgumentError unless it is a number between 0 and 1, exclusive."""
    return _check_number(name, value, lambda n: 0 < n < 1, "a number between 0 and 1")


def _check_number(name: str, value: float, fits: Callable[[float], bool], expected: str) -> float:
    as_float = number(value)
    if as_float is None or not fits(as_float):
        raise ArgumentError(name, shown(value), expected)
    return as_float
