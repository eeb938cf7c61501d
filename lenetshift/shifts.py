"""Which translations are asked about: a rectangle of whole-pixel shifts.

``dx`` > 0 moves the image to the right, ``dy`` > 0 down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks.choices import REPORT_DX, REPORT_DY
from .checks.describe import shown
from .checks.numbers import is_int
from .checks.shifts import check_ascending

_FARTHEST = 2**40
"""More pixels than any image has; a range of 2**63 or more has no length in Python."""

ShiftRule = Mapping[int, tuple[int, int]]
"""Digit (0..9) -> (dx, dy), the shift in pixels of every image with that label."""


@dataclass(frozen=True)
class ShiftGrid:
    """All shifts with ``dx`` in one range and ``dy`` in another, both in pixels.

    The default is the grid of the report (Tanaka 2024): dx -5..5, dy -2..2, 55 shifts.

    Args:
        dx: horizontal shifts, an ascending range, of any step; how far it may go depends on the
            images.
        dy: vertical shifts, the same.

    Raises:
        ValueError: not a range, an empty or a descending one, or one beyond 2**40 pixels.
    """

    dx: range = REPORT_DX
    dy: range = REPORT_DY

    def __post_init__(self) -> None:
        """Check both ranges."""
        for name, values in (("dx", self.dx), ("dy", self.dy)):
            if isinstance(values, range) and values and max(-values[0], values[-1]) > _FARTHEST:
                raise ValueError(
                    f"{name}: got {span(values)}, expected shifts within -{_FARTHEST}..{_FARTHEST}"
                )
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
        """Whether the unmoved image, shift (0, 0), is one of the grid's."""
        return 0 in self.dx and 0 in self.dy

    def shifts(self) -> Tensor:
        """Every shift as a row (dx, dy): int64 ``[n_dy * n_dx, 2]``, all dx of the first dy first.

        So row ``i`` belongs to ``predictions.reshape(N, -1)[:, i]``.
        """
        rows = [(dx, dy) for dy in self.dy for dx in self.dx]
        return torch.tensor(rows, dtype=torch.int64, device="cpu")

    def index(self, dx: int, dy: int) -> tuple[int, int]:
        """``(row, column)`` of shift (dx, dy) in the grid.

        Raises:
            ValueError: the grid lacks that shift.
        """
        if not is_int(dx) or not is_int(dy) or dx not in self.dx or dy not in self.dy:
            raise ValueError(
                f"shift: got (dx, dy) = ({shown(dx)}, {shown(dy)}), expected dx in {span(self.dx)} "
                f"and dy in {span(self.dy)}"
            )
        return self.dy.index(dy), self.dx.index(dx)


def span(values: range) -> str:
    """A range in words, as messages and tables give it: first, last, and the step where it is not 1."""
    every = f" in steps of {values.step}" if values.step > 1 else ""
    return f"{values[0]}..{values[-1]}{every}"
