"""Where the windows of a map lie: one axis at a time, in cells of the map.

Window ``m`` of an axis is the moved image number ``m``; its value ``i`` is in cell
``margin + m * step + i * dilation``. On the canvas itself a cell is a pixel and the dilation is 1.
A stride does not subsample the map: it is kept as dilation (the "algorithme à trous" of Holschneider
et al. 1989; Giusti et al. 2013 and Li et al. 2014 for networks), so that every window finds its own
values. Only cells that no window needs are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


class NotShared(Exception):
    """Why the windows of a canvas cannot share a network's features: the end of a sentence."""


class MarginTooSmall(Exception):
    """A padding needs ``missing`` more pixels around the windows of a canvas."""

    def __init__(self, missing: int) -> None:
        super().__init__(f"{missing} more pixels are needed around the windows")
        self.missing = missing


@dataclass(frozen=True)
class Axis:
    """The windows of a map along one axis.

    Args:
        windows: their number.
        step: cells from one window to the next; 0 for a single window.
        size: values of a window.
        dilation: cells from one value to the next.
        margin: cells before the first and after the last window; None once a layer has combined several
            cells: what lies around a window is then no longer the image.
        cut: whether the map ends where its only window ends, as in an ordinary batch of images.
    """

    windows: int
    step: int
    size: int
    dilation: int = 1
    margin: int | None = 0
    cut: bool = False

    @classmethod
    def alone(cls, size: int) -> Axis:
        """A single window and nothing around it."""
        return cls(windows=1, step=0, size=size, cut=True)

    @property
    def cells(self) -> int:
        """Cells from the first window's first value to the last window's last, without the margin."""
        return (self.windows - 1) * self.step + (self.size - 1) * self.dilation + 1

    @property
    def around(self) -> int:
        """The margin; 0 if there is none."""
        return self.margin or 0

    def thinned(self, size: int, stride: int) -> tuple[Axis, int]:
        """The axis of a layer that takes every ``stride``-th place of a window, ``size`` in all.

        Returns:
            The axis, and the stride of the layer on this map: of how many cells it needs one.
        """
        spacing = self.dilation * stride if size > 1 else 0
        every = math.gcd(self.step, spacing) or 1
        after = replace(
            self, step=self.step // every, size=size, dilation=spacing // every or 1, margin=None
        )
        return after, every

    def slid(self, kernel: int, stride: int, dilation: int = 1) -> tuple[Axis, int]:
        """The axis after a kernel slid over every window, and the stride on the map."""
        return self.thinned((self.size - (kernel - 1) * dilation - 1) // stride + 1, stride)

    def padded(self, before: int, after: int) -> Axis:
        """The axis after each window is extended by what lies around it.

        Raises:
            NotShared: the map no longer holds the image around a window.
            MarginTooSmall: it holds too little of it.
        """
        size = self.size + before + after
        if size == self.size:
            return self
        if self.cut:
            return replace(self, size=size)
        if self.margin is None:
            raise NotShared("pads its input, so its features depend on where the frame lies")
        if max(before, after) > self.margin:
            raise MarginTooSmall(max(before, after) - self.margin)
        return replace(self, size=size, margin=self.margin - max(before, after))
