"""One call from a model and images to all that its answers say: :func:`evaluate_shifts`."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import metrics
from ..checks.arguments import (
    Array,
    as_dense,
    as_tensor,
    check,
    check_choice,
    check_crop,
    check_fill_alone,
    check_has_centre,
    check_int,
    check_labels,
    check_logits,
    check_lost_ink,
    check_not_negative,
    check_pictures,
    check_predictions,
    check_type,
    number,
    whole_number,
)
from ..data.batches import Batches, batches_of
from ..data.dataset import Dataset
from ..figures import figures
from ..predict.answers import Answers
from ..predict.evaluator import ShiftEvaluator
from ..predict.patterns import Patterns, frame_of
from ..predict.plain import Transform
from ..predict.progress import Progress
from ..predict.shared.canvas import Fill
from ..shifts import ShiftGrid, span
from . import Confusion, Consistency, Counts, ImageMean, Interval
from .image_mean import N_RESAMPLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELS_NAMED = 5
"""So many fit in a line."""


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """A model's answers to images under every shift, and what follows from them.

    A metric that needs what grid or evaluation lack (``agreement`` a shift (0, 0), ``score_change``
    the logits) raises ValueError in a line that says so; :meth:`to_dict` and ``print`` leave it empty.

    Predictions, labels and ``lost_ink`` are copied: what becomes of the arrays that came changes nothing
    here. The logits and the images, which may be large, are not.

    Args:
        predictions: integers ``[N, n_dy, n_dx]``, N >= 1, any that int64 holds, a tensor or an array;
            kept on the CPU.
        labels: integers ``[N]``, any that int64 holds; kept as int64 on the CPU.
        grid: the shifts, in pixels.
        method: how the answers came about: ``"fused"``, ``"shared"`` or ``"plain"``; None where
            that is not known.
        reason: why that way, in a sentence; None likewise. Of several batches, about the first.
        seconds: how long the answers took, without the time to load batches; None likewise.
        logits: ``[N, n_dy, n_dx, K]``, if they were asked for; on the CPU.
        lost_ink: floating ``[N, n_dy, n_dx]``, the fraction of the image's ink, 0 to 1, that each shift
            moves out of the frame (:func:`lenetshift.metrics.lost_ink`); None for a crop, behind which
            nothing is lost and nothing stays.
        images: the N images that the answers are about, for :meth:`plot_image`; None for batches,
            which are not kept.
        fill, crop: as given to :func:`evaluate_shifts`; kept in Python's own numbers.

    Raises:
        ValueError: an argument is not as described, or they do not go together.
    """

    predictions: Tensor
    labels: Tensor
    grid: ShiftGrid
    method: str | None = None
    reason: str | None = None
    seconds: float | None = None
    logits: Tensor | None = None
    lost_ink: NDArray[np.floating] | None = None
    images: Tensor | None = None
    fill: Fill = 0
    crop: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Check all against the predictions, and these against the grid; keep tensors and numbers."""
        check_type("grid", self.grid, ShiftGrid)
        predictions = check_predictions(self.predictions, self.grid.shape)
        kept: dict[str, Any] = {
            "predictions": as_tensor(predictions.copy()),
            "labels": as_tensor(check_labels(self.labels, len(predictions))),
            "fill": _plain_fill(self.fill),
            "crop": check_crop(self.crop),
        }
        if self.method is not None:
            check_choice("method", self.method, ("fused", "shared", "plain"))
        if self.reason is not None:
            check_type("reason", self.reason, str)
        if self.seconds is not None:
            kept["seconds"] = check_not_negative("seconds", self.seconds)
        if self.logits is not None:
            kept["logits"] = check_logits(self.logits, predictions)
        if self.lost_ink is not None:
            kept["lost_ink"] = check_lost_ink("lost_ink", self.lost_ink, predictions.shape).copy()
        if self.images is not None:
            pictures = check_pictures(self.images)
            check(
                len(pictures) == len(predictions),
                lambda: f"images: got {len(pictures)}, expected {len(predictions)} as predictions",
            )
            frame_of(pictures, self.grid, self.fill, self.crop)
            kept["images"] = pictures
        for name, value in kept.items():
            object.__setattr__(self, name, value)  # the object is frozen

    def __len__(self) -> int:
        """Number of images."""
        return len(self.predictions)

    @property
    def unmoved(self) -> Counts | None:
        """Right and wrong answers at shift (0, 0); None if the grid lacks it."""
        return metrics.summarize(self.predictions, self.labels, self.grid)["unmoved"]

    @property
    def moved(self) -> Counts:
        """Right and wrong answers to all patterns, the unmoved ones among them."""
        return metrics.summarize(self.predictions, self.labels, self.grid)["moved"]

    def accuracy_map(self) -> NDArray[np.float64]:
        """:func:`lenetshift.metrics.accuracy_map`: the accuracy at each shift, ``[n_dy, n_dx]``."""
        return metrics.accuracy_map(self.predictions, self.labels)

    def class_maps(self) -> dict[int, NDArray[np.float64]]:
        """:func:`lenetshift.metrics.class_maps`: the same of each class alone, by label."""
        return metrics.class_maps(self.predictions, self.labels)

    def confusion(self) -> Confusion:
        """:func:`lenetshift.metrics.confusion`: which class is taken for which, at each shift."""
        return metrics.confusion(self.predictions, self.labels)

    def consistency(self) -> Consistency:
        """:func:`lenetshift.metrics.consistency`: how often two shifts give one answer, and the
        accuracy, without which that says nothing."""
        return metrics.consistency(self.predictions, self.labels, self.grid)

    def metric(self, name: str) -> ImageMean:
        """A metric that is one number, with the images that it is a mean over.

        Args:
            name: one of :data:`METRICS`.

        Raises:
            ValueError: an unknown name, or one that this evaluation lacks something for.
        """
        check_choice("metric", name, METRICS)
        return METRICS[name](self)

    def interval(
        self, metric: str, level: float = 0.95, *, n_resamples: int = N_RESAMPLES, seed: int = 0
    ) -> Interval:
        """A confidence interval for a metric of this trained model, over images.

        By bootstrap over the images, each with all its patterns; see
        :meth:`lenetshift.metrics.ImageMean.interval`. It does not speak of a training method: other
        seeds make other models.

        Args:
            metric: one of :data:`METRICS`.
            level: of confidence, between 0 and 1.
            n_resamples: how many times the images are resampled, 39 or more; at levels above 0.999
                more than the 1,999.
            seed: of the resampling.

        Raises:
            ValueError: as :meth:`metric`; another argument is out of range; or fewer than two images
                count.
        """
        return self.metric(metric).interval(level, n_resamples=n_resamples, seed=seed)

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as JSON holds it, without the arrays of single patterns.

        Returns:
            ``n_images``; ``grid`` (``dx``, ``dy``: lists of pixels); ``fill``, ``crop``; ``method``,
            ``reason``, ``seconds``; ``unmoved`` and ``moved`` (counts and accuracy); ``metrics``
            (name -> fraction, or None where it cannot be given); ``accuracy_map`` and ``class_maps``
            (n_dy rows of n_dx fractions; labels as strings); ``lost_ink_map`` (the same: the mean
            fraction of an image's ink that is lost at each shift), or None.
        """
        fill, lost = self.fill, self.lost_ink
        return {
            "n_images": len(self),
            "grid": {"dx": list(self.grid.dx), "dy": list(self.grid.dy)},
            "fill": list(fill) if isinstance(fill, tuple) else fill,
            "crop": None if self.crop is None else list(self.crop),
            "method": self.method,
            "reason": self.reason,
            "seconds": self.seconds,
            **{"unmoved": self.unmoved, "moved": self.moved},
            "metrics": {name: self._value(name) for name in METRICS},
            "accuracy_map": self.accuracy_map().tolist(),
            "class_maps": {str(label): map.tolist() for label, map in self.class_maps().items()},
            "lost_ink_map": None if lost is None else lost.mean(0, dtype=np.float64).tolist(),
        }

    def _value(self, name: str) -> float | None:
        try:
            value = self.metric(name).value
        except ValueError:  # the grid or the evaluation lacks what the metric needs
            return None
        return None if math.isnan(value) else value

    def __str__(self) -> str:
        """What it is about, and every metric in per cent, the accuracy first."""
        shifts = f"dx {span(self.grid.dx)}, dy {span(self.grid.dy)}"
        lines = [f"{len(self):,} images, {len(self.grid)} shifts ({shifts})"]
        if self.reason is not None:
            lines.append(self.reason)
        for name in METRICS:
            value = self._value(name)
            shown = "-" if value is None else f"{100 * value:.1f} %"
            lines.append(f"  {name.replace('_', ' '):30}{shown:>8}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        """One line."""
        return (
            f"<Evaluation of {len(self):,} images under {len(self.grid)} shifts: "
            f"moved accuracy {self.moved['accuracy']:.1%}>"
        )

    def plot_accuracy_map(self, axes: Axes | None = None) -> Axes:
        """Draw the accuracy at each shift as a heat map.

        Args:
            axes: where to draw; None makes a figure with pyplot.

        Returns:
            The axes.
        """
        if axes is None:
            axes = figures.new_axes(*figures.accuracy_size(self.grid))
        figures.plot_accuracy(axes, torch.from_numpy(self.accuracy_map()), self.grid)
        return axes

    def plot_image(self, i: int, axes: Axes | None = None, *, image: Array | None = None) -> Axes:
        """Draw an image under every shift, framed by whether it is answered right, with the answers.

        Args:
            i: which of the images, 0..N - 1.
            axes: where to draw; None makes a figure with pyplot.
            image: ``[H, W]`` or ``[C, H, W]``, uint8 or floating, image ``i`` itself, where the
                evaluation was made from batches and has kept none.

        Returns:
            The axes.

        Raises:
            ValueError: ``i`` is out of range, or there is no image to draw.
        """
        i = check_int("i", i, 0, len(self) - 1)
        given = image if image is not None or self.images is None else self.images[i]
        if given is None:
            raise ValueError(
                "image: got none, expected image i itself: an evaluation of batches keeps no images"
            )
        moved = _shown(given, self.grid, self.fill, self.crop)
        if axes is None:
            axes = figures.new_axes(*figures.answers_size(self.grid, *moved.shape[1:3]))
        figures.plot_moved(axes, moved, int(self.labels[i]), self.predictions[i], self.grid)
        return axes


def _plain_fill(fill: object) -> Fill:
    """A fill in Python's own numbers: one, a tuple of several, or ``"circular"``."""
    values = check_fill_alone(fill)
    if isinstance(values, str):
        return values
    if number(fill) is None:
        return tuple(values)
    whole = whole_number(fill)
    return values[0] if whole is None else whole


def _consistency_when_right(e: Evaluation) -> ImageMean:
    check_has_centre("grid", e.grid)
    metric = e.consistency().right_when_unmoved
    assert metric is not None
    return metric


METRICS: dict[str, Callable[[Evaluation], ImageMean]] = {
    "unmoved_accuracy": lambda e: metrics.unmoved_accuracy(e.predictions, e.labels, e.grid),
    "moved_accuracy": lambda e: metrics.moved_accuracy(e.predictions, e.labels),
    "worst_case_accuracy": lambda e: metrics.worst_case_accuracy(e.predictions, e.labels),
    "accuracy_without_loss": lambda e: metrics.accuracy_without_loss(
        e.predictions, e.labels, e.lost_ink
    ),
    "flip_rate": lambda e: metrics.flip_rate(e.predictions),
    "consistency": lambda e: e.consistency().overall,
    "consistency_when_right": _consistency_when_right,
    "agreement": lambda e: metrics.agreement(e.predictions, e.grid),
    "score_change": lambda e: metrics.score_change(e.logits, e.labels, e.grid),
}
"""The metrics that are one number, by name, each as the function of :mod:`lenetshift.metrics` of that
name defines it; ``consistency_when_right`` is ``consistency(...).right_when_unmoved``."""


def evaluate_shifts(
    model: nn.Module,
    images: Array | Dataset | Batches,
    labels: Array | None = None,
    grid: ShiftGrid = ShiftGrid(),  # noqa: B008 (immutable)
    *,
    method: str = "auto",
    fill: Fill = 0,
    crop: tuple[int, int] | None = None,
    transform: Transform | None = None,
    batch_size: int | None = None,
    return_logits: bool = False,
    progress: bool = True,
) -> Evaluation:
    """Classify every image moved by every shift of the grid, and keep what the metrics need.

    Args:
        model: as for :func:`predict_shifts`, like ``method``, ``fill``, ``crop``, ``transform`` and
            ``batch_size``.
        images: ``[N, H, W]`` or ``[N, C, H, W]``, a tensor or an array, with ``labels``; or a
            :class:`Dataset`, which has them; or an iterable of batches ``(images, labels)``, such
            as a DataLoader, whose images are of one size and dtype. N >= 1.
        labels: integers ``[N]``, any that int64 holds; None where they come with the images.
        grid: the shifts, in pixels.
        return_logits: whether to keep the logits, which ``score_change`` needs: N * n_dy * n_dx * K
            numbers.
        progress: whether to show a bar on standard error, where that is a terminal.

    Raises:
        ValueError: as :func:`predict_shifts`; labels of another length or dtype; an iterable that
            has no images, that yields anything else, or less than its length. In one line that says
            which batch.

    Warns:
        UserWarning: the model gives a single output, so that it always answers 0; or there are labels
            that it never answers, being none of 0..K - 1.
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
    batches, n_batches, kept = batches_of(images, labels)
    parts: list[tuple[Answers, NDArray[np.int64], NDArray[np.float32] | None]] = []
    seconds = 0.0
    with Progress(n_batches, shown=progress) as bar:
        bar.stage("evaluating")
        for pictures, truth in batches:
            report = _Fractions(bar, len(pictures))
            start = time.perf_counter()
            answers = evaluator.answer(
                pictures, return_logits=return_logits, on_progress=report.advance
            )
            answers = _on_cpu(answers)  # waits for the device
            seconds += time.perf_counter() - start
            report.finish()
            lost = metrics.lost_ink(pictures, grid, fill) if crop is None else None
            parts.append((answers, truth, lost))
    evaluation = _joined(parts, grid, seconds, kept, fill, crop)
    n_not_finite = sum(answers.n_not_finite for answers, _, _ in parts)
    for what_is_odd in (
        _odd_classes(evaluation.labels, parts[0][0].n_classes),
        _odd_logits(n_not_finite, evaluation.predictions.numel()),
    ):
        if what_is_odd is not None:
            warnings.warn(what_is_odd, UserWarning, stacklevel=2)
    return evaluation


def _odd_logits(n_not_finite: int, n_patterns: int) -> str | None:
    """What answers of a model say that gives NaN or infinity, in a line; None if it does not."""
    if not n_not_finite:
        return None
    return (
        f"model: got NaN or infinity for {n_not_finite} of the {n_patterns} patterns, expected finite "
        "numbers: its answers to these mean nothing"
    )


def _odd_classes(labels: Tensor, n_classes: int) -> str | None:
    """Why some images cannot be answered right by a model with so many outputs, in a line; None if all
    can."""
    if n_classes == 1:
        return (
            "model: got a single output (K = 1), of which the largest is always number 0, expected one "
            "a class: two columns for two classes"
        )
    values = np.unique(labels.numpy())
    never = values[(values < 0) | (values >= n_classes)].tolist()
    if not never:
        return None
    several = ", ".join(map(str, never[:_LABELS_NAMED]))
    if len(never) > _LABELS_NAMED:
        several += f" and {len(never) - _LABELS_NAMED} more"
    return (
        f"labels: got {several}, expected 0..{n_classes - 1}: the model never answers anything else, so "
        "such images count as wrong"
    )


class _Fractions:
    """Tells a bar what fraction of a batch of ``n`` images is done."""

    def __init__(self, bar: Progress, n: int) -> None:
        self._bar, self._n, self._done = bar, n, 0

    def advance(self, images: int) -> None:
        self._done += images
        self._bar.advance(images / self._n)

    def finish(self) -> None:
        self.advance(self._n - self._done)


def _on_cpu(answers: Answers) -> Answers:
    logits = answers.logits
    return replace(
        answers,
        predictions=answers.predictions.cpu(),
        logits=None if logits is None else logits.cpu(),
    )


def _joined(
    parts: Sequence[tuple[Answers, NDArray[np.int64], NDArray[np.float32] | None]],
    grid: ShiftGrid,
    seconds: float,
    images: Tensor | None,
    fill: Fill,
    crop: tuple[int, int] | None,
) -> Evaluation:
    first, _, _ = parts[0]
    logits = [answers.logits for answers, _, _ in parts if answers.logits is not None]
    lost = [lost for _, _, lost in parts if lost is not None]
    return Evaluation(
        predictions=torch.cat([answers.predictions for answers, _, _ in parts]),
        labels=torch.from_numpy(np.concatenate([truth for _, truth, _ in parts])),
        grid=grid,
        method=first.method,
        reason=first.reason,
        seconds=seconds,
        logits=torch.cat(logits) if logits else None,
        lost_ink=np.concatenate(lost) if lost else None,
        images=images,
        fill=fill,
        crop=crop,
    )


def _shown(
    image: Array, grid: ShiftGrid, fill: Fill, crop: tuple[int, int] | None
) -> NDArray[np.uint8]:
    """An image under every shift, to be looked at: grey ``[S, h, w]``, or ``[S, h, w, 3]`` of three
    channels. Floating pixels outside 0..1 are stretched to it."""
    one = as_dense(image)
    pictures = check_pictures(image if one is None else one[None])
    frame = frame_of(pictures, grid, fill, crop)
    patterns = Patterns(pictures, frame, torch.device("cpu"), torch.float32)
    every = patterns.moved(slice(0, 1), slice(0, len(grid))).flatten(0, 1)
    moved = patterns.as_input(every).numpy()  # [S, C, h, w]
    low, high = min(0.0, float(moved.min())), max(1.0, float(moved.max()))
    pixels = np.rint((moved - low) * (255 / (high - low))).astype(np.uint8)
    if pixels.shape[1] == 3:
        return np.moveaxis(pixels, 1, 3)
    grey: NDArray[np.uint8] = np.rint(pixels.mean(1)).astype(np.uint8)
    return grey
