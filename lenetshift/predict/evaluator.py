"""Predictions for every image under every shift: the one product of an evaluation.

The predictions, ``[N, n_dy, n_dx]``, are all that tables, figures and metrics need: nothing that comes later
runs a model again. Four methods give the same answers: the fused ops of the package's own models
(:mod:`lenetshift.predict.fused`), features that the shifts share and a rewritten network
(:mod:`lenetshift.predict.sharing`), and the model itself, one pattern after another
(:mod:`lenetshift.predict.plain`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ..checks.arrays import Array
from ..checks.captures import is_captured
from ..checks.choices import EVALUATION_METHODS, EXECUTORS
from ..checks.describe import describe, dtype_name
from ..checks.errors import ArgumentError, MethodError
from ..checks.images import Fill, check_images, odd_range
from ..checks.numbers import check_batch_size
from ..checks.types import check_callable, check_choice, check_flag, check_type
from ..checks.warn import warn_user
from ..models.dtypes import device_of, input_dtypes
from ..models.fused import fused_name, packed_parameters, sums_stay_finite
from ..models.table import BY_NAME, FUSED
from ..shifts import ShiftGrid
from . import fused, plain
from .answers import Answers, Collected
from .functions import FunctionModel, Model, as_module
from .modes import eval_mode
from .patterns import Patterns, frame_of
from .plain import PlainModel, Transform, default_batch_size
from .progress import ImageCounter
from .shared import RUNTIMES, NotShared
from .shared.canvas import Frame
from .sharing import Choice, Sharing

NO_FUSED_OP = (
    f"only an unchanged float32 {', '.join(BY_NAME[name].made_by for name in FUSED)} has a fused op"
)


class ShiftEvaluator:
    """A model with everything that settles its answers to moved images.

    :func:`predict_shifts` in two steps, for images that come in several batches: the method is chosen for the
    first of each size and dtype, and kept for those that follow. The model must not change in between.

    Args: as in :func:`predict_shifts`.

    Example:
        >>> import lenetshift, torch
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 5), torch.nn.Flatten(), torch.nn.Linear(64, 3))
        >>> evaluator = lenetshift.ShiftEvaluator(model, lenetshift.ShiftGrid(range(-2, 3), range(-1, 2)))
        >>> answers = evaluator.answer(torch.zeros(6, 8, 8, dtype=torch.uint8))
        >>> answers.predictions.shape
        torch.Size([6, 3, 5])
        >>> answers.reason
        'shared: all 15 windows of a 10 x 12 canvas at once'
    """

    def __init__(
        self,
        model: Model,
        grid: ShiftGrid = ShiftGrid(),  # noqa: B008 (immutable)
        *,
        method: str = "auto",
        fill: Fill = 0,
        crop: tuple[int, int] | None = None,
        transform: Transform | None = None,
        batch_size: int | None = None,
        executor: str = "torch",
        tune: bool = False,
    ) -> None:
        check_type("grid", grid, ShiftGrid)
        check_choice("method", method, EVALUATION_METHODS)
        check_callable("transform", transform)
        self.model = as_module(model)
        self.grid, self.method, self.transform = grid, method, transform
        self.fill, self.crop = copy.deepcopy(fill), crop  # lists and arrays may change
        self.batch_size = None if batch_size is None else check_batch_size(batch_size)
        self._has_warned = False
        _check_choice(method, executor, tune)
        self.executor, self.tune = executor, tune
        self._plain_models: dict[Any, tuple[PlainModel, torch.dtype]] = {}  # by kind of the images

    def answer(
        self,
        images: Array,
        *,
        return_logits: bool = False,
        on_progress: Callable[[int], None] | None = None,
    ) -> Answers:
        """The model's answers to images under every shift.

        Args:
            images: as in :func:`predict_shifts`.
            return_logits: whether the answers include the logits.
            on_progress: called with the number of images that have been answered since its last call.

        Raises:
            ValueError: as :func:`predict_shifts`.
        """
        captured = self._check_captured(images)
        pictures = check_images(images)
        check_flag("return_logits", return_logits)
        check_callable("on_progress", on_progress)
        frame = frame_of(pictures, self.grid, self.fill, self.crop)
        self._warn_of_odd_range(pictures)
        obstacle = self._obstacle_to_fused(pictures, frame)
        if self.method == "fused" and obstacle:
            raise MethodError("fused", obstacle)
        if self.method in ("auto", "fused") and self.executor == "torch" and not obstacle:
            return fused.answers(self.model, pictures, self.grid, return_logits)
        if captured:
            raise self._not_captured(obstacle)
        collected = Collected(len(pictures), self.grid.shape, pictures.device, return_logits)
        counter = ImageCounter(on_progress)
        with torch.no_grad(), self._eval_mode():
            model, patterns = self._prepared(pictures, frame)
            dtype = _in_dtype(patterns)
            reason = "there are no images" if self.method != "plain" else "as requested"
            if self.method != "plain" and len(patterns):
                try:
                    method, how = self._sharing.answer(model, patterns, collected, counter)
                    return collected.answers(method, f"{method}: {how}{dtype}")
                except NotShared as obstacle_to_it:
                    reason = str(obstacle_to_it)
                    if self.method != "auto":
                        raise MethodError(self.method, reason) from obstacle_to_it
            plain.answer(model, patterns, collected, counter)
        return collected.answers("plain", f"plain: {reason}{dtype}")

    def _check_captured(self, images: Array) -> bool:
        """Whether a CUDA graph is being captured; if so, raise ArgumentError for a model without a fused op,
        and for images that had to be copied or looked at."""
        device = device_of(self.model)
        with torch._C.DisableTorchFunctionSubclass():  # a subclass may not answer these queries
            of_images = [images.device] if isinstance(images, Tensor) else []
        if not any(map(is_captured, (device, *of_images))):
            return False
        if fused_name(self.model) is None:
            raise self._not_captured(NO_FUSED_OP)
        got = describe(images)
        if isinstance(images, Tensor):
            if images.device == device and images.dtype == torch.uint8:
                return True
            got += f" on {images.device}"
        raise ArgumentError("images", got, f"uint8 on {device} in the capture of a CUDA graph")

    def _not_captured(self, obstacle: str | None) -> MethodError:
        why = f", and {obstacle}" if obstacle else ""
        return MethodError(self.method, f"only a fused op can be captured in a CUDA graph{why}")

    def _warn_of_odd_range(self, pictures: Tensor) -> None:
        """Warn once if the pixels are probably not what the fill or the model takes them for."""
        oddity = "" if self._has_warned else odd_range(pictures, self.fill, self.crop)
        if oddity:
            self._has_warned = True
            warn_user(oddity)

    def _obstacle_to_fused(self, pictures: Tensor, frame: Frame) -> str | None:
        """Why the model's fused op cannot be used, the end of a sentence; None if it can."""
        if fused_name(self.model) is None:
            return NO_FUSED_OP
        if not sums_stay_finite(packed_parameters(self.model)):
            return "a fused op needs weights whose sums stay finite"
        if self.transform is not None:
            return "a fused op takes no transform"
        if not frame.is_translation:
            return "a fused op takes no crop, and no fill but 0"
        if pictures.dtype != torch.uint8 or pictures.numel() != len(pictures) * 28 * 28:
            return f"a fused op takes uint8 images of 28 x 28, not {describe(pictures)}"
        return None

    @cached_property
    def _sharing(self) -> Sharing:
        choice = Choice(self.method, self.executor, self.tune, self.batch_size)
        return Sharing(self.model, self.transform, choice)

    @contextmanager
    def _eval_mode(self) -> Iterator[None]:
        """Eval mode of the model, and of a transform that is a module."""
        with ExitStack() as stack:
            for part in (self.model, self.transform):
                if isinstance(part, nn.Module):
                    stack.enter_context(eval_mode(part))
            yield

    def _prepared(self, pictures: Tensor, frame: Frame) -> tuple[PlainModel, Patterns]:
        """The plain model for such images, and the patterns in the dtype that it takes.

        Of several dtypes that a model may take, it is the first in which the model answers.
        """
        of_a_function = isinstance(self.model, FunctionModel)
        device = pictures.device if of_a_function else device_of(self.model)
        kind = (*pictures.shape[1:], pictures.dtype)
        if kind in self._plain_models:
            model, dtype = self._plain_models[kind]
            return model, Patterns(pictures, frame, device, dtype)
        *others, last = input_dtypes(self.model)
        for dtype in (*others, last):
            patterns = Patterns(pictures, frame, device, dtype)
            size = self.batch_size or default_batch_size(patterns.shape, dtype, device)
            model = PlainModel(self.model, self.transform, size)
            if dtype != last and len(patterns):
                try:
                    model(patterns.first_pattern())
                except Exception:  # with the last dtype the caller sees the error
                    continue
            if len(patterns):
                self._plain_models[kind] = model, dtype
            return model, patterns
        raise AssertionError("the last dtype is taken")


def _check_choice(method: str, executor: str, tune: bool) -> None:
    """Raise ArgumentError unless the executor and tuning fit the method, and the executor is installed."""
    check_choice("executor", executor, EXECUTORS)
    check_flag("tune", tune)
    rewrites = method in ("auto", "rewritten")
    if executor != "torch":
        if not rewrites:
            raise ArgumentError(
                "executor",
                f"{executor!r} with method={method!r}",
                "'torch', unless the method is 'auto' or 'rewritten'",
            )
        if not RUNTIMES[executor].is_installed:
            raise ArgumentError(
                "executor",
                f"{executor!r}, which is not installed",
                f"an installed one: pip install 'lenetshift[{executor}]'",
            )
    if tune and not rewrites:
        raise ArgumentError(
            "tune",
            f"True with method={method!r}",
            "False, unless the method is 'auto' or 'rewritten'",
        )


def _in_dtype(patterns: Patterns) -> str:
    """The end of a reason: the dtype that the model was given, unless it is float32."""
    return "" if patterns.dtype == torch.float32 else f", in {dtype_name(patterns.dtype)}"
