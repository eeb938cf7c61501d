"""Images on canvases: every moved image is a window of its image's canvas.

Window (i, j) starts ``i * step`` rows and ``j * step`` columns from the first one, which shows the
image at its largest dy and dx: windows come in descending order of shifts.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from ...checks.shifts import first_seen
from ...shifts import ShiftGrid
from .geometry import Axis

H, W = 2, 3  # the dimensions of y and x of images and canvases


@dataclass(frozen=True)
class Frame:
    """Which part of a moved image the network sees, and what fills uncovered pixels.

    Args:
        grid: the shifts.
        image: height and width of the images.
        window: height and width of the part, in the middle of the image.
        fill: what lies beyond the image, in 0..1, one number per channel; or ``"circular"``.
    """

    grid: ShiftGrid
    image: tuple[int, int]
    window: tuple[int, int]
    fill: Tensor | str

    @property
    def is_translation(self) -> bool:
        """Whether the op ``translate`` gives the moved images: no crop, filled with 0."""
        return self.window == self.image and isinstance(self.fill, Tensor) and not self.fill.any()

    def axes(self, margin: int = 0) -> tuple[Axis, Axis]:
        """The canvas's windows along y and x, with a margin around them; the same for each call."""
        if margin not in self._axes:
            y, x = (
                Axis.spaced(len(shifts), shifts.step, size, margin)
                for shifts, size in zip((self.grid.dy, self.grid.dx), self.window, strict=True)
            )
            self._axes.setdefault(margin, (y, x))
        return self._axes[margin]

    @functools.cached_property
    def _axes(self) -> dict[int, tuple[Axis, Axis]]:
        return {}

    def canvases(self, images: Tensor, margin: int = 0) -> Tensor:
        """Canvases ``[N, C, height, width]``, channels last, of images ``[N, C, H, W]`` in 0..1."""
        spans = []
        for dim, axis in enumerate(self.axes(margin)):
            middle = first_seen(self.image[dim], self.window[dim])
            first = middle - (self.grid.dy, self.grid.dx)[dim][-1] - margin
            spans.append(range(first, first + axis.lines))
        if isinstance(self.fill, str):
            rows, columns = (
                torch.tensor([at % size for at in span], device=images.device)
                for span, size in zip(spans, self.image, strict=True)
            )
            return channels_last(images[:, :, rows[:, None], columns])
        fill = self.fill.to(images).view(-1, 1, 1)
        canvases = channels_last(fill.expand(*images.shape[:2], *map(len, spans)))
        inside = [
            range(max(0, span.start), min(size, span.stop))
            for span, size in zip(spans, self.image, strict=True)
        ]
        if all(map(len, inside)):
            source, target = (
                [
                    slice(part.start - at, part.stop - at)
                    for part, at in zip(inside, first, strict=True)
                ]
                for first in ((0, 0), (spans[0].start, spans[1].start))
            )
            canvases[:, :, target[0], target[1]] = images[:, :, source[0], source[1]]
        return canvases

    def patterns(self, images: Tensor, n: Tensor, i: Tensor, j: Tensor) -> Tensor:
        """What the network sees of images ``n`` under the shifts at row ``i`` and column ``j`` of the grid.

        Args:
            images: floating-point ``[N, C, H, W]`` in 0..1.
            n, i, j: int64 ``[B]``.

        Returns:
            ``[B, C, h, w]``.
        """
        y, x = self.axes()
        windows = _windows(_windows(self.canvases(images), H, y), W, x)  # [N, C, n_dy, n_dx, h, w]
        return contiguous(windows[n, :, y.windows - 1 - i, x.windows - 1 - j])


def _windows(canvases: Tensor, dim: int, axis: Axis) -> Tensor:
    """A view of all windows along ``dim``, which then counts windows; a new last dimension has their
    lines."""
    step = int(axis.table[1, 0]) if axis.windows > 1 else 1
    return canvases.unfold(dim, axis.size, step)


def contiguous(batch: Tensor) -> Tensor:
    """A batch ``[N, C, h, w]`` in PyTorch's default layout. For a single channel ``Tensor.contiguous``
    accepts any stride, and convolutions may then take the batch for channels_last."""
    channels, height, width = batch.shape[1:]
    if batch.stride() == (channels * height * width, height * width, width, 1):
        return batch
    return torch.empty(batch.shape, dtype=batch.dtype, device=batch.device).copy_(batch)


def channels_last(tensor: Tensor) -> Tensor:
    """A copy ``[N, C, height, width]`` in channels_last, also for C = 1, unlike ``Tensor.contiguous``."""
    copy = torch.empty(
        tensor.shape,
        dtype=tensor.dtype,
        device=tensor.device,
        memory_format=torch.channels_last,
    )
    return copy.copy_(tensor)
