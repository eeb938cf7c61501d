"""The plain method: every pattern goes through the model, in batches of one size, as in a loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..checks.describe import describe
from ..checks.errors import ArgumentError
from .answers import Collected
from .patterns import Patterns
from .progress import ImageCounter
from .shared.canvas import contiguous
from .shared.outputs import logits_of

Transform = Callable[[Tensor], Tensor]

BATCH_VALUES = {"cpu": 1 << 16, "cuda": 1 << 21}
"""Pixels per batch: a small batch keeps its maps in a CPU's cache, a large one fills a GPU.
``benchmarks/batch_sizes.py`` measures it."""

SIZES = {"cpu": (4, 64), "cuda": (16, 4096)}
"""The smallest and the largest batch."""

MOVED_BYTES = 8 << 20
"""Bytes of moved images that are made at once."""


def default_batch_size(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> int:
    """Patterns per forward pass: a power of two that depends on a pattern's shape, dtype and device only.

    Args:
        shape: ``(C, h, w)`` of a pattern.
        dtype: of a pattern; for twice the bytes, half the batch.
        device: of the model.
    """
    kind = device.type if device.type in SIZES else "cuda"
    values = max(1, shape[-2] * shape[-1] * dtype.itemsize // 4)
    least, most = SIZES[kind]
    wanted = max(1, BATCH_VALUES[kind] // values)
    return min(most, max(least, 1 << (wanted.bit_length() - 1)))


class PlainModel:
    """A model as a function of patterns: transformed first, in batches of one size, the output checked.

    Args:
        model: a module in eval mode, or a function; takes ``[B, C, h, w]``, gives ``[B, K]``, alone or in an
            output in which :func:`logits_of` finds it.
        transform: applied to ``[B, C, h, w]`` first; None is nothing.
        batch_size: patterns per forward pass, neither more nor less.
    """

    def __init__(self, model: Transform, transform: Transform | None, batch_size: int) -> None:
        self.model, self.transform, self.batch_size = model, transform, batch_size
        self._n_classes: int | None = None  # known after the first batch

    def __call__(self, patterns: Tensor) -> Tensor:
        """The logits ``[n, K]`` of patterns ``[n, C, h, w]`` in 0..1, n >= 1, which the model may write to.

        Raises:
            ValueError: the output of the transform or the model has another shape.
        """
        parts = []
        for part in patterns.split(self.batch_size):
            n = len(part)
            if n < self.batch_size:  # filled up with repetitions, whose logits are dropped
                part = part[torch.arange(self.batch_size, device=part.device) % n]
            parts.append(self._answer(contiguous(part))[:n])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _answer(self, batch: Tensor) -> Tensor:
        n = len(batch)
        seen = batch if self.transform is None else self._transformed(batch)
        try:
            output: Tensor = logits_of(self.model(seen))
        except Exception as error:
            if self._n_classes is None and hasattr(error, "add_note"):  # from Python 3.11 on
                error.add_note(
                    f"The model was given {n} patterns at once; if it takes only another number, pass "
                    "that as batch_size=."
                )
            raise
        fits = isinstance(output, Tensor) and output.dim() == 2 and len(output) == n
        if not fits or output.shape[1] == 0 or output.is_complex():
            real = "real " if fits and output.is_complex() else ""
            raise ArgumentError(
                "model", f"output {describe(output)} for {n} images", f"{real}[{n}, K] with K >= 1"
            )
        if self._n_classes not in (None, output.shape[1]):
            raise ArgumentError(
                "model",
                f"output {describe(output)} for {n} images",
                f"[{n}, {self._n_classes}] as for the images before",
            )
        self._n_classes = output.shape[1]
        return output.detach()

    def _transformed(self, batch: Tensor) -> Tensor:
        assert self.transform is not None
        n, _, height, width = batch.shape
        seen = self.transform(batch)
        if (
            not isinstance(seen, Tensor)
            or seen.dim() != 4
            or (len(seen), *seen.shape[2:]) != (n, height, width)
        ):
            raise ArgumentError(
                "transform",
                f"output {describe(seen)} for {n} images",
                f"[{n}, C, {height}, {width}]",
            )
        return seen


def answer(
    model: PlainModel, patterns: Patterns, collected: Collected, counter: ImageCounter
) -> None:
    """Collect the answers to all patterns, and report the images that are finished."""
    for first, logits in _logits(model, patterns):
        collected.put(first, logits)
        counter.reached((first + len(logits)) // patterns.n_shifts)


def _logits(model: PlainModel, patterns: Patterns) -> Iterator[tuple[int, Tensor]]:
    """The number of the first pattern of a batch, and the logits ``[B, K]`` of the batch."""
    first, waiting = 0, None
    for moved in _moved(patterns, model.batch_size):
        at_hand = moved if waiting is None else torch.cat([waiting, moved])
        n = len(at_hand) - len(at_hand) % model.batch_size
        for at in range(0, n, model.batch_size):
            yield first, model(patterns.as_input(at_hand[at : at + model.batch_size]))
            first += model.batch_size
        waiting = at_hand[n:]
    if waiting is not None and len(waiting):
        yield first, model(patterns.as_input(waiting))


def _moved(patterns: Patterns, batch_size: int) -> Iterator[Tensor]:
    """All patterns, some at a time, ``[n, ...]``."""
    at_once = max(batch_size, MOVED_BYTES // max(1, patterns.bytes_each))
    n_images = max(1, at_once // patterns.n_shifts)
    for first in range(0, len(patterns), n_images):
        images = slice(first, min(len(patterns), first + n_images))
        for shifts in _pieces(patterns.n_shifts, at_once):
            yield patterns.moved(images, shifts).flatten(0, 1)


def _pieces(n: int, most: int) -> list[slice]:
    """``n`` shifts in as few pieces of at most ``most`` as can be, about equal."""
    n_pieces = -(-n // most)
    bounds = [n * k // n_pieces for k in range(n_pieces + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(bounds)]
