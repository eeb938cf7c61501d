"""A network over many images: chunks, canvases cut at the frame, and the memory that they take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .canvas import (
    Frame,
    H,
    W,
    channels_last,
    contiguous,
    lines,
)
from .executor import Pass, run_pass
from .geometry import Axis, MarginTooSmall
from .graph import Graph

WORK_BYTES = 16 << 20
"""Memory of a pass: a chunk's maps then stay in a processor's cache."""

MOST_BYTES = 128 << 20
"""The most memory of a pass over one image; with the functions' own needs it is twice that."""

BLOCK_BYTES = 16 << 20
"""Memory of canvases and logits that are kept until what is cut at the frame has been computed too."""


@dataclass(frozen=True, eq=False)
class SharedAnswers:
    """Answers of a network to some images under every shift.

    Attributes:
        logits: ``[n, n_dy, n_dx, K]``, in the order of the grid.
        cut: bool ``[n, n_dy, n_dx]``, computed on canvases cut at the frame, or alone.
        products: multiply-adds of the convolutions.
        plain_products: those of the same patterns one by one.
    """

    logits: Tensor
    cut: Tensor
    products: float
    plain_products: float


class SharedModel:
    """A network as a function of images, which gives their logits under every shift.

    Args:
        graph: the network.
        frame: what the network sees of moved images.
        images: floating-point ``[n, C, H, W]`` in 0..1, a few to try it on.

    Attributes:
        margin: pixels around the windows that padding uses.
        chunk: canvases per pass.
        block: images that are best answered at once.
        tried: the answers to the images that it was tried on.

    Raises:
        NotShared: why its windows cannot share features.
    """

    def __init__(self, graph: Graph, frame: Frame, images: Tensor) -> None:
        self.graph, self.frame = graph, frame
        self.margin, first = self._try(images[:1])
        self.chunk = max(1, WORK_BYTES // first.peak_bytes)
        kept = frame.canvases(images[:1], self.margin).nbytes + first.logits.nbytes
        self.block = max(1, BLOCK_BYTES // kept)
        self.tried = self.answer(images)

    def _try(self, image: Tensor) -> tuple[int, Pass]:
        """The margin that the network's padding needs, and a pass with it."""
        margin = 0
        while True:
            y, x = self.frame.axes(margin)
            canvases = self.frame.canvases(image, margin)
            try:
                return margin, run_pass(self.graph, canvases, y, x, most_bytes=MOST_BYTES)
            except MarginTooSmall as needed:
                margin += needed.missing

    @property
    def canvas_size(self) -> tuple[int, int]:
        """Height and width of the canvases, without the margin."""
        y, x = self.frame.axes()
        return y.cells, x.cells

    def answer(self, images: Tensor) -> SharedAnswers:
        """The network's answers to floating-point images ``[n, C, H, W]`` in 0..1, n >= 1."""
        blocks = [self._answer(block) for block in images.split(self.block)]
        return SharedAnswers(
            # Windows come in descending order of shifts, answers in ascending order.
            torch.cat([block.logits for block in blocks]).flip(1, 2),
            torch.cat([block.cut for block in blocks]).flip(1, 2),
            sum(block.products for block in blocks),
            sum(block.plain_products for block in blocks),
        )

    def _answer(self, images: Tensor) -> SharedAnswers:
        """One block's answers, in the order of the windows on the canvas."""
        y, x = self.frame.axes(self.margin)
        canvases = self.frame.canvases(images, self.margin)
        whole = [run_pass(self.graph, part, y, x) for part in canvases.split(self.chunk)]
        logits = torch.cat([part.logits for part in whole])  # [n, n_y, n_x, K]
        spoiled_y = torch.cat([part.spoiled_y for part in whole])  # [n, n_y]
        spoiled_x = torch.cat([part.spoiled_x for part in whole])  # [n, n_x]
        blank_x = ~spoiled_x
        alone = torch.zeros_like(logits[..., 0], dtype=torch.bool)
        products: float = sum(part.products for part in whole)
        plain_products: float = sum(part.plain_products for part in whole)

        for n, j in self._chunks(spoiled_x):  # what lies left or right of them is not blank
            columns = channels_last(lines(canvases, W, x)[n, :, :, j])  # [B, C, height, w]
            cut = run_pass(self.graph, columns, y, Axis.alone(x.size))
            logits[n, :, j] = cut.logits[:, :, 0]
            alone[n, :, j] = cut.spoiled_y
            products += cut.products

        for n, i in self._chunks(spoiled_y & blank_x.any(1, keepdim=True)):  # above or below
            rows = channels_last(lines(canvases, H, y)[n, :, i].transpose(H, W))  # [B, C, h, width]
            cut = run_pass(self.graph, rows, Axis.alone(y.size), x)
            logits[n, i] = torch.where(blank_x[n, :, None], cut.logits[:, 0], logits[n, i])
            products += cut.products

        for n, i, j in self._chunks(alone):  # both
            windows = lines(lines(canvases, H, y), W, x)[n, :, i, j]  # [B, C, h, w]
            logits[n, i, j] = self.graph.run(contiguous(windows))
            products += plain_products * len(n) / alone.numel()
        cut_somewhere = spoiled_y[:, :, None] | spoiled_x[:, None, :]
        return SharedAnswers(logits, cut_somewhere, products, plain_products)

    def _chunks(self, chosen: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """The indices of what is chosen, as many at a time as a pass takes canvases."""
        for chunk in chosen.nonzero().split(self.chunk):
            if len(chunk):
                yield chunk.unbind(1)
