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


def spread(row: Mapping[str, Any]) -> str:
    """A row of ``summaries``: its mean and standard deviation over seeds."""
    if row["mean"] is None:
        return "diverged"
    return f"{row['mean']:.1f}" + ("" if row["sd"] is None else f" ± {row['sd']:.1f}")


def interval(ends: Sequence[float] | None) -> str:
    """An interval, or nothing for None, as a quick study has it."""
    return "" if ends is None else f"[{ends[0]:.1f}, {ends[1]:.1f}]"


def probability(value: float) -> str:
    """``p`` with its value: to two digits, no smaller than a thousandth."""
    if value < 0.001:
        return "p < 0.001"
    return f"p = {value:.3f}" if value < 0.01 else f"p = {value:.2f}"


def listed(items: Iterable[object]) -> str:
    """``1, 2 and 3``."""
    *first, last = (str(item) for item in items)
    return f"{', '.join(first)} and {last}" if first else last


def verdict(word: str | None) -> str:
    """A verdict; a quick study has none."""
    return "no verdict" if word is None else f"**{word}**"
