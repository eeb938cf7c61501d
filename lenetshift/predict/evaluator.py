"""What a model answers to every image under every shift: the one product of an evaluation.

The predictions, ``[N, n_dy, n_dx]``, are all that tables, figures and metrics need; nothing
downstream runs a model again. There are three ways to the same answers: the fused ops of the
package's own models, features that the shifts share (:mod:`lenetshift.predict.shared`), and pattern by
pattern (:mod:`lenetshift.predict.plain`).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, overload

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..checks.choices import EVALUATION_METHODS
from ..checks.describe import describe, dtype_name
from ..checks.errors import MethodError
from ..checks.images import Fill, check_images
from ..checks.numbers import check_batch_size
from ..checks.text import in_a_line
from ..checks.types import check_callable, check_choice, check_flag, check_type
from ..data.dataset import evenly_spaced
from ..models.dtypes import device_of, input_dtypes
from ..models.fused import fused_name, packed_parameters, sums_stay_finite
from ..shifts import ShiftGrid
from . import fused, plain
from .answers import Answers, Collected
from .modes import eval_mode
from .patterns import Patterns, frame_of
from .plain import Ask, Transform, default_batch_size
from .shared import Differs, NotShared, SharedWay, shared_way
from .shared.canvas import Frame

N_TRIED = 12
"""Images, drawn evenly, on which the shared way is tried and compared with the plain one."""

ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)
"""What ends an attempt to share, and the program: all else only means that features are not shared."""

Images = Tensor | NDArray[Any]


class ShiftEvaluator:
    """A model and how it is asked about moved images; :func:`predict_shifts` in two steps.

    The way is chosen on the first images, and kept for all that come later. The model is not to be changed in
    between.

    Args: as in :func:`predict_shifts`.
    """

    def __init__(
        self,
        model: nn.Module,
        grid: ShiftGrid = ShiftGrid(),  # noqa: B008 (immutable)
        *,
        method: str = "auto",
        fill: Fill = 0,
        crop: tuple[int, int] | None = None,
        transform: Transform | None = None,
        batch_size: int | None = None,
    ) -> None:
        """Check all but what depends on the images."""
        check_type("model", model, nn.Module)
        check_type("grid", grid, ShiftGrid)
        check_choice("method", method, EVALUATION_METHODS)
        check_callable("transform", transform)
        self.model, self.grid, self.method, self.transform = model, grid, method, transform
        self.fill, self.crop = copy.deepcopy(fill), crop  # lists and arrays may change
        self.batch_size = None if batch_size is None else check_batch_size(batch_size)
        self._asks: dict[Any, tuple[Ask, torch.dtype]] = {}  # by kind of the images
        self._ways: dict[Any, SharedWay | str] = {}  # likewise; or why there is none

    def answer(
        self,
        images: Images,
        *,
        return_logits: bool = False,
        on_progress: Callable[[int], None] | None = None,
    ) -> Answers:
        """The model's answers to some images under every shift.

        Args:
            images: as in :func:`predict_shifts`.
            return_logits: whether the answers hold the logits as well.
            on_progress: called with the number of images that have been answered since.

        Raises:
            ValueError: as :func:`predict_shifts`.
        """
        pictures = check_images(images)
        check_flag("return_logits", return_logits)
        check_callable("on_progress", on_progress)
        frame = frame_of(pictures, self.grid, self.fill, self.crop)
        obstacle = self._obstacle_to_fused(pictures, frame)
        if self.method == "fused" and obstacle:
            raise MethodError("fused", obstacle)
        if self.method in ("auto", "fused") and not obstacle:
            return fused.answers(self.model, pictures, self.grid, return_logits)
        collected = Collected(len(pictures), self.grid.shape, pictures.device, return_logits)
        with torch.no_grad(), self._eval_mode():
            ask, patterns = self._asked(pictures, frame)
            dtype = _in_dtype(patterns)
            why, reported = "as asked", 0
            if self.method != "plain":
                way = self._way(ask, patterns)
                try:
                    n_cut = 0
                    for n, n_cut_of_these in self._shared(way, patterns, collected):
                        reported, n_cut = reported + n, n_cut + n_cut_of_these
                        if on_progress:
                            on_progress(n)
                    if isinstance(way, SharedWay):
                        return collected.answers("shared", _sharing(way, patterns, n_cut) + dtype)
                    why = way
                except NotShared as reason:
                    why = str(reason)
            _plain(ask, patterns, collected, on_progress, reported)
        return collected.answers("plain", f"plain: {why}{dtype}")

    def _obstacle_to_fused(self, pictures: Tensor, frame: Frame) -> str | None:
        """Why the model's fused op cannot be used, the end of a sentence; None if it can."""
        if fused_name(self.model) is None:
            return "only the package's four models, unchanged and in float32, have a fused op"
        if not sums_stay_finite(packed_parameters(self.model)):
            return "a fused op needs weights whose sums stay finite"
        if self.transform is not None:
            return "a fused op has no transform"
        if not frame.is_plain:
            return "a fused op moves 0 into the image, and nothing else"
        if pictures.dtype != torch.uint8 or pictures.numel() != len(pictures) * 28 * 28:
            return f"a fused op takes uint8 images of 28 x 28, not {describe(pictures)}"
        return None

    @contextmanager
    def _eval_mode(self) -> Iterator[None]:
        """Eval mode of the model, and of a transform that is a module, within."""
        with ExitStack() as stack:
            for part in (self.model, self.transform):
                if isinstance(part, nn.Module):
                    stack.enter_context(eval_mode(part))
            yield

    def _asked(self, pictures: Tensor, frame: Frame) -> tuple[Ask, Patterns]:
        """The plain way of asking about such images, and these as it takes them.

        A model may take several dtypes: the first in which it answers is taken.
        """
        device = device_of(self.model)
        kind = (*pictures.shape[1:], pictures.dtype)
        if kind in self._asks:
            ask, dtype = self._asks[kind]
            return ask, Patterns(pictures, frame, device, dtype)
        *others, last = input_dtypes(self.model)
        for dtype in (*others, last):
            patterns = Patterns(pictures, frame, device, dtype)
            size = self.batch_size or default_batch_size(patterns.shape, dtype, device)
            ask = Ask(self.model, self.transform, size)
            if dtype != last and len(patterns):
                try:
                    ask(frame.patterns(patterns.unmoved(slice(0, 1)), *torch.zeros(3, 1).long()))
                except Exception:  # the last one's is the person's to see
                    continue
            if len(patterns):
                self._asks[kind] = ask, dtype
            return ask, patterns
        raise AssertionError("the last dtype is taken")

    def _way(self, ask: Ask, patterns: Patterns) -> SharedWay | str:
        """The shared way for such images, or why there is none.

        Raises:
            ValueError: it was asked for, and there is none.
        """
        if not len(patterns):
            return "there are no images"
        if patterns.kind not in self._ways:
            self._ways[patterns.kind] = self._try_to_share(ask, patterns)
        way = self._ways[patterns.kind]
        if self.method == "shared" and isinstance(way, str):
            raise MethodError("shared", way)
        return way

    def _try_to_share(self, ask: Ask, patterns: Patterns) -> SharedWay | str:
        """The shared way, tried and checked; or what was in its way, whatever that is: where a loop of
        one's own works, this is only an attempt."""
        rows = evenly_spaced(min(N_TRIED, len(patterns)), len(patterns))
        unmoved = patterns.unmoved(rows.to(patterns.images.device))
        if any(map(is_lazy, self.model.parameters())):
            ask(patterns.frame.patterns(unmoved, *torch.zeros(3, 1).long()))  # makes them
        try:
            with torch.inference_mode(False), torch.no_grad():
                return shared_way(
                    self.model,
                    self.transform,
                    patterns.frame,
                    unmoved.clone(),
                    ask,
                    even_if_slower=self.method == "shared",
                )
        except ENDS:
            raise
        except NotShared as reason:
            if self.method == "auto" and isinstance(reason, Differs):
                warnings.warn(f"{reason}; the plain way is taken", RuntimeWarning, stacklevel=5)
            return str(reason)  # the exception would keep all that was recorded
        except BaseException as error:
            return f"the attempt to share its features failed ({in_a_line(error)})"

    def _shared(
        self, way: SharedWay | str, patterns: Patterns, collected: Collected
    ) -> Iterator[tuple[int, int]]:
        """Fill in the answers of the shared way; nothing where there is none.

        Yields:
            How many images were answered, and how many of their patterns on canvases cut at the frame.

        Raises:
            NotShared: something went wrong after all.
            ValueError: that, where the way was asked for.
        """
        if isinstance(way, str):
            return
        for first in range(0, len(patterns), way.block):
            try:
                with torch.inference_mode(False), torch.no_grad():
                    images = patterns.unmoved(slice(first, first + way.block))
                    answers = way.answer(images.clone() if images.is_inference() else images)
            except ENDS:
                raise
            except BaseException as error:
                reason = f"sharing its features failed ({in_a_line(error)})"
                self._ways[patterns.kind] = reason
                if self.method == "shared":
                    raise MethodError("shared", str(reason)) from error
                raise NotShared(reason) from error
            collected.put(first * patterns.n_shifts, answers.logits.flatten(0, 2))
            yield len(answers.logits), int(answers.cut.sum())


