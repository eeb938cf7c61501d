"""What follows from a model's answers; no model is run here.

Each metric has one definition, a pure function of the predictions and of labels, grid, logits or images
where it needs them. Each is exact: all shifts, or all pairs of shifts, are counted and none are drawn.

Metrics that are one number are :class:`ImageMean` objects, means over images; their
:meth:`~ImageMean.interval` resamples images. They are listed where they are defined
(``metrics/registry.py``). Counts, maps and matrices are arrays.
"""

from __future__ import annotations

# With * come the metrics that are one number: __all__ lists those that are public.
from .accuracy import *  # noqa: F403
from .accuracy import accuracy_map, class_maps
from .confusion import Confusion, confusion
from .counts import Counts, Summary, summarize
from .image_mean import ImageMean, Interval
from .ink import *  # noqa: F403
from .ink import lost_ink
from .mean_difference import MeanDifference
from .registry import METRICS as _METRICS
from .scores import *  # noqa: F403
from .stability import *  # noqa: F403
from .stability import Consistency, consistency

__all__ = [
    "Confusion",
    "Consistency",
    "Counts",
    "ImageMean",
    "Interval",
    "MeanDifference",
    "Summary",
    "accuracy_map",
    "class_maps",
    "confusion",
    "consistency",
    "lost_ink",
    "summarize",
]
__all__ += [
    metric.function.__name__
    for metric in _METRICS.values()
    if not metric.function.__name__.startswith("_")
]
