"""One call from a model and images to their evaluation: :func:`evaluate_shifts`."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..checks.arrays import Array
from ..checks.images import Fill
from ..data.batches import Batches, batches_of
from ..data.dataset import Dataset
from ..predict.answers import Answers
from ..predict.evaluator import ShiftEvaluator
from ..predict.plain import Transform
from ..predict.progress import Progress
from ..shifts import ShiftGrid
from .evaluation import Evaluation
from .ink import lost_ink

_LABELS_NAMED = 5
"""How many labels a warning names."""


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
            :class:`Dataset`, which has labels; or an iterable of batches ``(images, labels)``, such
            as a DataLoader, whose images have one size and dtype. N >= 1.
        labels: integers ``[N]``, within int64; None if they come with the images.
        grid: the shifts, in pixels.
        return_logits: whether to keep the logits, which ``score_change`` needs: N * n_dy * n_dx * K
            numbers.
        progress: whether to show a bar on standard error if that is a terminal.

    Raises:
        ValueError: as for :func:`predict_shifts`; labels have another length or dtype; an iterable has
            no images, yields anything else or less than its length. The message is one line that says
            which batch.

    Warns:
        UserWarning: the model gives a single output, so that it always answers 0; there are labels
            outside 0..K - 1, which it never answers; or logits are NaN or infinite.

    >>> import lenetshift
    >>> test = lenetshift.load_mnist()[1].subset(100)
    >>> grid = lenetshift.ShiftGrid(range(-1, 2), range(1))
    >>> evaluation = lenetshift.evaluate_shifts(lenetshift.build_model("mlp", seed=0), test, grid=grid)
    >>> print(evaluation.heading()[0])
    100 images, 3 shifts (dx -1..1, dy 0..0)
    >>> evaluation.method, tuple(evaluation.predictions.shape)
    ('fused', (100, 1, 3))
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
            lost = lost_ink(pictures, grid, fill) if crop is None else None
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
    """A line about logits that are NaN or infinite; None if there are none."""
    if not n_not_finite:
        return None
    return (
        f"model: got NaN or infinity for {n_not_finite} of the {n_patterns} patterns, expected finite "
        "numbers: its answers to these mean nothing"
    )


def _odd_classes(labels: Tensor, n_classes: int) -> str | None:
    """Why a model with ``n_classes`` outputs cannot answer some images right, in a line; None if it can
    answer all."""
    if n_classes == 1:
        return (
            "model: got a single output (K = 1), whose largest is always number 0, expected one for each "
            "class: two for two classes"
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
    """Advances a bar by fractions of a batch of ``n`` images."""

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
