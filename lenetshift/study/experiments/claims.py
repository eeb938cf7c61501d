"""The report's claims, and what their parts together say about each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from . import EXPERIMENTS
from .criteria import LEAST_SEEDS, Judgement, Look, Measures, Part
from .statistics import LEVEL, holm

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "left open"

DEPENDS = "depends"
"""The verdict on a part that is supported in some looks and contradicted in others."""

PARTLY = "partly"
"""A claim's verdict if those of its parts differ."""

SENTENCES: dict[int, str] = {
    0: "Unmoved, LeNet-5 is ahead of the MLP because convolution stresses that near pixels are "
    "correlated; convolved values are no features that are extracted.",
    1: "Convolution gives mild robustness to translation, for shifts well below the kernel size, and "
    "only because training digits are centred.",
    2: "Pooling gives none by itself: it only removes redundant nodes; 1/6 would do.",
    3: "The asymmetry of C3 affects only how efficiently the model learns, not what it becomes; "
    "Model 2's 49 % comes from too few epochs.",
    4: "Convolution does not recognise shapes: with position-biased training data the answer follows "
    "the position.",
}
"""The report's claims, by their numbers; 0 is its explanation of Table 1's unmoved column."""

Parts = Mapping[int, Sequence[tuple[str, Part]]]

PARTS: Parts = {
    claim: tuple(
        (experiment.name, part)
        for experiment in EXPERIMENTS.values()
        for part in experiment.parts
        if part.claim == claim
    )
    for claim in SENTENCES
}
"""Claim -> its parts, each with the name of the experiment that decides it."""

Judged = tuple[Look, Judgement]


def claims(
    measures: Mapping[str, Measures],
    images: Collection[int],
    quick: bool = False,
    parts_of: Parts | None = None,
) -> list[dict[str, Any]]:
    """The report's claims with our verdicts and those on their parts, as a dossier holds them.

    The probabilities of all looks of all parts are corrected together for their number.

    Args:
        measures: of each experiment that was run, by its name; a part of another is left open.
        images: the numbers of the test images; a part about others is left open.
        quick: whether the study is a quick one, which has no verdicts: they are None.
        parts_of: each claim; by default :data:`PARTS`.

    Raises:
        KeyError: a part's criterion names a setting or a measure that its experiment does not have.
    """
    parts_of = PARTS if parts_of is None else parts_of
    judged = {
        (claim, part.name): list(_judgements(part, measures.get(experiment), images))
        for claim, parts in parts_of.items()
        for experiment, part in parts
    }
    corrected = iter(holm([_p(one) for looks in judged.values() for _, one in looks]))
    found = []
    for claim, sentence in SENTENCES.items():
        parts = []
        for _, part in parts_of[claim]:
            rows = [
                _row(look, one, next(corrected), quick) for look, one in judged[claim, part.name]
            ]
            parts.append(_described(part, rows, quick))
        together = None if quick else combine([part["verdict"] for part in parts])
        found.append({"claim": claim, "sentence": sentence, "verdict": together, "parts": parts})
    return found


def _judgements(part: Part, measures: Measures | None, images: Collection[int]) -> Iterator[Judged]:
    """Each look's judgement, in the order of the part."""
    if measures is None or not set(part.images) <= set(images):
        return
    epochs = {epoch for _, epoch in measures}
    for look in part.looks:
        if look.epochs in epochs:  # a quick study trains for fewer
            yield look, part.criterion.judge(measures, look)


def _p(judgement: Judgement) -> float:
    """The smaller of the two probabilities; 1 if these seeds decide nothing."""
    if judgement.silent or judgement.n < LEAST_SEEDS:
        return 1.0
    return min(judgement.p_supports, judgement.p_contradicts)


def _row(look: Look, judgement: Judgement, corrected: float, quick: bool) -> dict[str, Any]:
    """One look as a dossier holds it."""
    side = SUPPORTED if judgement.p_supports <= judgement.p_contradicts else CONTRADICTED
    few = judgement.n < LEAST_SEEDS
    by_rule = "" if judgement.silent or few else judgement.decided
    verdict = by_rule or (side if corrected < 1 - LEVEL else OPEN)
    return {
        "epochs": look.epochs,
        "measure": look.measure,
        "verdict": None if quick else verdict,
        "value": judgement.value,
        "interval": None if quick else judgement.interval,
        "n": judgement.n,
        "p": _p(judgement),
        "p_corrected": corrected,
        "silent": judgement.silent or (f"fewer than {LEAST_SEEDS} seeds" if few else ""),
    }


def _described(part: Part, rows: Sequence[Mapping[str, Any]], quick: bool) -> dict[str, Any]:
    """A part with its verdict; it is open without looks."""
    return {
        "name": part.name,
        "hypothesis": part.hypothesis,
        "measure": part.measure,
        "supports": part.criterion.supports,
        "contradicts": part.criterion.contradicts,
        "known": part.known,
        "verdict": None if quick else together([row["verdict"] for row in rows]),
        "looks": list(rows),
    }


def together(verdicts: Sequence[str]) -> str:
    """A part's verdict from those of its looks, the main one first: the main one's, unless others differ
    from each other."""
    if {SUPPORTED, CONTRADICTED} <= set(verdicts):
        return DEPENDS
    return verdicts[0] if verdicts else OPEN


def combine(verdicts: Sequence[str]) -> str:
    """A claim's verdict from its parts': theirs if all are the same, else ``"partly"``."""
    return verdicts[0] if len(set(verdicts)) == 1 else PARTLY
