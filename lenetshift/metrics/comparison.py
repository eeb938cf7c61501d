"""Two networks' answers to the same images under the same shifts, and how their metrics differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..checks.describe import shown
from ..checks.errors import ArgumentError, NotAvailable
from ..checks.types import check_type
from ..figures.accuracy_map import accuracy_size
from ..figures.difference_map import plot_difference
from ..figures.layout import new_axes
from ..shifts import span
from .accuracy import right_when_unmoved, worst_case_accuracy
from .evaluation import Evaluation
from .image_mean import N_RESAMPLES, Interval
from .mean_difference import MeanDifference
from .registry import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEVEL = 0.95
"""Of the intervals that are printed."""


class ComparisonRow(NamedTuple):
    """A metric of two networks, as a line of the printout.

    Attributes:
        name: as JSON has it.
        title: as the printout has it.
        a, b: fractions.
        difference: ``b - a``.
        interval: of the difference; None if none is given.
    """

    name: str
    title: str
    a: float
    b: float
    difference: float
    interval: Interval | None = None

    def __str__(self) -> str:
        """The line, in per cent and percentage points."""
        line = f"  {self.title:30}{100 * self.a:6.1f} %{100 * self.b:8.1f} %{_points(self.difference):>8}"
        if self.interval is not None:
            line += f"  [{_points(self.interval.low)}, {_points(self.interval.high)}]"
        return line


@dataclass(frozen=True, eq=False)
class Discordant:
    """The images that one network answers right and the other one does not.

    Attributes:
        a: int64, the numbers of the images, from 0, that only ``a`` answers right, in ascending order.
        b: those that only ``b`` answers right.

    >>> found = Discordant(a=np.array([7]), b=np.array([0, 2, 3, 8, 9]))
    >>> found.p_value
    0.21875
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]

    @property
    def p_value(self) -> float:
        """McNemar's exact test, two-sided (McNemar 1947, Psychometrika 12): the probability that numbers of
        images differ by as much as these or more, if each of these images is as likely to be one that only
        ``a`` answers right as one that only ``b`` does. 1 if there is no such image."""
        n_a, n = len(self.a), len(self.a) + len(self.b)
        if n == 0:
            return 1.0
        # Here: it takes half a second.
        from scipy.stats import binomtest  # type: ignore[import-untyped]

        return float(binomtest(n_a, n).pvalue)


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Two networks' answers to the same images under the same shifts.

    All differences are ``b - a``: above 0, the metric of ``b`` is the greater one.

    Args:
        a, b: evaluations of the same images in the same order, with the same labels, grid, crop and, without
            a crop, fill.

    Raises:
        ValueError: they are not of the same images, labels, grid, crop or fill; the message says what
            differs. The images themselves are compared if both evaluations have ``images_sha256``.

    >>> from lenetshift import Evaluation, ShiftGrid, compare
    >>> labels, grid = np.array([3, 5]), ShiftGrid(range(-1, 2), range(1))
    >>> a = Evaluation(np.array([[[3, 3, 8]], [[5, 5, 5]]]), labels, grid, name="small")
    >>> b = Evaluation(np.array([[[3, 3, 3]], [[5, 5, 5]]]), labels, grid, name="large")
    >>> comparison = compare(a, b)
    >>> comparison.difference("worst_case_accuracy").value
    0.5
    >>> comparison.discordant_at_every_shift.b
    array([0])
    >>> comparison.accuracy_difference_map()
    array([[0. , 0. , 0.5]])
    """

    a: Evaluation
    b: Evaluation

    def __post_init__(self) -> None:
        """Check that both are about the same patterns."""
        check_type("a", self.a, Evaluation)
        check_type("b", self.b, Evaluation)
        _check_same_patterns(self.a, self.b)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.a)

    @property
    def names(self) -> tuple[str, str]:
        """The names of both networks; ``"a"`` and ``"b"`` if one has none, or they are the same."""
        a, b = self.a.name, self.b.name
        return ("a", "b") if a is None or b is None or a == b else (a, b)

    def difference(self, metric: str) -> MeanDifference:
        """The difference of a metric, ``b - a``, with the means over images that it is the difference of.

        Args:
            metric: one of those that :meth:`rows` lists.

        Raises:
            NotAvailable: one of the evaluations lacks something that the metric needs.
            ValueError: the name is unknown.
        """
        return MeanDifference(self.a.metric(metric), self.b.metric(metric))

    def interval(
        self, metric: str, level: float = _LEVEL, *, n_resamples: int = N_RESAMPLES, seed: int = 0
    ) -> Interval:
        """A confidence interval for the difference of a metric between these two trained networks, by the
        paired bootstrap over images: see :meth:`lenetshift.metrics.MeanDifference.interval`.

        Args:
            metric: one of those that :meth:`rows` lists.
            level, n_resamples, seed: as for :meth:`Evaluation.interval`.

        Raises:
            NotAvailable: as for :meth:`difference`, or fewer than two images count.
            ValueError: the name is unknown, or another argument is out of range.
        """
        return self.difference(metric).interval(level, n_resamples=n_resamples, seed=seed)

    def rows(self, level: float | None = None) -> list[ComparisonRow]:
        """Every metric that both evaluations have.

        Args:
            level: of confidence of the intervals, between 0 and 1; None for no intervals.
        """
        rows = []
        for name, metric in METRICS.items():
            a, b = (evaluation.value(name) for evaluation in (self.a, self.b))
            if a is not None and b is not None:
                row = ComparisonRow(name, metric.title_on(self.a.grid), a, b, b - a)
                rows.append(row if level is None else self._with_interval(row, level))
        return rows

    def _with_interval(self, row: ComparisonRow, level: float) -> ComparisonRow:
        try:
            return row._replace(interval=self.interval(row.name, level))
        except NotAvailable:  # fewer than two images count
            return row

    @property
    def discordant_at_every_shift(self) -> Discordant:
        """The images that one network answers right at every shift and the other one does not."""
        return self._discordant(
            lambda of: worst_case_accuracy(of.predictions, of.labels).values > 0
        )

    @property
    def discordant_when_unmoved(self) -> Discordant | None:
        """The images that one network answers right at shift (0, 0) and the other one does not; None if
        the grid lacks it."""
        if not self.a.grid.has_centre:
            return None
        return self._discordant(lambda of: right_when_unmoved(of.predictions, of.labels, of.grid))

    def _discordant(self, right: Callable[[Evaluation], NDArray[np.bool_]]) -> Discordant:
        a, b = right(self.a), right(self.b)
        return Discordant(np.flatnonzero(a & ~b), np.flatnonzero(b & ~a))

    def accuracy_difference_map(self) -> NDArray[np.float64]:
        """The accuracy of ``b`` at each shift minus that of ``a``: float64 ``[n_dy, n_dx]``, -1 to 1."""
        return self.b.accuracy_map() - self.a.accuracy_map()

    def plot_accuracy_difference_map(self, axes: Axes | None = None) -> Axes:
        """Draw the difference of the accuracy at each shift as a heat map, in percentage points.

        Args:
            axes: where to draw; None makes a figure with pyplot.

        Returns:
            The axes.
        """
        if axes is None:
            axes = new_axes(*accuracy_size(self.a.grid))
        plot_difference(axes, torch.from_numpy(self.accuracy_difference_map()), self.a.grid)
        return axes

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON has it, without intervals.

        Returns:
            ``names`` (of a and b); ``n_images``; ``grid``, ``fill``, ``crop`` as in
            :meth:`Evaluation.to_dict`; ``metrics`` (name -> ``a``, ``b``, ``difference``, fractions; and
            ``smaller_is_better``); ``accuracy_difference_map`` (n_dy rows of n_dx fractions);
            ``discordant`` (``at_every_shift`` and ``when_unmoved``: the images that only ``a``, or only
            ``b``, answers right, and ``p_value``), where ``when_unmoved`` may be None.
        """
        about = self.a.to_dict()
        return {
            "names": list(self.names),
            **{name: about[name] for name in ("n_images", "grid", "fill", "crop")},
            "metrics": {
                row.name: {
                    "a": row.a,
                    "b": row.b,
                    "difference": row.difference,
                    "smaller_is_better": METRICS[row.name].smaller_is_better,
                }
                for row in self.rows()
            },
            "accuracy_difference_map": self.accuracy_difference_map().tolist(),
            "discordant": {
                "at_every_shift": _as_json(self.discordant_at_every_shift),
                "when_unmoved": _as_json(self.discordant_when_unmoved),
            },
        }

    def __str__(self) -> str:
        """The names, every metric in per cent with its difference and 95 % interval, and how many images one
        network alone answers right."""
        return text_of(self, self.names, self.rows(_LEVEL), _LEVEL)

    def __repr__(self) -> str:
        """One line."""
        (a, b), grid = self.names, self.a.grid
        return f"<Comparison of {a} and {b}: {len(self):,} images under {len(grid)} shifts>"


