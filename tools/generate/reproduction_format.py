"""How REPRODUCTION.md writes numbers and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Look = Mapping[str, Any]


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Lines of a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |" for cells in lines
    )


def decimals(value: float, n: int = 1) -> str:
    """With ``n`` digits after the point; no minus before a zero."""
    text = f"{value:.{n}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def spread(row: Mapping[str, Any]) -> str:
    """A row of ``summaries``: its mean and standard deviation over seeds."""
    if row["mean"] is None:
        return "diverged"
    return decimals(row["mean"]) + ("" if row["sd"] is None else f" ± {row['sd']:.1f}")


def interval(ends: Sequence[float] | None) -> str:
    """An interval, or nothing for None, as a quick study has it."""
    return "" if ends is None else f"[{decimals(ends[0])}, {decimals(ends[1])}]"


def probability(value: float) -> str:
    """``p`` with its value: to two decimals, to three below 0.1, no smaller than a thousandth."""
    if value < 0.001:
        return "p < 0.001"
    return f"p = {decimals(value, 3 if value < 0.1 else 2)}"


def listed(items: Iterable[object]) -> str:
    """``1, 2 and 3``."""
    *first, last = (str(item) for item in items)
    return f"{', '.join(first)} and {last}" if first else last


def verdict(word: str | None) -> str:
    """A verdict; a quick study has none."""
    return "no verdict" if word is None else f"**{word}**"
