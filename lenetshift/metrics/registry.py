"""The metrics that are one number. Each is listed where it is defined, by :func:`metric`.

Printouts, JSON, intervals, the command ``evaluate``, ``lenetshift.metrics.__all__`` and the table in
``docs/using.md`` read :data:`METRICS`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from ..checks.errors import NotAvailable
from ..shifts import ShiftGrid
from .image_mean import ImageMean

Definition = TypeVar("Definition", bound=Callable[..., ImageMean])

Need = Literal["labels", "centre", "neighbours", "lost_ink", "logits"]

NEEDS: dict[Need, str] = {
    "labels": "labels",
    "centre": "the shift (0, 0)",
    "neighbours": "two shifts or more",
    "lost_ink": "images that are not cropped",
    "logits": "logits",
}
"""What a metric can need besides predictions, in words."""


@dataclass(frozen=True)
class Metric:
    """A metric that is a mean over images.

    Attributes:
        name: as JSON has it.
        title: as a printout has it.
        description: what it is, in a line of Markdown.
        needs: what it needs besides predictions. Without it the function raises ``NotAvailable``.
        function: the definition. Its parameters are named after attributes of ``Evaluation``.
        smaller_is_better: whether a more robust network has a smaller value.
        of_steps: whether it compares shifts that are one step of the grid apart.
    """

    name: str
    title: str
    description: str
    needs: tuple[Need, ...]
    function: Callable[..., ImageMean]
    smaller_is_better: bool = False
    of_steps: bool = False

    def title_on(self, grid: ShiftGrid) -> str:
        """The title, with the steps of a grid whose neighbours are not one pixel apart, if they count."""
        steps = {
            name: shifts.step
            for name, shifts in (("dx", grid.dx), ("dy", grid.dy))
            if len(shifts) > 1
        }
        if not self.of_steps or set(steps.values()) <= {1}:
            return self.title
        if len(set(steps.values())) == 1:
            return f"{self.title} (steps of {min(steps.values())} pixels)"
        of_each = ", ".join(f"{name} {step}" for name, step in steps.items())
        return f"{self.title} (steps {of_each})"

    def of(self, evaluation: object) -> ImageMean:
        """The metric of an :class:`~lenetshift.Evaluation`."""
        names = inspect.signature(self.function).parameters
        return self.function(*(getattr(evaluation, _ATTRIBUTES.get(name, name)) for name in names))


_ATTRIBUTES = {"lost": "lost_ink"}
"""Parameter -> attribute of ``Evaluation``, if their names differ."""

METRICS: dict[str, Metric] = {}
"""The metrics by name, in the order in which they are printed: that of their definitions."""


def why_no_value(name: str, evaluation: object, keeps_logits: str) -> str | None:
    """Why an :class:`~lenetshift.Evaluation` has no value of a metric, the end of a sentence; None if it has.

    Args:
        name: of the metric.
        evaluation: the evaluation.
        keeps_logits: what makes an evaluation keep its logits: an argument, or an option.
    """
    try:
        value = METRICS[name].of(evaluation).value
    except NotAvailable as error:
        needs = METRICS[name].needs
        words = ", ".join(NEEDS[need] for need in needs)
        if "logits" not in needs:
            return f"it needs {words}"
        if getattr(evaluation, "logits", None) is not None:
            return str(error)  # which of them do not do
        return f"it needs {words} ({keeps_logits} keeps them)"
    return "no image counts" if math.isnan(value) else None


def metric(
    title: str,
    description: str,
    *needs: Need,
    name: str | None = None,
    smaller_is_better: bool = False,
    of_steps: bool = False,
) -> Callable[[Definition], Definition]:
    """List the function below as a metric.

    The function raises :class:`~lenetshift.checks.errors.NotAvailable` if it lacks something that it
    needs; any other exception is a fault. It is public unless its name begins with an underscore.

    Args:
        title, description, needs, smaller_is_better, of_steps: as in :class:`Metric`.
        name: as in :class:`Metric`; None for the function's own.
    """

    def listed(function: Definition) -> Definition:
        key = name or function.__name__
        METRICS[key] = Metric(key, title, description, needs, function, smaller_is_better, of_steps)
        return function

    return listed
