"""The blocks of REPRODUCTION.md about claims and their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reproduction_format import Look, decimals, interval, listed, probability, table, verdict


def verdicts(found: Sequence[Mapping[str, Any]]) -> str:
    """A row for each claim."""
    rows = [
        (one["claim"], one["sentence"], verdict(one["verdict"]), _by_verdict(one["parts"]))
        for one in found
    ]
    return table(("claim", "the report", "our verdict", "part by part"), rows)


def claim(one: Mapping[str, Any]) -> str:
    """A claim's parts with their main looks, and below the table all other looks."""
    rows = [
        (
            part["name"],
            part["hypothesis"],
            f"{part['measure']}; supported if {part['supports']}",
            _main_look(part["looks"]),
            "after" if part["known"] else "before",
            verdict(part["verdict"]),
        )
        for part in one["parts"]
    ]
    head = ("part", "hypothesis", "measured", "main look", "rule written", "verdict")
    others = [_other_looks(part) for part in one["parts"] if len(part["looks"]) > 1]
    fold = ("<details><summary>All other looks</summary>", "", *others, "", "</details>")
    listing = "\n".join(fold) if others else ""
    return (
        f"> {one['sentence']}\n\nOur verdict: {verdict(one['verdict'])}.\n\n{table(head, rows)}\n\n{listing}"
    ).rstrip()


def _by_verdict(parts: Sequence[Mapping[str, Any]]) -> str:
    """The names of a claim's parts, those of one verdict together."""
    names: dict[str, list[str]] = {}
    for part in parts:
        names.setdefault(part["verdict"] or "no verdict", []).append(part["name"])
    return "; ".join(
        f"{word}: {', '.join(f'*{name}*' for name in of)}" for word, of in names.items()
    )


def _main_look(looks: Sequence[Look]) -> str:
    if not looks:
        return "nothing here tests it"
    look = looks[0]
    value = (
        "" if look["value"] is None else f"{decimals(look['value'])} {interval(look['interval'])}"
    )
    by_rule = not look["silent"] and look["p"] == 1  # a rule without a single test
    why = look["silent"] or ("" if by_rule else probability(look["p_corrected"]))
    said = f"{value.strip()} after {_epochs([look['epochs']])} by *{look['measure']}*"
    seeds = f"{look['n']} seeds" if look["n"] else ""
    return (
        ", ".join(part for part in (said, seeds, why) if part)
        + f": {look['verdict'] or 'no verdict'}"
    )


_DECIDED = ("supported", "contradicted")
"""Verdicts that only a rule without a single test, such as that of *too few epochs*, gives at p = 1."""


def _other_looks(part: Mapping[str, Any]) -> str:
    """All looks but the main one, or all of a part whose verdict depends on the look: those of one verdict,
    measure and reason together."""
    depends = part["verdict"] == "depends"
    groups: dict[tuple[str, str, str], list[Look]] = {}
    for look in part["looks"] if depends else part["looks"][1:]:
        key = (look["verdict"] or "no verdict", look["measure"], look["silent"])
        groups.setdefault(key, []).append(look)
    said = [_group(*key, looks) for key, looks in sorted(groups.items())]
    return f"- *{part['name']}*: {'depends: ' if depends else ''}{'; '.join(said)}."


def _group(word: str, measure: str, silent: str, looks: Sequence[Look]) -> str:
    looks = sorted(looks, key=lambda look: look["epochs"])
    values = ", ".join(
        "none" if look["value"] is None else decimals(look["value"]) for look in looks
    )
    of_all = [look["p_corrected"] for look in looks]
    least = probability(max(of_all) if word in _DECIDED else min(of_all))
    sign = "≤" if word in _DECIDED else "≥"
    why = silent or (least.replace("=", sign) if len(looks) > 1 else least)
    after = _epochs([look["epochs"] for look in looks])
    return f"{word} after {after} by *{measure}* ({values}; {why})"


def _epochs(numbers: Sequence[int]) -> str:
    return f"{listed(numbers)} {'epoch' if list(numbers) == [1] else 'epochs'}"