def compare(a: Evaluation, b: Evaluation) -> Comparison:
    """Compare two networks that answered the same images under the same shifts: which is more robust?

    Args:
        a, b: evaluations of the same images in the same order, with the same labels, grid, crop and, without
            a crop, fill, from :func:`evaluate_shifts` or :meth:`Evaluation.load`. What a network needs done
            to its images belongs into ``transform``, so that both are given the same ones.

    Returns:
        The metrics that both have, the differences ``b - a`` with paired intervals, the images that one
        alone answers right, and the difference of the accuracy at every shift.

    Raises:
        ValueError: they are not of the same images, labels, grid, fill or crop; the message says what
            differs.

    >>> import lenetshift
    >>> test = lenetshift.load_mnist()[1].subset(200)
    >>> a, b = (
    ...     lenetshift.evaluate_shifts(lenetshift.build_model(name, seed=0), test, name=name)
    ...     for name in ("mlp", "lenet5")
    ... )
    >>> comparison = lenetshift.compare(a, b)
    >>> comparison
    <Comparison of mlp and lenet5: 200 images under 55 shifts>
    >>> low, high = comparison.interval("moved_accuracy")
    >>> low <= comparison.difference("moved_accuracy").value <= high
    True
    """
    return Comparison(a, b)


def text_of(
    comparison: Comparison, names: tuple[str, str], rows: Sequence[ComparisonRow], level: float
) -> str:
    """A comparison in lines: ``rows`` below the names of both networks, then the images that one alone
    answers right. ``level`` is that of the intervals in the rows."""
    grid = comparison.a.grid
    lines = [
        f"a: {names[0]}",
        f"b: {names[1]}",
        f"{len(comparison):,} images, {len(grid)} shifts (dx {span(grid.dx)}, dy {span(grid.dy)})",
        f"  {'':30}{'a':>8}{'b':>10}{'b - a':>8}",
        *map(str, rows),
    ]
    smaller = [row.title for row in rows if METRICS[row.name].smaller_is_better]
    if smaller:
        lines.append(f"Smaller is better: {', '.join(smaller)}.")
    if any(row.interval for row in rows):
        lines.append(
            f"In brackets: {100 * level:g} % intervals of the difference of these two networks, by the "
            "paired bootstrap over images."
        )
    discordant = {
        "at every shift": comparison.discordant_at_every_shift,
        "when unmoved": comparison.discordant_when_unmoved,
    }
    lines += [
        f"Images right {where}: {len(found.a):,} by a alone, {len(found.b):,} by b alone "
        f"(McNemar's exact test: p = {found.p_value:.2g})."
        for where, found in discordant.items()
        if found is not None
    ]
    return "\n".join(lines)


