"""A grid of shifts: translations by whole pixels.

``dx`` > 0 moves the image to the right, ``dy`` > 0 down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks.choices import REPORT_DX, REPORT_DY
from .checks.describe import shown
from .checks.errors import ArgumentError
from .checks.numbers import is_int
from .checks.shifts import check_ascending

_FARTHEST = 2**40
"""More pixels than any image has; Python cannot give the length of a range of 2**63 or more."""

ShiftRule = Mapping[int, tuple[int, int]]
"""Digit (0..9) -> (dx, dy), the shift in pixels of every image with that label."""


@dataclass(frozen=True)
class ShiftGrid:
    """All shifts with ``dx`` in one range and ``dy`` in another, both in pixels.

    The default is the grid of the report (Tanaka 2024): dx -5..5, dy -2..2, 55 shifts.

    Args:
        dx: horizontal shifts, an ascending range with any step; how far it may go depends on the
            images.
        dy: vertical shifts, the same.

    Raises:
        ValueError: not a range, an empty or descending one, or one beyond 2**40 pixels.

    >>> from lenetshift import ShiftGrid
    >>> grid = ShiftGrid(dx=range(-1, 2), dy=range(2))
    >>> grid.shape, grid.index(dx=1, dy=0)
    ((2, 3), (0, 2))
    >>> grid.shifts().tolist()
    [[-1, 0], [0, 0], [1, 0], [-1, 1], [0, 1], [1, 1]]
    """

    dx: range = REPORT_DX
    dy: range = REPORT_DY

    def __post_init__(self) -> None:
        """Check both ranges."""
        for name, values in (("dx", self.dx), ("dy", self.dy)):
            if isinstance(values, range) and values and max(-values[0], values[-1]) > _FARTHEST:
                raise ArgumentError(name, span(values), f"shifts within -{_FARTHEST}..{_FARTHEST}")
            check_ascending(name, values)

    @property
    def n_dx(self) -> int:
        """Number of horizontal shifts: the columns of the grid."""
        return len(self.dx)

    @property
    def n_dy(self) -> int:
        """Number of vertical shifts: the rows of the grid."""
        return len(self.dy)

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_dy, n_dx)``, the last two dimensions of a prediction array."""
        return self.n_dy, self.n_dx

    def __len__(self) -> int:
        """Number of shifts, ``n_dy * n_dx``."""
        return self.n_dy * self.n_dx

    @property
    def has_centre(self) -> bool:
        """Whether the grid has shift (0, 0), the unmoved image."""
        return 0 in self.dx and 0 in self.dy

    def shifts(self) -> Tensor:
        """Every shift as a row (dx, dy): int64 ``[n_dy * n_dx, 2]``, all dx of the first dy first.

        Row ``i`` belongs to ``predictions.reshape(N, -1)[:, i]``.
        """
        rows = [(dx, dy) for dy in self.dy for dx in self.dx]
        return torch.tensor(rows, dtype=torch.int64, device="cpu")

    def index(self, dx: int, dy: int) -> tuple[int, int]:
        """``(row, column)`` of shift (dx, dy) in the grid.

        Raises:
            ValueError: the grid does not have that shift.
        """
        if not is_int(dx) or not is_int(dy) or dx not in self.dx or dy not in self.dy:
            raise ArgumentError(
                "shift",
                f"(dx, dy) = ({shown(dx)}, {shown(dy)})",
                f"dx in {span(self.dx)} and dy in {span(self.dy)}",
            )
        return self.dy.index(dy), self.dx.index(dx)


def span(values: range) -> str:
    """A range as messages and tables show it: first, last, and the step if it is not 1."""
    every = f" in steps of {values.step}" if values.step > 1 else ""
    return f"{values[0]}..{values[-1]}{every}"


def signed(value: int) -> str:
    """A shift as figures and pages write it: with a sign unless it is 0, and the minus sign U+2212."""
    return f"{value:+d}".replace("-", "\N{MINUS SIGN}") if value else "0"
