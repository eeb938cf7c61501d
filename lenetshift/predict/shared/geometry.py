"""Where the windows of a map lie: one axis at a time, in cells of the map.

Window ``m`` of an axis is the moved image number ``m``; its value ``i`` stands in cell
``margin + m * step + i * dilation``. On the canvas itself a cell is a pixel and the dilation is 1.
A stride does not thin the map out: it is kept as dilation (the "algorithme à trous" of Holschneider
et al. 1989; Giusti et al. 2013 and Li et al. 2014 for networks), so that every window finds its own
values, and only what no window needs is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


class NotShared(Exception):
    """Why the windows of a canvas cannot share a network's features: the end of a sentence."""


class MarginTooSmall(Exception):
    """A padding meets a canvas that holds too little around its windows: ``missing`` pixels."""

    def __init__(self, missing: int) -> None:
        """Say how many."""
        super().__init__(f"{missing} more pixels are needed around the windows")
        self.missing = missing


@dataclass(frozen=True)
class Axis:
    """The windows of a map along one axis.

    Args:
        windows: how many.
        step: cells from one window to the next; 0 for a single one.
        size: values of a window.
        dilation: cells from one value to the next.
        margin: cells before the first and after the last window; None once a layer has looked at
            more than one cell, when what lies around a window is no longer the image's.
        cut: whether the map ends where its only window ends, as an ordinary batch of images does.
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
        """From the first window's first value to the last one's last, the margin left out."""
        return (self.windows - 1) * self.step + (self.size - 1) * self.dilation + 1

    @property
    def around(self) -> int:
        """The margin, 0 where there is none."""
        return self.margin or 0

    def thinned(self, size: int, stride: int) -> tuple[Axis, int]:
        """The axis of a layer that takes every ``stride``-th place of a window, ``size`` in all.

        Returns:
            It, and every how many cells of this map it needs: the stride of the layer on the map.
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
        """The axis when a window takes in what lies around it; MarginTooSmall if that is too little.

        Raises:
            NotShared: the map no longer holds the image around a window.
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