def _check_same_patterns(a: Evaluation, b: Evaluation) -> None:
    """Raise ArgumentError, which names the first thing that differs, unless two evaluations are of the same
    images under the same shifts."""
    if len(a) != len(b):
        raise ArgumentError("b", f"{len(b):,} images", f"{len(a):,} as in a")
    if a.grid != b.grid:
        got, expected = (f"dx {span(of.grid.dx)}, dy {span(of.grid.dy)}" for of in (a, b)[::-1])
        raise ArgumentError("b.grid", got, f"{expected} as in a")
    if a.crop != b.crop:
        raise ArgumentError("b.crop", shown(b.crop), f"{shown(a.crop)} as in a")
    if a.crop is None and _one_fill(a.fill) != _one_fill(b.fill):
        raise ArgumentError("b.fill", shown(b.fill), f"{shown(a.fill)} as in a")
    same = "expected the same images in the same order as in a"
    other = np.flatnonzero(a.labels.numpy() != b.labels.numpy())
    if len(other):
        got = f"{len(other):,} others than in a, the first at image {other[0]}"
        raise ArgumentError("b.labels", got, same.removeprefix("expected "))
    if not _may_be_same_images(a, b):
        raise ArgumentError(
            "b.images",
            "other pixels than in a",
            f"{same.removeprefix('expected ')}, before any transform",
        )


def _one_fill(fill: Any) -> Any:
    """A fill that is the same for all channels as one number."""
    return fill[0] if isinstance(fill, tuple) and len(set(fill)) == 1 else fill


def _may_be_same_images(a: Evaluation, b: Evaluation) -> bool:
    """Whether nothing that is known of the images differs."""
    if a.images_sha256 is not None and b.images_sha256 is not None:
        return a.images_sha256 == b.images_sha256
    if a.lost_ink is not None and b.lost_ink is not None:
        return bool(np.allclose(a.lost_ink, b.lost_ink, rtol=0, atol=1e-6))
    return True


def _as_json(found: Discordant | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"a": found.a.tolist(), "b": found.b.tolist(), "p_value": found.p_value}


def _points(fraction: float) -> str:
    """A difference in percentage points, with its sign; 0.0 has none."""
    text = f"{100 * fraction:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text
