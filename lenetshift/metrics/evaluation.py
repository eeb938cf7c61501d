"""An evaluation: a model's answers to images under every shift, and the metrics that follow."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import metrics
from ..checks.arrays import Array, as_tensor
from ..checks.choices import EVALUATION_METHODS
from ..checks.describe import shown
from ..checks.errors import ArgumentError, DataError, NotAvailable
from ..checks.images import Fill, check_crop, check_fill_alone, check_images
from ..checks.numbers import check_int, check_not_negative, number, whole_number
from ..checks.predictions import (
    check_class_names,
    check_labels,
    check_logits,
    check_lost_ink,
    check_predictions,
)
from ..checks.text import one_line
from ..checks.types import check_choice, check_type
from ..figures.accuracy_map import accuracy_size, plot_accuracy
from ..figures.layout import new_axes
from ..figures.moved_image import answers_size, plot_moved
from ..predict.patterns import frame_of
from ..shifts import ShiftGrid, span
from . import Confusion, Consistency, Counts, ImageMean, Interval, saved
from .image_mean import N_RESAMPLES
from .pictures import under_every_shift
from .registry import METRICS, why_no_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Row(NamedTuple):
    """A metric of an evaluation, as a line of its printout.

    Attributes:
        name: as JSON has it.
        title: as the printout has it.
        value: a fraction; None if the evaluation lacks what the metric needs, or no image counts.
        interval: None if none is given.
    """

    name: str
    title: str
    value: float | None
    interval: Interval | None = None

    def __str__(self) -> str:
        """The line, in per cent."""
        shown = "-" if self.value is None else f"{100 * self.value:.1f} %"
        line = f"  {self.title:30}{shown:>8}"
        if self.interval is not None:
            line += f"  [{100 * self.interval.low:.1f}, {100 * self.interval.high:.1f}]"
        return line


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """A model's answers to images under every shift, and the metrics that follow from them.

    A metric that needs something that the evaluation lacks (``agreement`` the shift (0, 0),
    ``score_change`` the logits) raises ``NotAvailable``, a ValueError, whose message says so;
    :meth:`to_dict` and ``print`` leave it empty.

    Predictions, labels and ``lost_ink`` are copied, so that later changes to the arrays that were given
    have no effect. The logits and the images, which may be large, are not copied.

    Args:
        predictions: integers ``[N, n_dy, n_dx]``, N >= 1, within int64, a tensor or an array; kept on
            the CPU.
        labels: integers ``[N]``, within int64; kept as int64 on the CPU.
        grid: the shifts, in pixels.
        method: how the answers were computed, a method of :func:`lenetshift.predict_shifts`; None if that
            is not known.
        reason: why that way, in a sentence; None if not known. For several batches it is about the
            first.
        seconds: how long the answers took, without the time to load batches; None if not known.
        logits: ``[N, n_dy, n_dx, K]``, if they were asked for; on the CPU.
        lost_ink: floating ``[N, n_dy, n_dx]``, the fraction of the image's ink, 0 to 1, that each shift
            moves out of the frame (:func:`lenetshift.metrics.lost_ink`); None for a crop: the
            image moves behind it, and what is lost is not defined.
        images: the N images that the answers are about, for :meth:`plot_image`; None for batches,
            which are not kept.
        fill: as given to :func:`evaluate_shifts`; kept as Python's own numbers.
        crop: likewise; None if it is as large as the images, since it then cuts nothing off. Behind any
            other crop no pixel is uncovered, so that the fill has no effect.
        name: of the network, for printouts; None for none.
        class_names: of the classes 0, 1, ...; None if they have none. Kept as a tuple.
        images_sha256: the SHA-256 of the images in order, 64 hexadecimal digits, by which
            :func:`lenetshift.compare` sees that two networks answered the same images; None if not known.

    Raises:
        ValueError: an argument is not as described, or they do not fit together.

    >>> from lenetshift import Evaluation, ShiftGrid
    >>> predictions = np.array([[[3, 3, 8]], [[5, 5, 5]]])  # two images, dx = -1, 0, 1
    >>> evaluation = Evaluation(predictions, np.array([3, 5]), ShiftGrid(range(-1, 2), range(1)))
    >>> print(evaluation)  # doctest: +ELLIPSIS
    2 images, 3 shifts (dx -1..1, dy 0..0), fill 0
      unmoved accuracy               100.0 %
      moved accuracy                  83.3 %
      worst case accuracy             50.0 %
      ...
    >>> evaluation.metric("worst_case_accuracy").value
    0.5
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
    name: str | None = None
    class_names: Sequence[str] | None = None
    images_sha256: str | None = None

    def __post_init__(self) -> None:
        """Check everything against the predictions, and these against the grid."""
        check_type("grid", self.grid, ShiftGrid)
        predictions = check_predictions(self.predictions, self.grid.shape)
        kept: dict[str, Any] = {
            "predictions": as_tensor(predictions.copy()),
            "labels": as_tensor(check_labels(self.labels, len(predictions))),
            "fill": _plain_fill(self.fill),
            "crop": check_crop(self.crop),
            "class_names": check_class_names(self.class_names),
        }
        if self.method is not None:
            check_choice("method", self.method, EVALUATION_METHODS[1:])
        if self.reason is not None:
            check_type("reason", self.reason, str)
        if self.name is not None:
            check_type("name", self.name, str)
        _check_sha256(self.images_sha256)
        if self.seconds is not None:
            kept["seconds"] = check_not_negative("seconds", self.seconds)
        if self.logits is not None:
            kept["logits"] = check_logits(self.logits, predictions)
        if self.lost_ink is not None:
            kept["lost_ink"] = check_lost_ink("lost_ink", self.lost_ink, predictions.shape).copy()
        if self.images is not None:
            pictures = check_images(self.images)
            n, expected = len(pictures), len(predictions)
            if n != expected:
                raise ArgumentError("images", str(n), f"{expected} as predictions")
            frame_of(pictures, self.grid, self.fill, self.crop)
            kept["images"] = pictures
            if kept["crop"] == tuple(pictures.shape[-2:]):
                kept["crop"] = None
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
        """Right and wrong answers to all patterns, unmoved ones included."""
        return metrics.summarize(self.predictions, self.labels, self.grid)["moved"]

    def accuracy_map(self) -> NDArray[np.float64]:
        """:func:`lenetshift.metrics.accuracy_map`: the accuracy at each shift, ``[n_dy, n_dx]``."""
        return metrics.accuracy_map(self.predictions, self.labels)

    def class_maps(self) -> dict[int, NDArray[np.float64]]:
        """:func:`lenetshift.metrics.class_maps`: the same for each class alone, by label."""
        return metrics.class_maps(self.predictions, self.labels)

    def confusion(self) -> Confusion:
        """:func:`lenetshift.metrics.confusion`: which class is taken for which, at each shift."""
        return metrics.confusion(self.predictions, self.labels, self.class_names)

    def consistency(self) -> Consistency:
        """:func:`lenetshift.metrics.consistency`: how often two shifts give the same answer, and the
        accuracy, without which that says nothing."""
        return metrics.consistency(self.predictions, self.labels, self.grid)

    def metric(self, name: str) -> ImageMean:
        """A metric that is one number, with the images that it is a mean over.

        Args:
            name: one of those that :meth:`rows` lists.

        Raises:
            NotAvailable: this evaluation lacks something that the metric needs.
            ValueError: the name is unknown.
        """
        check_choice("metric", name, METRICS)
        return METRICS[name].of(self)

    def interval(
        self, metric: str, level: float = 0.95, *, n_resamples: int = N_RESAMPLES, seed: int = 0
    ) -> Interval:
        """A confidence interval for a metric of this trained model, over images.

        By bootstrap over the images, each with all its patterns; see
        :meth:`lenetshift.metrics.ImageMean.interval`. It does not describe a training method: other
        seeds give other models.

        Args:
            metric: one of those that :meth:`rows` lists.
            level: of confidence, between 0 and 1.
            n_resamples: how many times the images are resampled, 39 or more; levels above 0.999 need
                more than the default.
            seed: of the resampling.

        Raises:
            NotAvailable: as for :meth:`metric`, or fewer than two images count.
            ValueError: the name is unknown, or another argument is out of range.
        """
        return self.metric(metric).interval(level, n_resamples=n_resamples, seed=seed)

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as JSON has it, without the arrays that hold a number per pattern.

        Returns:
            ``n_images``; ``grid`` (``dx``, ``dy``: lists of pixels); ``fill``, ``crop``; ``method``,
            ``reason``, ``seconds``; ``unmoved`` and ``moved`` (counts and accuracy); ``metrics``
            (name -> fraction, or None if it is not available); ``accuracy_map`` and ``class_maps``
            (n_dy rows of n_dx fractions; labels as strings); ``lost_ink_map`` (likewise, the mean
            fraction of an image's ink that each shift loses), or None; ``name``, ``class_names``,
            ``images_sha256``, each or None.
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
            "metrics": {row.name: row.value for row in self.rows()},
            "accuracy_map": self.accuracy_map().tolist(),
            "class_maps": {str(label): map.tolist() for label, map in self.class_maps().items()},
            "lost_ink_map": None if lost is None else lost.mean(0, dtype=np.float64).tolist(),
            "name": self.name,
            "class_names": None if self.class_names is None else list(self.class_names),
            "images_sha256": self.images_sha256,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of the evaluation except the images into a file, atomically.

        :meth:`load` gives an evaluation with the same answers and metrics. The file, usually named
        ``.npz``, is an archive of arrays as ``numpy.load`` reads them, without pickled objects, and ends
        with the SHA-256 of its contents.

        Raises:
            ValueError: the arrays are too large, a gigabyte or more.
            OSError: the file cannot be written.

        >>> import tempfile
        >>> from lenetshift import Evaluation, ShiftGrid
        >>> grid = ShiftGrid(range(-1, 2), range(1))
        >>> evaluation = Evaluation(np.array([[[3, 3, 8]]]), np.array([3]), grid, name="Net")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     evaluation.save(f"{folder}/net.npz")
        ...     again = Evaluation.load(f"{folder}/net.npz")
        >>> again.to_dict() == evaluation.to_dict()
        True
        """
        saved.write(self, path)

    def page(self, path: str | os.PathLike[str], images: Any = None) -> None:
        """Write a page that shows how robust the network is, and where it fails: one HTML file, without any
        other file and without the internet.

        It has the accuracy at every shift, the hardest shifts, the commonest wrong answers, and at most 200
        images (the hardest, and some at random), which can be moved and show the answers that they got. The
        file is smaller than 8 MB, and appears under its name only when it is whole.

        Args:
            path: of the file, usually named ``.html``; its folder must exist.
            images: those that were evaluated, in the same order and in any form that :func:`evaluate_shifts`
                takes: the evaluation of batches, or of a file, holds none. They are shown as they were before
                ``transform``. None takes :attr:`images`; without any, the page has no pictures.

        Raises:
            ValueError: the images are not those that were evaluated: another number, other labels or another
                SHA-256.
            OSError: the file cannot be written.

        >>> import lenetshift, tempfile
        >>> test = lenetshift.load_mnist()[1].subset(20)
        >>> grid = lenetshift.ShiftGrid(range(-2, 3), range(-1, 2))
        >>> evaluation = lenetshift.evaluate_shifts(lenetshift.build_model("mlp", seed=0), test, grid=grid)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     evaluation.page(f"{folder}/mlp.html")
        ...     len(open(f"{folder}/mlp.html").read()) < 8_000_000
        True
        """
        from .page import write_page  # here: with Jinja it takes a tenth of a second

        write_page(self, path, images)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Evaluation:
        """The evaluation in a file of :meth:`save`, without images; or in a JSON file of ``lenetshift
        evaluate --json FILE``, without logits too.

        The file may come from anyone: nothing in it is executed, and everything in it is checked.

        Raises:
            DataError: the file cannot be read, is damaged or holds something else, in one line.
        """
        arguments = saved.read(path)
        try:
            return cls(**arguments)
        except ValueError as error:
            raise DataError(f"{os.fspath(path)}: {one_line(error)}") from error

    def rows(self) -> list[Row]:
        """Every metric that is one number, the accuracies first, without intervals."""
        return [
            Row(name, metric.title_on(self.grid), self.value(name))
            for name, metric in METRICS.items()
        ]

    def value(self, metric: str) -> float | None:
        """A metric that is one number; None if this evaluation lacks what it needs, or no image counts.

        Raises:
            ValueError: the name is unknown.
        """
        try:
            value = self.metric(metric).value
        except NotAvailable:
            return None
        return None if math.isnan(value) else value

    def heading(self) -> list[str]:
        """The network's name if it has one, what was evaluated and, if known, how, in a line each."""
        shifts = f"dx {span(self.grid.dx)}, dy {span(self.grid.dy)}"
        crop = self.crop
        frame = f"fill {_in_text(self.fill)}" if crop is None else f"crop {crop[0]} x {crop[1]}"
        line = f"{len(self):,} images, {len(self.grid)} shifts ({shifts}), {frame}"
        return [text for text in (self.name, line, self.reason) if text is not None]

    def __str__(self) -> str:
        """The heading, every metric in per cent, and why some have no value."""
        rows = self.rows()
        missing = without_value(self, rows, "return_logits=True")
        return "\n".join([*self.heading(), *map(str, rows), *missing])

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
            axes = new_axes(*accuracy_size(self.grid))
        plot_accuracy(axes, torch.from_numpy(self.accuracy_map()), self.grid)
        return axes

    def plot_image(self, i: int, axes: Axes | None = None, *, image: Array | None = None) -> Axes:
        """Draw an image under every shift with the answers; frames show which of these are right.

        Args:
            i: which of the images, 0..N - 1.
            axes: where to draw; None makes a figure with pyplot.
            image: ``[H, W]`` or ``[C, H, W]``, uint8 or floating, image ``i`` itself, if the
                evaluation was made from batches, which are not kept.

        Returns:
            The axes.

        Raises:
            ValueError: ``i`` is out of range, or there is no image to draw.
        """
        i = check_int("i", i, 0, len(self) - 1)
        given = image if image is not None or self.images is None else self.images[i]
        if given is None:
            raise ArgumentError(
                "image", "none", "image i itself: an evaluation of batches keeps no images"
            )
        moved = under_every_shift(given, self.grid, self.fill, self.crop)
        if axes is None:
            axes = new_axes(*answers_size(self.grid, *moved.shape[1:3]))
        plot_moved(axes, moved, int(self.labels[i]), self.predictions[i], self.grid)
        return axes


def without_value(evaluation: Evaluation, rows: Sequence[Row], keeps_logits: str) -> list[str]:
    """A line for each row that has no value: why.

    Args:
        evaluation: the evaluation.
        rows: of its metrics.
        keeps_logits: as for :func:`lenetshift.metrics.registry.why_no_value`.
    """
    return [
        f"No {row.title}: {why_no_value(row.name, evaluation, keeps_logits)}."
        for row in rows
        if row.value is None
    ]


def _check_sha256(digest: object) -> None:
    """Raise ArgumentError unless this is a SHA-256, or None."""
    if digest is not None and not (
        isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)
    ):
        raise ArgumentError("images_sha256", shown(digest), "64 hexadecimal digits in lower case")


def _in_text(fill: Fill) -> str:
    """A fill as people write it: 0, not 0.0."""
    if isinstance(fill, str):
        return fill
    if isinstance(fill, Sequence):
        return " ".join(map(_in_text, fill))
    return str(fill).removesuffix(".0")


def _plain_fill(fill: object) -> Fill:
    """A fill as Python's own numbers: one, a tuple of several, or ``"circular"``."""
    values = check_fill_alone(fill)
    if isinstance(values, str):
        return values
    if number(fill) is None:
        return tuple(values)
    whole = whole_number(fill)
    return values[0] if whole is None else whole
