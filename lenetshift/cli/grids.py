"""The grid of shifts that options name."""

from __future__ import annotations

from ..checks.errors import UsageError
from ..shifts import ShiftGrid


def grid_of(dx: range, dy: range) -> ShiftGrid:
    """The grid; UsageError where no image can be moved so far."""
    try:
        return ShiftGrid(dx, dy)
    except ValueError as error:
        raise UsageError(f"argument --{error}") from error
