"""The shared method: features that the shifts share, as long as that works."""

from __future__ import annotations

import warnings

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..checks.text import in_a_line
from ..data.dataset import evenly_spaced
from .answers import Collected
from .patterns import Patterns
from .plain import PlainModel, Transform
from .progress import ImageCounter
from .shared import LogitsDiffer, NotShared, SharedModel, try_sharing

N_TRIED = 12
"""Images, drawn evenly, for which shared features are tried and compared with the plain method."""

ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)
"""What ends an attempt to share and the program: any other error only means that nothing is shared."""


class Sharing:
    """Shared models for all kinds of images that an evaluator has met.

    Args:
        model: in eval mode whenever :meth:`answer` is called.
        transform: applied to the patterns first; None is nothing.
        required: whether features are to be shared even if that saves no multiplication.
    """

    def __init__(self, model: nn.Module, transform: Transform | None, *, required: bool) -> None:
        self.model, self.transform, self.required = model, transform, required
        self._models: dict[object, SharedModel | str] = {}  # by kind; or why there is none

    def answer(
        self, model: PlainModel, patterns: Patterns, collected: Collected, counter: ImageCounter
    ) -> str:
        """Collect the answers to all patterns, of one image or more.

        Args:
            model: what answers are compared with.
            patterns: those to be answered.
            collected: takes the answers.
            counter: takes the number of images answered.

        Returns:
            How features were shared.

        Raises:
            NotShared: they were not, or not to the end.
        """
        shared = self._shared_model(model, patterns)
        n_cut = 0
        for first in range(0, len(patterns), shared.block):
            try:
                with torch.inference_mode(False), torch.no_grad():
                    images = patterns.unmoved(slice(first, first + shared.block))
                    answers = shared.answer(images.clone() if images.is_inference() else images)
            except ENDS:
                raise
            except BaseException as error:
                reason = f"sharing its features failed ({in_a_line(error)})"
                self._models[patterns.kind] = reason
                raise NotShared(reason) from error
            collected.put(first * patterns.n_shifts, answers.logits.flatten(0, 2))
            n_cut += int(answers.cut.sum())
            counter.reached(first + len(answers.logits))
        height, width = shared.canvas_size
        how = f"all {patterns.n_shifts} windows of a {height} x {width} canvas at once"
        if n_cut:
            share = n_cut / (len(patterns) * patterns.n_shifts)
            how += f", {share:.1%} of the patterns on canvases that are cut at the frame"
        return how

    def _shared_model(self, model: PlainModel, patterns: Patterns) -> SharedModel:
        if patterns.kind not in self._models:
            self._models[patterns.kind] = self._try(model, patterns)
        shared = self._models[patterns.kind]
        if isinstance(shared, str):
            raise NotShared(shared)
        return shared

    def _try(self, model: PlainModel, patterns: Patterns) -> SharedModel | str:
        """A shared model that has been checked, or why there is none; no error ends a call that a plain loop
        over the patterns would finish."""
        rows = evenly_spaced(min(N_TRIED, len(patterns)), len(patterns))
        unmoved = patterns.unmoved(rows.to(patterns.images.device))
        if any(map(is_lazy, self.model.parameters())):
            model(patterns.first_pattern())  # makes the parameters
        try:
            with torch.inference_mode(False), torch.no_grad():
                return try_sharing(
                    self.model,
                    self.transform,
                    patterns.frame,
                    unmoved.clone(),
                    model,
                    even_if_slower=self.required,
                )
        except ENDS:
            raise
        except NotShared as reason:
            if isinstance(reason, LogitsDiffer) and not self.required:
                warnings.warn(f"{reason}; the plain method is used", RuntimeWarning, stacklevel=6)
            return str(reason)  # the exception would keep everything that was recorded
        except BaseException as error:
            return f"the attempt to share its features failed ({in_a_line(error)})"
