"""The report's claims, and what the experiments' parts say of each together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from . import EXPERIMENTS
from .criteria import OPEN, Judgement, Measures, Part

PARTLY = "partly"
"""A claim's verdict if those of its parts differ."""

SENTENCES: dict[int, str] = {
    1: "Convolution gives mild robustness to translation, for shifts well below the kernel size, and "
    "only because training digits are centred.",
    2: "Pooling gives none by itself: it only removes redundant nodes; 1/6 would do.",
    3: "The asymmetry of C3 affects only how efficiently the model learns, not what it becomes; "
    "Model 2's 49 % comes from too few epochs.",
    4: "Convolution does not recognise shapes: with position-biased training data the answer follows "
    "the position.",
}
"""The report's claims, by their numbers."""

PARTS: dict[int, tuple[tuple[str, Part], ...]] = {
    claim: tuple(
        (experiment.name, part)
        for experiment in EXPERIMENTS.values()
        for part in experiment.parts
        if part.claim == claim
    )
    for claim in SENTENCES
}
"""Claim -> its parts, each with the name of the experiment that decides it."""


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim: the report's sentence, our verdict, and each part with its judgement."""

    claim: int
    sentence: str
    verdict: str
    parts: tuple[tuple[Part, Judgement], ...]


def claims(measures: Mapping[str, Measures], images: Collection[int]) -> list[ClaimVerdict]:
    """The verdicts on the report's four claims.

    Args:
        measures: of each experiment that was run, by its name; a part of another is left open.
        images: the numbers of the test images; a part about others is left open.

    Raises:
        KeyError: a part's criterion names a setting or a measure that its experiment does not have.
    """
    verdicts = []
    for claim, sentence in SENTENCES.items():
        parts = tuple(
            (part, part.criterion.judge(measures[experiment]))
            if experiment in measures and set(part.images) <= set(images)
            else (part, Judgement(OPEN))
            for experiment, part in PARTS[claim]
        )
        together = combine([judgement.verdict for _, judgement in parts])
        verdicts.append(ClaimVerdict(claim, sentence, together, parts))
    return verdicts


def combine(verdicts: Sequence[str]) -> str:
    """A claim's verdict from its parts': theirs if all are the same, else ``"partly"``."""
    return verdicts[0] if len(set(verdicts)) == 1 else PARTLY
