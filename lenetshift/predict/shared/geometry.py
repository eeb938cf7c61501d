"""Where the values of windows lie on a map, one axis at a time.

A map holds each line (a row or a column) once that several windows have in common. A table names the line of
each value of each window. A layer reads the lines under its kernel: places that read the same lines get one
line of the result, all others get lines of their own. So the middle of a window, which does not depend on
where the frame is, is shared by all shifts; what a padding has reached belongs to one shift; and a stride
keeps apart what different shifts see. None of these is a special case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Table = npt.NDArray[np.int64]
Result = TypeVar("Result")

PADDED = -1
"""In the place of a line: a value that a padding inserts."""

BEYOND = -2
"""In the place of a line: beyond the padding, where a pooling's last window (``ceil_mode``) may reach."""


MOST_KNOWN = 64
"""Results that the axis of a canvas keeps."""


class NotShared(Exception):
    """Why the windows of a canvas cannot share a network's features: the end of a sentence."""


class TooLarge(NotShared):
    """The features of one image's canvas take more memory than allowed."""


@dataclass(frozen=True, eq=False)
class Taps:
    """The lines that each line of a result reads.

    Attributes:
        table: ``[lines of the result, kernel]``.
    """

    table: Table

    @cached_property
    def even(self) -> tuple[int, int, int] | None:
        """First line, stride and dilation of an ordinary kernel that reads the same lines, if one does."""
        even = _even(self.table)
        return even if even and min(even[1:]) > 0 else None

    @cached_property
    def tensor(self) -> Tensor:
        """The table as an op takes it, on the CPU."""
        return torch.from_numpy(np.maximum(self.table, PADDED))

    def takes_all(self, lines: int) -> bool:
        """Whether each line of the result is the line at its place, of all ``lines``."""
        return self.even == (0, 1, 1) and self.table.shape == (lines, 1)


@dataclass(frozen=True, eq=False)
class Axis:
    """The windows of a map along one axis.

    Axes are compared by identity: the same layer on the same axis gives the same object.

    Args:
        table: the line of each value of each window, ``[windows, size]``.
        lines: their number on the map.
        margin: on a canvas, the number of lines before the first and after the last window.
    """

    table: Table
    lines: int
    margin: int = 0
    _known: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def spaced(cls, windows: int, step: int, size: int, margin: int = 0) -> Axis:
        """Windows of a canvas: each begins ``step`` lines after the one before."""
        table = margin + np.arange(windows)[:, None] * step + np.arange(size)
        return cls(table, (windows - 1) * step + size + 2 * margin, margin)

    @property
    def windows(self) -> int:
        """Their number."""
        return len(self.table)

    @property
    def size(self) -> int:
        """Values of a window."""
        return int(self.table.shape[1])

    @cached_property
    def even(self) -> tuple[int, int, int] | None:
        """First line, lines from window to window, and from value to value, if these are constant."""
        return _even(self.table)

    def read(self, places: Table) -> tuple[Axis, Taps]:
        """The axis after an operation that reads some places of every window, and the lines that it reads.

        Args:
            places: ``[places of the result, kernel]``; PADDED and BEYOND stand for none.
        """

        def read() -> tuple[Axis, Taps]:
            outside = np.broadcast_to([BEYOND, PADDED], (self.windows, 2))  # columns -2 and -1
            return _taken(np.concatenate([self.table, outside], 1)[:, places])

        return self._once(("read", places.shape, places.tobytes()), read)

    def slid_on_canvas(
        self, kernel: int, stride: int, dilation: int, padding: int, blank: bytes
    ) -> tuple[Axis, Taps]:
        """As :meth:`slid`; a padding takes the line of the canvas in its place if that is blank.

        So the windows whose surroundings are blank are padded with what the canvas has there, and share
        everything.

        Args:
            blank: a byte for each line of the canvas: 1 if it has only the value that the padding inserts.
        """

        around = self.table[:, :1] + np.arange(-padding, self.size + padding)
        usable = (around >= 0) & (around < self.lines)
        usable &= np.frombuffer(blank, bool)[np.clip(around, 0, self.lines - 1)]
        usable[:, padding : padding + self.size] = True

        def read() -> tuple[Axis, Taps]:
            lines = np.where(usable, around, PADDED)
            n = (lines.shape[1] - (kernel - 1) * dilation - 1) // stride + 1
            return _taken(lines[:, np.arange(n)[:, None] * stride + np.arange(kernel) * dilation])

        if len(self._known) > MOST_KNOWN:  # images of many kinds
            self._known.clear()
        return self._once(("canvas", kernel, stride, dilation, padding, usable.tobytes()), read)

    def slid(
        self,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        padding: int = 0,
        *,
        ceil_mode: bool = False,
    ) -> tuple[Axis, Taps]:
        """The axis after a kernel slid over every window, and the lines that it reads.

        Args:
            padding: values before and after every window.
            ceil_mode: whether a last kernel may extend beyond the padding, as poolings define it.
        """

        def read() -> tuple[Axis, Taps]:
            free = self.size + 2 * padding - (kernel - 1) * dilation - 1
            n = free // stride + 1
            if ceil_mode and free % stride and n * stride < self.size + padding:
                n += 1
            places = np.arange(n)[:, None] * stride + np.arange(kernel) * dilation - padding
            outside = (places < 0) | (places >= self.size)
            beyond = places >= self.size + padding
            return self.read(np.where(beyond, BEYOND, np.where(outside, PADDED, places)))

        return self._once(("slid", kernel, stride, dilation, padding, ceil_mode), read)

    def padded(self, before: int, after: int) -> Axis:
        """The axis after each window is padded with the value of a further, last line of the map."""
        return self._once(
            ("padded", before, after),
            lambda: Axis(
                np.pad(self.table, ((0, 0), (before, after)), constant_values=self.lines),
                self.lines + 1,
            ),
        )

    def chosen(self, places: Sequence[int]) -> Axis:
        """The axis of some values of each window, in the given order, repeated or not."""
        return self._once(
            ("chosen", *places),
            lambda: Axis(self.table[:, np.array(places, np.int64)], self.lines),
        )

    def of_constants(self, size: int, lines: int) -> Axis:
        """The axis of a map whose windows all have the same ``size`` values: in 1 line or ``size``."""
        return self._once(
            ("constants", size, lines),
            lambda: Axis(
                np.broadcast_to(np.arange(size) % lines, (self.windows, size)).astype(np.int64),
                lines,
            ),
        )

    def written(self, source: Axis, places: range) -> tuple[Axis, Taps]:
        """The axis after some values of each window are replaced by those of another map.

        Returns:
            The axis, and the lines that it takes: of this map, followed by those of the other.
        """

        def written() -> tuple[Axis, Taps]:
            table = self.table.copy()
            table[:, np.array(places, np.int64)] = source.table + self.lines
            different, which = _different(table.reshape(-1, 1))
            return Axis(which.reshape(table.shape), len(different)), Taps(different)

        return self._once(("written", source, places), written)

    def joined(self, others: tuple[Axis, ...]) -> tuple[Axis, list[Taps]]:
        """An axis whose lines hold what this and other axes of the same windows hold.

        Returns:
            The axis, and for this and each other axis the line that each of its lines takes.

        Raises:
            NotShared: their windows differ in number or size.
        """
        if any(axis.table.shape != self.table.shape for axis in others):
            raise NotShared("combines maps of different sizes")

        def joined() -> tuple[Axis, list[Taps]]:
            axes = (self, *others)
            lines = np.stack([axis.table for axis in axes], -1).reshape(-1, len(axes))
            different, which = _different(lines)
            axis = Axis(which.reshape(self.table.shape), len(different))
            return axis, [Taps(column[:, None]) for column in different.T]

        return self._once(("joined", *others), joined)

    def _once(self, key: tuple[Any, ...], make: Callable[[], Result]) -> Result:
        """What ``make`` returned for a key first, also if several threads ask for it at once."""
        result: Result | None = self._known.get(key)
        if result is None:
            result = self._known.setdefault(key, make())
        return result


