"""How a part of a claim is judged, as data: the kinds of comparison, each with its words and its test.

Everything here is a pure function of measures over seeds. A seed is one training; each comparison is
one between two sets of seeds (:mod:`lenetshift.study.experiments.statistics`). The criteria were
written before the numbers were known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .statistics import SeedInterval, difference, interval_of_mean, sample

EQUIVALENCE_MARGIN = 1.0
"""The smallest difference that matters, in points of accuracy: Table 1 is printed in whole per cent.
Two networks that differ by less are *equivalent*, which takes a test of its own."""

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "left open"

Values = Sequence[float]
"""A measure, one value for each seed, in per cent."""

Measures = Mapping[tuple[str, int], Mapping[str, Values]]
"""Of one experiment: (setting, epochs) -> measure -> values. Besides the measures of
:data:`lenetshift.study.experiments.measures.DEFINITIONS` there are ``dx=-5`` ... ``dx=5`` (accuracy at that
dx, dy = 0) and, for position-biased runs, ``answered 3 at dx=3`` and the like, and the names of
:data:`lenetshift.study.experiments.position_bias.FIGURES`."""

Quantity = Callable[[Measures], Values]
"""What a criterion reads from the measures; KeyError for a setting or a measure that does not exist."""


@dataclass(frozen=True)
class Judgement:
    """What the seeds say about one part: a verdict, the number that it rests on, its interval over seeds."""

    verdict: str
    value: float | None = None
    interval: SeedInterval | None = None


@dataclass(frozen=True)
class Criterion:
    """What would support a hypothesis and what would contradict it, in words, and the judgement.

    Anything else leaves the hypothesis open.
    """

    supports: str
    contradicts: str
    judge: Callable[[Measures], Judgement]


@dataclass(frozen=True)
class Part:
    """One part of a claim.

    Attributes:
        claim: its number in the report, 1 to 4.
        name: of the part.
        hypothesis: what the report says.
        measure: what is compared, in words.
        criterion: how it is judged.
        images: the test images that it is about, if not all; without them it is left open.
    """

    claim: int
    name: str
    hypothesis: str
    measure: str
    criterion: Criterion
    images: tuple[int, ...] = ()


def measured(setting: str, measure: str = "moved", epochs: int = 2) -> Quantity:
    """A measure of one setting, by default its accuracy over all patterns after 2 epochs."""
    return lambda of: of[setting, epochs][measure]


def after_the_last_epoch(setting: str) -> Quantity:
    """A setting's accuracy over all patterns after the experiment's last epoch."""
    return lambda of: of[setting, max(epochs for _, epochs in of)]["moved"]


_RELATIONS = {
    "larger": f"larger, by {EQUIVALENCE_MARGIN:g} point or more in the mean",
    "smaller": f"smaller, by {EQUIVALENCE_MARGIN:g} point or more in the mean",
    "equivalent": f"equivalent within {EQUIVALENCE_MARGIN:g} point",
}


def larger(first: Quantity, second: Quantity) -> Criterion:
    """*The first is larger.*"""
    return _compared(first, second, "larger")


def not_larger(first: Quantity, second: Quantity) -> Criterion:
    """*The first gives nothing.*"""
    return _compared(first, second, "smaller", "equivalent")


def equivalent(first: Quantity, second: Quantity) -> Criterion:
    """*They do not differ.*"""
    return _compared(first, second, "equivalent")


def different(first: Quantity, second: Quantity) -> Criterion:
    """*They differ.*"""
    return _compared(first, second, "larger", "smaller")


def _compared(first: Quantity, second: Quantity, *supporting: str) -> Criterion:
    """Supported by some relations of the first to the second, contradicted by the others."""

    def judge(of: Measures) -> Judgement:
        found = difference(first(of), second(of), EQUIVALENCE_MARGIN)
        contradicted = CONTRADICTED if found.relation in _RELATIONS else OPEN
        verdict = SUPPORTED if found.relation in supporting else contradicted
        return Judgement(verdict, found.mean, found.interval)

    def words(supports: bool) -> str:
        return ", or ".join(w for name, w in _RELATIONS.items() if (name in supporting) == supports)

    return Criterion(words(True), words(False), judge)


def below(quantity: Quantity, bound: float) -> Criterion:
    """*The mean lies below*: the whole 95 % interval over seeds does; contradicted if it lies above."""
    return _bounded(quantity, bound, "below", "above")


def above(quantity: Quantity, bound: float) -> Criterion:
    """*The mean lies above*: the reverse of :func:`below`."""
    return _bounded(quantity, bound, "above", "below")


def _bounded(quantity: Quantity, bound: float, supporting: str, contradicting: str) -> Criterion:
    verdicts = {supporting: SUPPORTED, contradicting: CONTRADICTED, "around": OPEN}

    def judge(of: Measures) -> Judgement:
        s = sample(quantity(of))
        interval = interval_of_mean(s)
        side = "below" if interval.high < bound else "above" if interval.low > bound else "around"
        return Judgement(verdicts[side], s.mean, interval)

    words = f"95 % interval of the mean {{}} {bound:g}"
    return Criterion(words.format(supporting), words.format(contradicting), judge)


UNTESTED = Criterion("nothing here", "nothing here", lambda _: Judgement(OPEN))
"""No experiment tests the hypothesis."""
