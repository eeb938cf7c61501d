"""The report's claims, and what their parts together say about each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

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


def claims(measures: Mapping[str, Measures], images: Collection[int]) -> list[dict[str, Any]]:
    """The report's four claims with our verdicts and those on their parts, as a dossier holds them.

    Args:
        measures: of each experiment that was run, by its name; a part of another is left open.
        images: the numbers of the test images; a part about others is left open.

    Raises:
        KeyError: a part's criterion names a setting or a measure that its experiment does not have.
    """
    found = []
    for claim, sentence in SENTENCES.items():
        parts = [
            _judged(part, measures.get(experiment) if set(part.images) <= set(images) else None)
            for experiment, part in PARTS[claim]
        ]
        together = combine([part["verdict"] for part in parts])
        found.append({"claim": claim, "sentence": sentence, "verdict": together, "parts": parts})
    return found


def _judged(part: Part, measures: Measures | None) -> dict[str, Any]:
    """A part with its verdict, which is open without measures."""
    judgement = Judgement(OPEN) if measures is None else part.criterion.judge(measures)
    return {
        "name": part.name,
        "hypothesis": part.hypothesis,
        "measure": part.measure,
        "supports": part.criterion.supports,
        "contradicts": part.criterion.contradicts,
        "verdict": judgement.verdict,
        "value": judgement.value,
        "interval": judgement.interval,
        "interval_over": "seeds",
    }


def combine(verdicts: Sequence[str]) -> str:
    """A claim's verdict from its parts': theirs if all are the same, else ``"partly"``."""
    return verdicts[0] if len(set(verdicts)) == 1 else PARTLY
