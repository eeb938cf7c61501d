"""The shared and the rewritten method: what a network records of itself is run in another way."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..checks.text import in_a_line
from ..data.dataset import evenly_spaced
from . import plain
from .answers import Collected
from .patterns import Patterns
from .plain import PlainModel, Transform
from .progress import ImageCounter
from .shared import LogitsDiffer, NotShared, SharedModel, recorded, try_rewriting, try_sharing

N_TRIED = 12
"""Images, drawn evenly, for which another method is tried and compared with the plain one."""

ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)
"""What ends an attempt and the program: any other error only means that another method is used."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """What was made of a network for images of one kind.

    Attributes:
        shared: the network with shared features; None if they are not shared.
        rewritten: the rewritten network; None if it is not used.
        reason: why features are not shared; empty if they are.
    """

    shared: SharedModel | None = None
    rewritten: PlainModel | None = None
    reason: str = ""


class Sharing:
    """What was made of a model for all kinds of images that an evaluator has met.

    Args:
        model: in eval mode whenever :meth:`answer` is called.
        transform: applied to the patterns first; None is nothing.
        method: ``"shared"`` shares features even if that saves no multiplication, ``"rewritten"`` shares
            none, ``"auto"`` does the first of the two that helps.
    """

    def __init__(self, model: nn.Module, transform: Transform | None, method: str) -> None:
        self.model, self.transform, self.method = model, transform, method
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
            NotShared: neither was possible, or not to the end.
        """
        if patterns.kind not in self._made:
            self._made[patterns.kind] = self._make(model, patterns)
        made = self._made[patterns.kind]
        try:
            if made.shared is not None:
                _answer_shared(made.shared, patterns, collected, counter)
                return "shared", _how_shared(made.shared)
            if made.rewritten is not None:
                plain.answer(made.rewritten, patterns, collected, counter)
                return "rewritten", made.reason
        except ENDS:
            raise
        except BaseException as error:
            done = "sharing its features" if made.shared else "the rewritten network"
            reason = f"{done} failed ({in_a_line(error)})"
            self._made[patterns.kind] = Recorded(reason=reason)
            raise NotShared(reason) from error
        raise NotShared(made.reason)

    def _make(self, model: PlainModel, patterns: Patterns) -> Recorded:
        """What can be made of the network and was checked; no error ends a call that a plain loop over the
        patterns would finish."""
        rows = evenly_spaced(min(N_TRIED, len(patterns)), len(patterns))
        unmoved = patterns.unmoved(rows.to(patterns.images.device))
        if any(map(is_lazy, self.model.parameters())):
            model(patterns.first_pattern())  # makes the parameters
        reason = "as requested"
        with torch.inference_mode(False), torch.no_grad():
            images, frame = unmoved.clone(), patterns.frame
            try:
                graph = recorded(self.model, self.transform, frame, images)
            except ENDS:
                raise
            except BaseException as error:
                return Recorded(reason=_reason(error, "the attempt to share its features"))
            if self.method != "rewritten":
                required = self.method == "shared"
                try:
                    return Recorded(shared=try_sharing(graph, frame, images, model, required))
                except ENDS:
                    raise
                except BaseException as error:
                    self._warn_of(error)
                    reason = _reason(error, "the attempt to share its features")
                    if required:
                        return Recorded(reason=reason)
            try:
                network = try_rewriting(graph, frame, images, model)
            except ENDS:
                raise
            except BaseException as error:
                self._warn_of(error)
                if self.method == "rewritten":
                    reason = _reason(error, "the attempt to rewrite it")
                return Recorded(reason=reason)
        return Recorded(rewritten=PlainModel(network, None, model.batch_size), reason=reason)

    def _warn_of(self, error: BaseException) -> None:
        if isinstance(error, LogitsDiffer) and self.method == "auto":
            warnings.warn(f"{error}; another method is used", RuntimeWarning, stacklevel=6)


def _reason(error: BaseException, attempt: str) -> str:
    """Why an attempt failed; the exception would keep everything that was recorded."""
    return str(error) if isinstance(error, NotShared) else f"{attempt} failed ({in_a_line(error)})"


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
    """The windows of which canvas share features, and up to which operation."""
    frame, n_parts = shared.frames[0], len(shared.frames)
    y, x = frame.axes()
    every = "all " if n_parts == 1 else ""
    how = f"{every}{len(frame.grid)} windows of a {y.lines} x {x.lines} canvas at once"
    end = shared.tried.end
    return f"{how}, as far as {end}" if end else how
