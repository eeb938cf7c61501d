"""The shared and the rewritten method: what a network records of itself is run in another way."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..checks.text import in_a_line
from ..data.dataset import evenly_spaced
from . import plain
from .answers import Collected
from .patterns import Patterns
from .plain import PlainModel, Transform
from .progress import ImageCounter
from .shared import (
    LAYOUTS,
    RUNTIMES,
    Graph,
    LogitsDiffer,
    NotShared,
    SharedModel,
    batch_size_for,
    folded,
    recorded,
    try_rewriting,
    try_sharing,
)
from .shared.canvas import Frame
from .tuning import as_timed, seconds_per_image

N_TRIED = 12
"""Images, drawn evenly, for which another method is tried and compared with the plain one."""

SHARED = "shared"
CHANNELS_LAST, CONTIGUOUS = LAYOUTS

ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)
"""What ends an attempt and the program: any other error only means that another method is used."""


@dataclass(frozen=True)
class Choice:
    """What was asked for.

    Attributes:
        method: ``"shared"`` shares features even if that saves no multiplication, ``"rewritten"`` shares
            none, ``"auto"`` does the first of the two that helps.
        executor: what runs the rewritten network. With one that is not ``"torch"``, ``"auto"`` shares no
            features either, unless it tunes.
        tune: whether the fastest that works is used.
        batch_size: patterns per forward pass of the rewritten network; None: as many as are fast.
    """

    method: str = "auto"
    executor: str = "torch"
    tune: bool = False
    batch_size: int | None = None

    @property
    def shares(self) -> bool:
        """Whether sharing is tried."""
        runs_elsewhere = self.executor != "torch" and not self.tune
        return self.method != "rewritten" and not runs_elsewhere

    @property
    def rewrites(self) -> tuple[str, ...]:
        """The layouts or runtimes in which rewriting is tried, the usual one first."""
        if self.method == "shared":
            return ()
        if self.executor != "torch":
            return (self.executor,)
        return (CHANNELS_LAST, CONTIGUOUS) if self.tune else (CHANNELS_LAST,)


@dataclass(frozen=True, eq=False)
class Recorded:
    """What was made of a network for images of one kind.

    Attributes:
        model: the network with shared features, or the rewritten network; None if neither is used.
        reason: how it works; without a model, why there is none.
    """

    model: SharedModel | PlainModel | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class _Sample:
    """What attempts are tried on."""

    graph: Graph
    frame: Frame
    images: Tensor  # [n, C, H, W]
    plain: PlainModel


Made = TypeVar("Made")
Attempt = Callable[[], SharedModel | PlainModel]


class Sharing:
    """What was made of a model for all kinds of images that an evaluator has met.

    Args:
        model: in eval mode whenever :meth:`answer` is called.
        transform: applied to the patterns first; None is nothing.
        choice: which methods are tried.
    """

    def __init__(self, model: nn.Module, transform: Transform | None, choice: Choice) -> None:
        self.model, self.transform, self.choice = model, transform, choice
        self._made: dict[object, Recorded] = {}  # by kind

    def answer(
        self, model: PlainModel, patterns: Patterns, collected: Collected, counter: ImageCounter
    ) -> tuple[str, str]:
        """Collect the answers to all patterns, of one image or more.

        Args:
            model: what answers are compared with.
            patterns: those to be answered.
            collected: takes the answers.
            counter: takes the number of images answered.

        Returns:
            The method, and how it worked.

        Raises:
            NotShared: neither was possible, or not to the end; or the plain method is faster.
        """
        if patterns.kind not in self._made:
            self._made[patterns.kind] = self._make(model, patterns)
        made = self._made[patterns.kind]
        if made.model is None:
            raise NotShared(made.reason)
        shares = isinstance(made.model, SharedModel)
        try:
            if isinstance(made.model, SharedModel):
                _answer_shared(made.model, patterns, collected, counter)
            else:
                plain.answer(made.model, patterns, collected, counter)
        except ENDS:
            raise
        except BaseException as error:
            done = "sharing its features" if shares else "the rewritten network"
            reason = f"{done} failed ({in_a_line(error)})"
            self._made[patterns.kind] = Recorded(reason=reason)
            raise NotShared(reason) from error
        return "shared" if shares else "rewritten", made.reason

    def _make(self, model: PlainModel, patterns: Patterns) -> Recorded:
        """What can be made of the network and was checked; no error ends a call that a plain loop over the
        patterns would finish."""
        rows = evenly_spaced(min(N_TRIED, len(patterns)), len(patterns))
        unmoved = patterns.unmoved(rows.to(patterns.images.device))
        if any(map(is_lazy, self.model.parameters())):
            model(patterns.first_pattern())  # makes the parameters
        with torch.inference_mode(False), torch.no_grad():
            images, frame = unmoved.clone(), patterns.frame
            record = partial(recorded, self.model, self.transform, frame, images)
            graph = self._tried(record, _named(SHARED))
            if isinstance(graph, str):
                return Recorded(reason=graph)
            sample = _Sample(graph, frame, images, model)
            return self._fastest(sample) if self.choice.tune else self._first(sample)

    def _first(self, sample: _Sample) -> Recorded:
        """The first attempt that works."""
        reason = "as requested"
        for how, attempt in self._attempts(sample):
            made = self._tried(attempt, _named(how))
            if isinstance(made, str):
                # With auto the reason is why features are not shared.
                reason = made if reason == "as requested" else reason
            elif isinstance(made, SharedModel):
                return Recorded(made, _how_shared(made))
            else:
                return Recorded(made, _how_rewritten(reason, sample.graph, how))
        return Recorded(reason=reason)

    def _fastest(self, sample: _Sample) -> Recorded:
        """The attempt that works and is the fastest on the first images; the plain method may be, too."""
        made: dict[str, SharedModel | PlainModel] = {}
        reason = ""
        for how, attempt in self._attempts(sample):
            result = self._tried(attempt, _named(how))
            if isinstance(result, str):
                reason = reason or result
            else:
                made[how] = result
        if not made:
            return Recorded(reason=reason)
        if self.choice.method == "auto":
            made["plain"] = sample.plain
        if len(made) > 1:
            seconds = seconds_per_image([partial(_run, one, sample) for one in made.values()])
            reason = as_timed([_title(how) for how in made], seconds)
            best = list(made)[seconds.index(min(seconds))]
        else:
            (best,), reason = made, "as requested"
        model = made[best]
        if isinstance(model, SharedModel):
            return Recorded(model, f"{reason}; {_how_shared(model)}")
        if best == "plain":
            return Recorded(reason=reason)
        return Recorded(model, _how_rewritten(reason, sample.graph, best))

    def _attempts(self, sample: _Sample) -> Iterator[tuple[str, Attempt]]:
        """Attempts in the usual order: ``"shared"``, or the layout or runtime of a rewritten network, and a
        function that returns what it makes."""
        given = (sample.graph, sample.frame, sample.images, sample.plain)
        if self.choice.shares:
            even_if_slower = self.choice.method == "shared" or self.choice.tune
            yield SHARED, partial(try_sharing, *given, even_if_slower)
        for how in self.choice.rewrites:
            size = sample.plain.batch_size
            if self.choice.batch_size is None and how in LAYOUTS and not sample.images.is_cuda:
                size = batch_size_for(sample.graph, size)
            in_batches = partial(PlainModel, transform=None, batch_size=size)
            yield how, partial(try_rewriting, *given, how, in_batches, size)

    def _tried(self, attempt: Callable[[], Made], what: str) -> Made | str:
        """What an attempt makes, or why it fails."""
        try:
            return attempt()
        except ENDS:
            raise
        except BaseException as error:  # which would keep everything that was recorded
            if isinstance(error, LogitsDiffer) and self.choice.method == "auto":
                warnings.warn(f"{error}; another method is used", RuntimeWarning, stacklevel=7)
            known = isinstance(error, NotShared)
            return str(error) if known else f"{what} failed ({in_a_line(error)})"


def _named(how: str) -> str:
    """What a reason calls an attempt that fails."""
    return f"the attempt to {'share its features' if how == SHARED else 'rewrite it'}"


def _title(how: str) -> str:
    """What a list of times calls a method."""
    if how in LAYOUTS:
        return f"rewritten {how}"
    return f"rewritten in {RUNTIMES[how].title}" if how in RUNTIMES else how


def _run(model: SharedModel | PlainModel, sample: _Sample) -> float:
    """Answer some of the first images, to be timed; returns how many."""
    images, n_shifts = sample.images, len(sample.frame.grid)
    if isinstance(model, SharedModel):
        model.answer(images[: model.n_tried]).logits.cpu()  # waits for the device
        return min(model.n_tried, len(images))
    number = torch.arange(model.batch_size, device=images.device)
    n, shift = number // n_shifts % len(images), number % n_shifts
    n_dx = sample.frame.grid.n_dx
    model(sample.frame.patterns(images, n, shift // n_dx, shift % n_dx)).cpu()
    return model.batch_size / n_shifts


def _answer_shared(
    shared: SharedModel, patterns: Patterns, collected: Collected, counter: ImageCounter
) -> None:
    for first in range(0, len(patterns), shared.block):
        with torch.inference_mode(False), torch.no_grad():
            images = patterns.unmoved(slice(first, first + shared.block))
            answers = shared.answer(images.clone() if images.is_inference() else images)
        collected.put(first * patterns.n_shifts, answers.logits.flatten(0, 2))
        counter.reached(first + len(answers.logits))


def _how_shared(shared: SharedModel) -> str:
    """The windows of which canvas share features, up to which operation, and what was folded."""
    frame, n_parts = shared.frames[0], len(shared.frames)
    y, x = frame.axes()
    every = "all " if n_parts == 1 else ""
    how = f"{every}{len(frame.grid)} windows of a {y.lines} x {x.lines} canvas at once"
    end = shared.tried.end
    far = f"{how}, as far as {end}" if end else how
    return f"{far}; {shared.folded}" if shared.folded else far


def _how_rewritten(reason: str, graph: Graph, how: str) -> str:
    """The reason, what was folded, and the layout or the runtime."""
    by = f"run by {RUNTIMES[how].title}" if how in RUNTIMES else how
    return f"{reason}; " + ", ".join(filter(None, (folded(graph), by)))
