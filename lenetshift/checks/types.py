"""Checks of an argument's type, and of a name that is one of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .describe import describe, shown
from .errors import ArgumentError


def check_type(name: str, value: object, expected: type) -> None:
    """Raise ArgumentError unless ``value`` is an instance of ``expected``."""
    if not isinstance(value, expected):
        article = "an" if expected.__name__[0] in "AEIOU" else "a"
        raise ArgumentError(name, describe(value), f"{article} {expected.__name__}")


def check_flag(name: str, value: bool) -> None:
    """Raise ArgumentError unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise ArgumentError(name, describe(value), "True or False")


def check_callable(name: str, value: Callable[..., object] | None) -> None:
    """Raise ArgumentError unless ``value`` is callable or None."""
    if value is not None and not callable(value):
        raise ArgumentError(name, describe(value), "a function, or None")


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise ArgumentError unless ``value`` is one of the names in ``choices``."""
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(name, shown(value), " or ".join(map(repr, choices)))
