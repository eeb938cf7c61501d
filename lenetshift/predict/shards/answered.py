"""The answers to some images, on the CPU, with the time that they took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from ..evaluator import ShiftEvaluator


@dataclass(frozen=True, eq=False)
class Answered:
    """What an :class:`lenetshift.Answers` has, on the CPU.

    Attributes:
        predictions: ``[n, n_dy, n_dx]``, uint8 or int32.
        logits: ``[n, n_dy, n_dx, K]``, or None.
        method, reason: how they were computed.
        n_classes: K.
        n_not_finite: patterns with an infinite or NaN logit.
        seconds: how long it took.
    """

    predictions: Tensor
    logits: Tensor | None
    method: str
    reason: str
    n_classes: int
    n_not_finite: int
    seconds: float


def answered(
    evaluator: ShiftEvaluator,
    images: Tensor,
    return_logits: bool,
    on_progress: Callable[[int], None] | None = None,
) -> Answered:
    """The evaluator's answers to images."""
    start, reported = time.perf_counter(), 0

    def report(n: int) -> None:
        nonlocal reported
        reported += n
        if on_progress is not None:
            on_progress(n)

    answers = evaluator.answer(images, return_logits=return_logits, on_progress=report)
    predictions = answers.predictions.cpu()  # waits for the device
    logits = None if answers.logits is None else answers.logits.cpu()
    seconds = time.perf_counter() - start
    if reported < len(images):  # the fused method reports no progress on the way
        report(len(images) - reported)
    return Answered(
        predictions,
        logits,
        answers.method,
        answers.reason,
        answers.n_classes,
        answers.n_not_finite,
        seconds,
    )
