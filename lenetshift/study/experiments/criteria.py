"""How a part of a claim is judged, as data: the kinds of comparison, each with its words and its test.

Everything here is a pure function of measures over seeds. A seed is one training; each comparison is one
between seeds (:mod:`lenetshift.study.experiments.statistics`). A part is looked at several times: after
several epochs, and by several measures. Each look is a test for what the report says and one against it;
:mod:`lenetshift.study.experiments.claims` corrects all of them for their number and gives the verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy  # type: ignore[import-untyped]

from .statistics import (
    Estimate,
    SeedInterval,
    difference_of,
    mean_of,
    share_of_seeds,
    within,
)

MARGIN = 1.0
"""The smallest difference that matters, in points: Table 1 is printed in whole per cent."""

LEAST_SEEDS = 5
"""Fewer decide nothing."""

CHANCE = 20.0
"""Per cent of unmoved digits, twice what guessing gives: a network that reads no more has not learnt, and
decides nothing."""

MOST_OF_AN_IMAGE = 90.0
"""Per cent of the patterns in question that must be answered as reported for a seed to be a success."""

Values = Sequence[float]
"""A measure, one value for each seed, in per cent."""

Measures = Mapping[tuple[str, int], Mapping[str, Values]]
"""Of one experiment: (setting, epochs) -> measure -> values. Besides the measures of
:data:`lenetshift.study.experiments.measures.DEFINITIONS` there are ``dx=-5`` ... ``dx=5`` (accuracy at that
dx, dy = 0) and, for position-biased runs, ``answered 3 at dx=3`` and the like, and the names of
:data:`lenetshift.study.experiments.position_bias.FIGURES`."""


@dataclass(frozen=True)
class Look:
    """One way to look at a part.

    Attributes:
        epochs: after how many.
        measure: by which measure.
    """

    epochs: int
    measure: str = "moved"


def looks(epochs: Sequence[int], *measures: str) -> tuple[Look, ...]:
    """By each of some measures after each of some numbers of epochs; the main look comes first."""
    return tuple(Look(epoch, measure) for measure in measures for epoch in epochs)


ROBUSTNESS = ("moved", "kept", "change")
"""Three measures of robustness. *Moved* also rises with what a network reads unmoved; *kept* counts only
images that it reads unmoved; *change* subtracts what it reads unmoved."""


@dataclass(frozen=True)
class Quantity:
    """What a criterion reads from the measures.

    Attributes:
        setting: whose values.
        read: its values for a look; KeyError for a setting or a measure that does not exist.
    """

    setting: str
    read: Callable[[Measures, Look], Values]

    def has_learnt(self, measures: Measures, look: Look) -> bool:
        """Whether its networks read more than chance gives."""
        unmoved = measures[self.setting, look.epochs].get("unmoved")
        return unmoved is None or float(np.mean(unmoved)) >= CHANCE


def of(setting: str, measure: str | None = None) -> Quantity:
    """The look's measure of a setting, or always the same one."""
    return Quantity(setting, lambda m, look: m[setting, look.epochs][measure or look.measure])


@dataclass(frozen=True)
class Judgement:
    """What the seeds say in one look.

    Attributes:
        value: the number that it rests on; None if there is none.
        interval: of it, over seeds.
        n: seeds.
        p_supports: two-sided probability of such seeds if the report were not right; small if it is.
        p_contradicts: the same if it were not wrong.
        silent: why these seeds decide nothing; empty if they may.
        decided: the verdict of a rule that is no single test; empty if the probabilities decide, or nothing.
    """

    value: float | None = None
    interval: SeedInterval | None = None
    n: int = 0
    p_supports: float = 1.0
    p_contradicts: float = 1.0
    silent: str = ""
    decided: str = ""


Judge = Callable[[Measures, Look], Judgement]


@dataclass(frozen=True)
class Criterion:
    """What would support a hypothesis and what would contradict it, in words, and the judgement.

    Anything else leaves the hypothesis open.
    """

    supports: str
    contradicts: str
    judge: Judge


@dataclass(frozen=True)
class Part:
    """One part of a claim.

    Attributes:
        claim: its number, 0 to 4.
        name: of the part.
        hypothesis: what the report says.
        measure: what is compared, in words.
        criterion: how it is judged.
        looks: the ways in which it is looked at, the main one first.
        known: whether numbers like those that decide were known when the criterion was written.
        images: the test images that it is about, if not all; without them it is left open.
    """

    claim: int
    name: str
    hypothesis: str
    measure: str
    criterion: Criterion
    looks: tuple[Look, ...]
    known: bool
    images: tuple[int, ...] = ()


