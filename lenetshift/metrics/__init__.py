"""What follows from a model's answers; no model is run here.

Each metric has one definition in the package, a pure function of the prediction array and of labels,
grid, logits or images where it needs them. Each is exact: all shifts, or all pairs of shifts, are
counted and none are drawn.

Those that are one number come as an :class:`ImageMean`, the mean over images whose
:meth:`~ImageMean.interval` resamples images; counts, maps and matrices come as arrays.
"""

from __future__ import annotations

from lenetshift.metrics.accuracy import (
    accuracy_map,
    class_maps,
    moved_accuracy,
    unmoved_accuracy,
    worst_case_accuracy,
)
from lenetshift.metrics.confusion import Confusion, confusion
from lenetshift.metrics.counts import Counts, Summary, summarize
from lenetshift.metrics.image_mean import ImageMean, Interval
from lenetshift.metrics.ink import accuracy_without_loss, lost_ink
from lenetshift.metrics.scores import score_change
from lenetshift.metrics.stability import Consistency, agreement, consistency, flip_rate

__all__ = [
    "Confusion",
    "Consistency",
    "Counts",
    "ImageMean",
    "Interval",
    "Summary",
    "accuracy_map",
    "accuracy_without_loss",
    "agreement",
    "class_maps",
    "confusion",
    "consistency",
    "flip_rate",
    "lost_ink",
    "moved_accuracy",
    "score_change",
    "summarize",
    "unmoved_accuracy",
    "worst_case_accuracy",
]
