"""The plain way: every pattern through the network, a batch at a time."""

from __future__ import annotations

import itertools
import math
import statistics
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .checks import describe
from .patterns import Patterns

Transform = Callable[[Tensor], Tensor]

BATCH_SIZES = {"cpu": (128, 64, 512), "cuda": (2048, 512, 8192)}
"""Patterns a forward pass, tried on the first images: a batch whose maps stay in the cache is best on
a CPU, one that fills the device on a GPU. The likeliest comes first."""

ROUNDS = 3
"""How often each is tried."""

TURNS = 5
"""How often each of the two fastest is then timed on more patterns."""

MOST_BYTES = 256 << 20
"""What the patterns of a forward pass may hold at once, where the batch size is ours to choose."""


MOVED_BYTES = 8 << 20
"""Moved images that are made at once."""


class Ask:
    """A model as a function of patterns, its transform before it and its output checked.

    Args:
        model: in eval mode; takes ``[B, C, h, w]``, gives ``[B, K]``.
        transform: what stands before it, on ``[B, C, h, w]``; None is nothing.
    """

    def __init__(self, model: nn.Module, transform: Transform | None) -> None:
        """Keep them."""
        self.model, self.transform = model, transform
        self._n_classes: int | None = None  # once it has answered

    def __call__(self, patterns: Tensor) -> Tensor:
        """The logits ``[B, K]`` of patterns ``[B, C, h, w]`` in 0..1, which it may write to.

        Raises:
            ValueError: the transform or the model gives something else.
        """
        output: Tensor = self.model(
            patterns if self.transform is None else self._transformed(patterns)
        )
        n = len(patterns)
        fits = isinstance(output, Tensor) and output.dim() == 2 and len(output) == n
        if not fits or output.shape[1] == 0:
            raise ValueError(
                f"model: got output {describe(output)} for {n} images, "
                f"expected [{n}, K] with K >= 1"
            )
        if self._n_classes not in (None, output.shape[1]):
            raise ValueError(
                f"model: got output {describe(output)} for {n} images, "
                f"expected [{n}, {self._n_classes}] as for those before"
            )
        self._n_classes = output.shape[1]
        return output

    def _transformed(self, patterns: Tensor) -> Tensor:
        assert self.transform is not None
        n, _, height, width = patterns.shape
        seen = self.transform(patterns)
        if (
            not isinstance(seen, Tensor)
            or seen.dim() != 4
            or (len(seen), *seen.shape[2:]) != (n, height, width)
        ):
            raise ValueError(
                f"transform: got output {describe(seen)} for {n} images, "
                f"expected [{n}, C, {height}, {width}]"
            )
        return seen


class Pace:
    """The batch size of forward passes: as asked, or what proves fastest on the first patterns. Kept
    from one call of :func:`answers` to the next, for images of one kind.

    Every size is tried a few times on a batch or some; the two fastest then take turns on longer
    stretches, for a size that makes memory anew for every batch is slow in the long run alone.
    """

    def __init__(self, batch_size: int | None) -> None:
        """Patterns a forward pass at most; None finds it out."""
        self._chosen = batch_size
        self._seconds: dict[int, list[float]] = {}  # a pattern, by the batch sizes to choose from
        self._trials: list[int] = []
        self._turns: list[int] = []
        self._lock = threading.Lock()  # several threads may share an evaluator

    def begin(self, ask: Ask, patterns: Patterns) -> None:
        """Before the first pattern: choose what to try."""
        if self._chosen or self._seconds:
            return
        sizes = _batch_sizes(ask, patterns)
        with self._lock:
            self._seconds = {size: [] for size in sizes}
            self._trials = sizes * ROUNDS if len(sizes) > 1 else []

    def next(self) -> tuple[int, int]:
        """The next batch size; and how many patterns to ask with it, 0 for as many as suits."""
        with self._lock:
            if self._chosen:
                return self._chosen, 0
            if self._trials:
                return self._trials.pop(0), max(self._seconds)
            if len(self._seconds) > 2:
                two = sorted(self._seconds, key=self._median)[:2]
                self._seconds = {size: [] for size in two}
                self._turns = two * TURNS
            if self._turns:
                return self._turns.pop(0), 0
            self._chosen = min(self._seconds, key=self._median)
            return self._chosen, 0

    def took(self, size: int, seconds: float) -> None:
        """How long a pattern took in batches of ``size``."""
        with self._lock:
            if not self._chosen and size in self._seconds:
                self._seconds[size].append(seconds)

    def _median(self, size: int) -> float:
        return statistics.median(self._seconds[size] or [math.inf])


def answers(ask: Ask, patterns: Patterns, pace: Pace) -> Iterator[tuple[int, Tensor]]:
    """Ask about all patterns.

    Yields:
        The number of the first pattern, and the logits ``[B, K]`` of it and those that follow.
    """
    if not len(patterns):
        return
    pace.begin(ask, patterns)
    first = 0
    while first < len(patterns):
        size, trial = pace.next()
        at_once = trial or max(size, MOVED_BYTES // patterns.bytes_each)
        images = slice(first, min(len(patterns), first + max(1, at_once // patterns.n_shifts)))
        start = _now(patterns.device)
        for shifts in _pieces(patterns.n_shifts, at_once):
            moved = patterns.moved(images, shifts)  # [images, shifts, C, h, w]
            at = images.start * patterns.n_shifts + shifts.start
            for batch in moved.flatten(0, 1).split(size):
                yield at, ask(patterns.as_input(batch))
                at += len(batch)
        n = (images.stop - images.start) * patterns.n_shifts
        pace.took(size, (_now(patterns.device) - start) / n)
        first = images.stop


def _pieces(n: int, most: int) -> list[slice]:
    """``n`` shifts in as few pieces of at most ``most`` as can be, about equal."""
    n_pieces = -(-n // most)
    bounds = [n * k // n_pieces for k in range(n_pieces + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(bounds)]


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _batch_sizes(ask: Ask, patterns: Patterns) -> list[int]:
    """Those worth a trial: as many as fit the memory, by what a second pattern adds to one."""
    peaks = []
    for n in (1, 2):
        one = patterns.as_input(patterns.moved(slice(0, 1), slice(0, 1)).flatten(0, 1))
        batch = one.repeat(n, 1, 1, 1)
        with _LiveBytes() as live:
            ask(batch)
        peaks.append(live.peak)
    most = max(1, MOST_BYTES // max(1, peaks[1] - peaks[0]))
    return [n for n in BATCH_SIZES.get(patterns.device.type, (128,)) if n <= most] or [most]


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of the tensors that are made within and still alive.

    Attributes:
        peak: most of them at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[int, int]] = {}  # address -> bytes, tensors that share them

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an op and count what it gives."""
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                address, n_bytes = storage.data_ptr(), storage.nbytes()
                _, sharing = self._alive.get(address, (0, 0))
                self._alive[address] = n_bytes, sharing + 1
                weakref.finalize(tensor, self._forget, address)
        self.peak = max(self.peak, sum(n_bytes for n_bytes, _ in self._alive.values()))
        return result

    def _forget(self, address: int) -> None:
        n_bytes, sharing = self._alive.pop(address, (0, 0))
        if sharing > 1:
            self._alive[address] = n_bytes, sharing - 1
