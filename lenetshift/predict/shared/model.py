"""A network over many images: chunks, parts of the grid, and the memory that they take."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...data.memory import trim_if_grown
from ...shifts import ShiftGrid
from .canvas import Frame
from .geometry import TooLarge
from .graph import Graph
from .passes import Pass, run_pass
from .rewriting import first_padding, folded, rewritten
from .workers import in_threads

WORK_BYTES = 16 << 20
"""Memory of a pass: a chunk's maps then stay in a processor's cache."""

MOST_BYTES = 128 << 20
"""The most memory of a pass over one image; with the functions' own needs it is twice that."""

BLOCK_BYTES = 16 << 20
"""Memory of canvases and logits of images that are best answered at once."""

LEAST_TRIED = 3
"""Images that every network is tried on, if there are as many."""

TRIED_PRODUCTS = 2_000_000_000
"""Multiply-adds above which a network is tried on no further images."""


@dataclass(frozen=True, eq=False)
class SharedAnswers:
    """Answers of a network to some images under every shift.

    Attributes:
        logits: ``[n, n_dy, n_dx, K]``, in the order of the grid.
        products: multiply-adds, shared or not.
        plain_products: those of the same patterns one by one.
        end: where sharing ends before the network's end, and why; empty if it does not.
    """

    logits: Tensor
    products: int
    plain_products: int
    end: str