@overload
def predict_shifts(
    model: nn.Module,
    images: Images,
    grid: ShiftGrid = ...,
    *,
    method: str = ...,
    fill: Fill = ...,
    crop: tuple[int, int] | None = ...,
    transform: Transform | None = ...,
    batch_size: int | None = ...,
    return_logits: Literal[False] = ...,
) -> Tensor: ...


@overload
def predict_shifts(
    model: nn.Module,
    images: Images,
    grid: ShiftGrid = ...,
    *,
    method: str = ...,
    fill: Fill = ...,
    crop: tuple[int, int] | None = ...,
    transform: Transform | None = ...,
    batch_size: int | None = ...,
    return_logits: Literal[True],
) -> tuple[Tensor, Tensor]: ...


def predict_shifts(
    model: nn.Module,
    images: Images,
    grid: ShiftGrid = ShiftGrid(),  # noqa: B008 (immutable)
    *,
    method: str = "auto",
    fill: Fill = 0,
    crop: tuple[int, int] | None = None,
    transform: Transform | None = None,
    batch_size: int | None = None,
    return_logits: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Classify every image moved by every shift of the grid.

    Each answer is that of the moved image: what leaves the frame is lost, and ``fill`` comes in.
    The model is asked as a loop of one's own asks it: in eval mode, without gradients, on its device, in
    batches of one size. Images come in float32, or in the dtype of the model's parameters if it does not take
    that.

    Args:
        model: takes ``[B, C, h, w]``, pixels in 0..1 behind the ``transform``; gives logits
            ``[B, K]``. Left as it was, its training mode included. Several threads may ask one
            model, but not while another trains it: a module's mode is one for all threads.
        images: ``[N, H, W]`` (one channel) or ``[N, C, H, W]``, uint8 (divided by 255) or floating
            (taken as they are, finite); a tensor or an array, contiguous or not.
        grid: the shifts, in pixels: |dx| < W and |dy| < H.
        method: ``"auto"``, or the only way that is to be taken: ``"fused"``, the op of a model of
            the package; ``"shared"``, features that the shifts share; ``"plain"``, pattern by
            pattern. They give the same answers, but for rounding. ``"auto"`` works wherever ``"plain"``
            does; :meth:`ShiftEvaluator.answer` also says which it took, and why.
        fill: what comes in where a shift uncovers pixels, in the images' own units (0..255 for
            uint8): a number, or one a channel; or ``"circular"``: what left on the other side
            (Zhang 2019; Chaman and Dokmanić 2021).
        crop: ``(h, w)``, the network sees the middle of the image only, and shifts move the image
            behind it, at most so far that nothing comes in.
        transform: what stands between pixels and model, on ``[B, C, h, w]`` in 0..1, such as
            :class:`lenetshift.Normalize`; may change the number of channels only.
        batch_size: patterns a forward pass in the plain way, in every one: the last is filled with
            repetitions, whose answers are dropped. None takes a size that follows from the patterns'
            shape and dtype and from the device. A network that takes one size only needs it here.
        return_logits: whether to return the model's outputs as well.

    Returns:
        ``predictions [N, n_dy, n_dx]``, the index of the largest output, of equal ones the first,
        uint8 for K <= 256, else int32; or ``(predictions, logits)``, logits ``[N, n_dy, n_dx, K]``
        in the dtype of the model's output. On the device of ``images``. (Without images, K is 0 for
        a model that has no fused op.)

    Raises:
        ValueError: an argument, or an output of model or transform, is not as described; or the
            method is not possible, in a sentence that says why.
    """
    evaluator = ShiftEvaluator(
        model,
        grid,
        method=method,
        fill=fill,
        crop=crop,
        transform=transform,
        batch_size=batch_size,
    )
    answers = evaluator.answer(images, return_logits=return_logits)
    if answers.logits is None:
        return answers.predictions
    return answers.predictions, answers.logits


def _plain(
    ask: Ask,
    patterns: Patterns,
    collected: Collected,
    on_progress: Callable[[int], None] | None,
    reported: int,
) -> None:
    """Fill in the answers of the plain way; ``reported`` images were answered another way before."""
    for first, logits in plain.answers(ask, patterns):
        collected.put(first, logits)
        done = (first + len(logits)) // patterns.n_shifts
        if on_progress and done > reported:
            on_progress(done - reported)
            reported = done


def _sharing(way: SharedWay, patterns: Patterns, n_cut: int) -> str:
    """How features were shared, in a sentence."""
    height, width = way.canvas_size
    sentence = f"shared: all {patterns.n_shifts} windows of a {height} x {width} canvas at once"
    if n_cut:
        share = n_cut / (len(patterns) * patterns.n_shifts)
        sentence += f", {share:.1%} of the patterns on canvases that are cut at the frame"
    return sentence


def _in_dtype(patterns: Patterns) -> str:
    """How the images were given to the network, where that is not in float32."""
    return "" if patterns.dtype == torch.float32 else f", in {dtype_name(patterns.dtype)}"
