"""The values of every seed that a summary holds, and the verdicts of the present rules on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from lenetshift.checks.text import json_value
from lenetshift.study.experiments.claims import OPEN, PARTS, claims

Summary = Mapping[str, Any]
Values = dict[tuple[str, int], dict[str, list[float]]]


def values_of(summary: Summary) -> dict[str, Values]:
    """By experiment, as :data:`lenetshift.study.experiments.criteria.Measures` has them; only what verdicts
    rest on."""
    found: dict[str, Values] = {name: {} for name in summary["study"]["experiments"]}
    for row in summary["values"]:
        of = found[row["experiment"]].setdefault((row["setting"], row["epochs"]), {})
        of[row["measure"]] = row["values"]
    return found


def judged(summary: Summary) -> dict[str, Any]:
    """The summary with the present rules' verdicts on its claims."""
    found = claims(values_of(summary), _images(summary), summary["study"]["quick"])
    return {**summary, "claims": json_value(found)}


def if_only_main_looks(summary: Summary) -> Iterator[tuple[str, str]]:
    """Parts whose main look is left open only because of the correction for all looks: each with the verdict
    that it has if the main looks alone are corrected for their number."""
    main = {
        claim: [(experiment, replace(part, looks=part.looks[:1])) for experiment, part in parts]
        for claim, parts in PARTS.items()
    }
    judged_so = claims(values_of(summary), _images(summary), parts_of=main)
    for now, then in zip(summary["claims"], judged_so, strict=True):
        for part, alone in zip(now["parts"], then["parts"], strict=True):
            if part["looks"] and part["looks"][0]["verdict"] == OPEN != alone["verdict"]:
                yield part["name"], alone["verdict"]


def _images(summary: Summary) -> Collection[int]:
    """The numbers of the test images, if they are the report's."""
    of_the_report = any(cell["verdict"] for cell in summary["table"]["cells"])
    return range(summary["ground"]["n_test"]) if of_the_report else ()