def larger(first: Quantity, second: Quantity, margin: float = MARGIN) -> Criterion:
    """*The first is larger*, by more than the margin."""
    words = f"larger by {{}} than {margin:g} point{'s' * (margin != 1)}"

    def judge(measures: Measures, look: Look) -> Judgement:
        estimate = difference_of(first.read(measures, look), second.read(measures, look))
        judgement = _judged(estimate, estimate.p_above(margin), estimate.p_below(margin))
        return _if_learnt(judgement, measures, look, first, second)

    return Criterion(words.format("more"), f"not {words.format('more')}", judge)


def not_larger(first: Quantity, second: Quantity, margin: float = MARGIN) -> Criterion:
    """*The first is not larger*, or by less than the margin (non-superiority)."""
    return _reversed(larger(first, second, margin))


def equivalent(first: Quantity, second: Quantity) -> Criterion:
    """*They do not differ*: by less than the margin in either direction (two one-sided tests, Schuirmann
    1987, J. Pharmacokinet. Biopharm. 15)."""

    def judge(measures: Measures, look: Look) -> Judgement:
        estimate = difference_of(first.read(measures, look), second.read(measures, look))
        inside = max(estimate.p_above(-MARGIN), estimate.p_below(MARGIN))
        outside = min(estimate.p_above(MARGIN), estimate.p_below(-MARGIN))
        return _if_learnt(_judged(estimate, inside, outside), measures, look, first, second)

    words = f"a difference of {{}} than {MARGIN:g} point"
    return Criterion(words.format("less"), words.format("more"), judge)


def above(quantity: Quantity, bound: float) -> Criterion:
    """*The mean lies above a bound*, in per cent."""

    def judge(measures: Measures, look: Look) -> Judgement:
        estimate = mean_of(quantity.read(measures, look))
        judgement = _judged(estimate, estimate.p_above(bound), estimate.p_below(bound))
        if judgement.interval is not None:
            judgement = replace(judgement, interval=within(judgement.interval, 0, 100))
        return _if_learnt(judgement, measures, look, quantity)

    return Criterion(f"above {bound:g}", f"below {bound:g}", judge)


def in_most_seeds(quantity: Quantity, least: float = MOST_OF_AN_IMAGE) -> Criterion:
    """*So it is in more than half of all trainings*: seeds are counted in which a share reaches ``least`` per
    cent, and the counts are binomial."""

    def judge(measures: Measures, look: Look) -> Judgement:
        values = np.asarray(quantity.read(measures, look))
        k, n = int((values >= least).sum()), len(values)
        more, fewer = (
            min(1.0, 2 * float(scipy.stats.binomtest(k, n, 0.5, way).pvalue))
            for way in ("greater", "less")
        )
        return Judgement(100 * k / n, share_of_seeds(k, n), n, more, fewer)

    words = f"in {{}} than half of the seeds, at least {least:g} % are answered so"
    return Criterion(words.format("more"), words.format("less"), judge)


def _judged(estimate: Estimate, supports: float, contradicts: float) -> Judgement:
    """A judgement from two one-sided tests."""
    silent = "" if estimate.error > 0 else "the seeds do not scatter"
    return Judgement(
        estimate.value,
        estimate.interval,
        estimate.n,
        min(1.0, 2 * supports),
        min(1.0, 2 * contradicts),
        silent,
    )


def _if_learnt(
    judgement: Judgement, measures: Measures, look: Look, *quantities: Quantity
) -> Judgement:
    at_chance = [one.setting for one in quantities if not one.has_learnt(measures, look)]
    if at_chance:
        return replace(judgement, silent=f"{at_chance[0]} has not learnt to read")
    return judgement


def _reversed(criterion: Criterion) -> Criterion:
    """The criterion of the opposite hypothesis."""

    def judge(measures: Measures, look: Look) -> Judgement:
        found = criterion.judge(measures, look)
        return replace(found, p_supports=found.p_contradicts, p_contradicts=found.p_supports)

    return Criterion(criterion.contradicts, criterion.supports, judge)