class SharedModel:
    """A network as a function of images, which gives their logits under every shift.

    Args:
        graph: the network.
        frame: what the network sees of moved images.
        images: floating-point ``[n, C, H, W]`` in 0..1 to try it on, all of them or the first ones.

    Attributes:
        folded: what its convolutions have taken in, in words.
        margin: lines around the windows of a canvas, which padding uses where they are blank.
        frames: the frame for each part of the grid whose shifts are answered together; one part, unless its
            features would take too much memory.
        chunk: canvases per pass.
        most_workers: the most passes at once, for their memory. With more threads than that, one pass after
            the other uses all threads.
        block: images that are best answered at once.
        n_tried: the number of images that it was tried on.
        tried: the answers to them.

    Raises:
        NotShared: why its windows cannot share features.
    """

    def __init__(self, graph: Graph, frame: Frame, images: Tensor) -> None:
        self.graph, self.frame = rewritten(graph), frame
        self.folded, self.margin = folded(graph), first_padding(graph)
        self.frames, first = self._fitting(images[:1])
        peak = max(1, first.peak_bytes)
        self.chunk = max(1, WORK_BYTES // peak)
        self.most_workers = 2 * MOST_BYTES // (peak * self.chunk)
        self._logits, self._end = first.logits, first.end
        logits_bytes = first.logits.nbytes * len(self.frames)
        kept = frame.canvases(images[:1], self.margin).nbytes + logits_bytes
        self.block = max(self.chunk, BLOCK_BYTES // kept)
        affordable = TRIED_PRODUCTS // max(1, first.products * len(self.frames))
        self.n_tried = min(len(images), max(LEAST_TRIED, affordable))
        self.tried = self._tried(images[: self.n_tried], first)

    def _fitting(self, image: Tensor) -> tuple[list[Frame], Pass]:
        """The parts of the grid that fit into memory, as few as possible, and a pass over the first."""
        for grids in _parts(self.frame.grid):
            frames = [replace(self.frame, grid=grid) for grid in grids]
            try:
                return frames, self._pass(frames[0], image, MOST_BYTES)
            except TooLarge as error:
                reason = error
        raise reason

    def _tried(self, images: Tensor, first: Pass) -> SharedAnswers:
        """The answers to some images; ``first`` has answered the first one on the first part of the grid."""
        one_by_one = min(self.chunk, len(images)) == 1
        return self._answer(images, first) if one_by_one else self.answer(images)

    def answer(self, images: Tensor) -> SharedAnswers:
        """The network's answers to floating-point images ``[n, C, H, W]`` in 0..1, n >= 1.

        Images whose windows have blank surroundings are answered together (:mod:`.geometry`).
        """
        if not self.margin or len(images) <= self.chunk:
            return self._answer(images)
        order = self._lost(images).argsort(stable=True)
        answers = self._answer(images[order])
        return replace(answers, logits=answers.logits[order.argsort()])

    def _lost(self, images: Tensor) -> Tensor:
        """How many windows of each image have more than zeros next to them, along y and x: int64 ``[n]``."""
        canvases = self.frame.canvases(images, self.margin)
        lost = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        for dim, axis in enumerate(self.frame.axes(self.margin)):
            ink = (canvases != 0).any(1).any(2 - dim)  # [n, lines]
            firsts, lasts = (torch.from_numpy(axis.table[:, at]).to(ink.device) for at in (0, -1))
            for beyond in range(1, self.margin + 1):
                lost += ink[:, firsts - beyond].sum(1) + ink[:, lasts + beyond].sum(1)
        return lost

    def _answer(self, images: Tensor, first: Pass | None = None) -> SharedAnswers:
        """The answers to images in their order; ``first`` has answered the first one, alone, on the first
        part of the grid."""
        n_threads = torch.get_num_threads()
        n_workers = n_threads if n_threads <= self.most_workers and not images.is_cuda else 1
        # One tensor for all logits: many small ones between the maps that are freed would keep the C
        # library from using that memory again.
        logits = self._logits.new_empty(len(images), *self.frame.grid.shape, self._logits.shape[-1])
        parts = _shares(len(images), self.chunk, n_workers)
        passes = in_threads(
            lambda part: self._answer_chunk(
                images[part], logits[part], None if part.start else first
            ),
            parts,
            n_workers,
        )
        products, plain_products = (sum(counts) for counts in zip(*passes, strict=True))
        return SharedAnswers(logits, products, plain_products, self._end)

    def _answer_chunk(self, images: Tensor, logits: Tensor, first: Pass | None) -> tuple[int, int]:
        """A pass for each part of the grid, whose logits are written to ``logits [n, n_dy, n_dx, K]``.

        Returns:
            Its multiply-adds, and those of the patterns one by one.
        """
        products = plain_products = 0
        grid = self.frame.grid
        for frame in self.frames:
            n_dy, n_dx = frame.grid.shape
            i, j = grid.dy.index(frame.grid.dy[0]), grid.dx.index(frame.grid.dx[0])
            done, first = first or self._pass(frame, images), None
            # Windows come in descending order of shifts, logits in ascending order.
            logits[:, i : i + n_dy, j : j + n_dx] = done.logits.flip(1, 2)
            products += done.products
            plain_products += done.plain_products
            del done
            trim_if_grown()
        return products, plain_products

    def _pass(self, frame: Frame, images: Tensor, most_bytes: float = math.inf) -> Pass:
        canvases = frame.canvases(images, self.margin)
        return run_pass(self.graph, canvases, *frame.axes(self.margin), most_bytes)


def _shares(n_images: int, most: int, n: int) -> list[slice]:
    """Images in chunks of at most ``most``, about equal, the same number for each of ``n`` workers."""
    n_chunks = -(-n_images // most)
    n_chunks = min(n_images, -(-n_chunks // n) * n)
    ends = [k * n_images // n_chunks for k in range(n_chunks + 1)]
    return [slice(*pair) for pair in itertools.pairwise(ends)]


def _parts(grid: ShiftGrid) -> Iterator[list[ShiftGrid]]:
    """Ways to cut a grid into equal parts, row by row: into few rows first, then each row into pieces."""
    for n_dy in _divisors(grid.n_dy):
        yield [ShiftGrid(grid.dx, dy) for dy in _cut(grid.dy, n_dy)]
    for n_dx in _divisors(grid.n_dx)[1:]:
        rows, columns = _cut(grid.dy, grid.n_dy), _cut(grid.dx, n_dx)
        yield [ShiftGrid(dx, dy) for dy in rows for dx in columns]


def _divisors(n: int) -> list[int]:
    return [k for k in range(1, n + 1) if n % k == 0]


def _cut(shifts: range, n: int) -> list[range]:
    size = len(shifts) // n
    return [shifts[k : k + size] for k in range(0, len(shifts), size)]