def _taken(lines: Table) -> tuple[Axis, Taps]:
    """The axis of a result that reads ``lines [windows, size, kernel]``, and what each of its lines reads."""
    windows, size, kernel = lines.shape
    different, which = _different(lines.reshape(-1, kernel))
    table = which.reshape(windows, size)
    if _even(table) is None:
        order = _in_chains(table, len(different))
        different, table = different[order], np.argsort(order)[table]
    return Axis(table, len(different)), Taps(different)


def _in_chains(table: Table, lines: int) -> Table:
    """An order of lines in which those that follow each other in a window do so on the map, too, as far as
    possible: a kernel then reads neighbours, which is faster."""
    following: dict[int, list[int]] = {}
    for before, after in np.unique(
        np.stack([table[:, :-1], table[:, 1:]], -1).reshape(-1, 2), axis=0
    ):
        following.setdefault(int(before), []).append(int(after))
    starts = [*table[:, 0].tolist(), *range(lines)]
    placed: dict[int, None] = {}
    for start in starts:
        at: int | None = start
        while at is not None and at not in placed:
            placed[at] = None
            at = next((line for line in following.get(at, ()) if line not in placed), None)
    return np.array(list(placed), np.int64)


def _different(rows: Table) -> tuple[Table, Table]:
    """The different rows in ascending order, and for each row its place among them."""
    different, which = np.unique(rows, axis=0, return_inverse=True)
    return np.ascontiguousarray(different), which.reshape(-1)


def _even(table: Table) -> tuple[int, int, int] | None:
    """``a, b, c`` with ``table[m, i] = a + b m + c i``, b and c >= 0; None if there are none."""
    n, size = table.shape
    if not table.size:
        return None
    first = int(table[0, 0])
    step = int(table[1, 0]) - first if n > 1 else 1
    gap = int(table[0, 1]) - first if size > 1 else 1
    if first < 0 or step < 0 or gap < 0:
        return None
    even = np.array_equal(table, first + step * np.arange(n)[:, None] + gap * np.arange(size))
    return (first, step, gap) if even else None
