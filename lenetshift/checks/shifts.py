"""Checks of shifts, of grids of them, and of rules that give each digit one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .describe import shown
from .errors import ArgumentError
from .numbers import is_int
from .types import check_type

MAX_SHIFT = 27
"""Largest shift of a 28x28 image, in pixels either way; one more would empty it."""

_WITHIN = f"within -{MAX_SHIFT}..{MAX_SHIFT}"


def first_seen(n: int, seen: int) -> int:
    """The first of the middle ``seen`` of ``n`` rows or columns, as torchvision's CenterCrop rounds it:
    ``int(round((n - seen) / 2.0))``, where Python rounds a half to the even number."""
    return round((n - seen) / 2)


def check_grid_fits(dx: range, dy: range, size: tuple[int, int], window: tuple[int, int]) -> None:
    """Raise ArgumentError unless every shift leaves some of the image in sight and, if the window is
    smaller than the image, fills the window.

    Args:
        dx: horizontal shifts, in pixels.
        dy: vertical shifts, in pixels.
        size: height and width of the images.
        window: height and width of the part that a model sees.
    """
    for name, shifts, n, seen in (("dy", dy, size[0], window[0]), ("dx", dx, size[1], window[1])):
        before = first_seen(n, seen)
        low, high = (1 - n, n - 1) if window == size else (before + seen - n, before)
        if shifts[0] < low or shifts[-1] > high:
            images = f"images of {size[0]} x {size[1]}"
            if window != size:
                images += f" behind a crop of {window[0]} x {window[1]}"
            raise ArgumentError(
                "grid", f"{name} {shifts[0]}..{shifts[-1]}", f"it within {low}..{high} for {images}"
            )


def check_ascending(name: str, values: range) -> None:
    """Raise ArgumentError unless ``values`` is an ascending range of one or more shifts."""
    if not isinstance(values, range) or values.step < 1 or len(values) == 0:
        raise ArgumentError(name, shown(values), "a non-empty, ascending range")


def check_digit_shifts(name: str, values: range) -> None:
    """Raise ArgumentError unless ``values`` is a range with step 1 of one or more shifts of 28x28 images."""
    if not isinstance(values, range) or values.step != 1 or len(values) == 0:
        raise ArgumentError(name, shown(values), "a non-empty range with step 1")
    if values[0] < -MAX_SHIFT or values[-1] > MAX_SHIFT:
        raise ArgumentError(name, f"shifts {values[0]}..{values[-1]}", f"them {_WITHIN}")


def check_first_and_stop(name: str, values: Sequence[int]) -> None:
    """Raise ArgumentError unless ``values`` is [first, stop) of one or more shifts, as the ops take it."""
    if len(values) != 2 or not -MAX_SHIFT <= values[0] < values[1] <= MAX_SHIFT + 1:
        raise ArgumentError(
            name, str(list(values)), f"[first, stop) of one or more shifts {_WITHIN}"
        )


def check_shift_rule(rule: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """The rule in ints; ArgumentError unless it maps digits 0..9 to whole shifts within -27..27."""
    check_type("rule", rule, Mapping)
    checked = {}
    for label, shift in rule.items():
        if not is_int(label) or not 0 <= label <= 9:
            raise ArgumentError("rule", f"label {shown(label)}", "a digit 0..9")
        if (
            not isinstance(shift, (tuple, list))
            or len(shift) != 2
            # Not abs(): that of NumPy's int8 -128 is -128.
            or not all(is_int(step) and -MAX_SHIFT <= step <= MAX_SHIFT for step in shift)
        ):
            raise ArgumentError(f"rule[{label}]", shown(shift), f"(dx, dy), two ints {_WITHIN}")
        checked[int(label)] = (int(shift[0]), int(shift[1]))
    return checked
