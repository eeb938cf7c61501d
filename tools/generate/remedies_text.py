"""The tables and sentences of docs/remedies.md, from the results that tools/generate/remedies.py keeps.

What stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` is rewritten; everything else is
written by hand. Sentences that draw a conclusion are made here, by the rules below, so that they fit the
numbers.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

AS_IT_IS, AVERAGING = "as it is", "shift averaging"

CLEAR = 0.01
"""A difference is called a gain or a loss if it is this large on average, and has the same sign from every
seed; anything else is called no clear change."""

CHEAP = 1.25
"""An answer is called about as fast if it takes at most this many times as long."""

ACCURACIES = {
    "unmoved": "unmoved_accuracy",
    "moved": "moved_accuracy",
    "worst case": "worst_case_accuracy",
    "flip rate": "flip_rate",
    "consistency": "consistency",
}
TIMES = {
    "training": "training_seconds",
    "an answer": "answer_seconds",
    "55 shifts": "evaluation_seconds",
}

Results = Mapping[str, Any]


def render(text: str, results: Results) -> str:
    """The page with every block rewritten; ValueError if a block is unknown or missing."""
    found = blocks(results)
    missing = [name for name in found if f"<!-- {name}: begin -->" not in text]
    if missing:
        raise ValueError(f"remedies.md: got no block {missing[0]!r}, expected {', '.join(found)}")

    def block(match: re.Match[str]) -> str:
        name = match[1]
        if name not in found:
            raise ValueError(f"remedies.md: got the block {name!r}, expected {', '.join(found)}")
        return f"<!-- {name}: begin -->\n{found[name]}\n<!-- {name}: end -->"

    return re.sub(r"<!-- ([^:]+): begin -->.*?<!-- \1: end -->", block, text, flags=re.DOTALL)


def blocks(results: Results) -> dict[str, str]:
    """Name -> Markdown."""
    return {
        "origin": _origin(results),
        **{f"table {name}": _table(results, name) for name in networks(results)},
        "which": _which(results),
        "prices": _prices(results),
    }


# The numbers


def networks(results: Results) -> list[str]:
    """The names of the networks, in the order of the runs."""
    return sorted({name.split("/")[0] for name in results["runs"]})


def remedies(results: Results, network: str) -> list[str]:
    """The network as it is first, then by the accuracy on moved digits, the highest first."""
    names = {name.split("/")[1] for name in results["runs"] if name.startswith(f"{network}/")}
    moved = {name: mean(results, network, name, "moved_accuracy") for name in names}
    return sorted(names, key=lambda name: (name != AS_IT_IS, -round(moved[name], 6), name))


def values(results: Results, network: str, remedy: str, measure: str) -> list[float]:
    """A measure from every seed."""
    seeds = range(results["settings"]["seeds"])
    return [results["runs"][f"{network}/{remedy}/{seed}"][measure] for seed in seeds]


def mean(results: Results, network: str, remedy: str, measure: str) -> float:
    """Its mean over the seeds."""
    return statistics.mean(values(results, network, remedy, measure))


def ratios(results: Results, network: str, remedy: str, measure: str) -> list[float]:
    """A time of each seed in units of the same seed's time of the network as it is."""
    own = values(results, network, AS_IT_IS, measure)
    return [a / b for a, b in zip(values(results, network, remedy, measure), own, strict=True)]


def differences(results: Results, network: str, remedy: str, measure: str) -> list[float]:
    """A measure of each seed less that of the same seed's network as it is."""
    own = values(results, network, AS_IT_IS, measure)
    return [a - b for a, b in zip(values(results, network, remedy, measure), own, strict=True)]


def direction(found: Sequence[float]) -> int:
    """1 for a gain, -1 for a loss, 0 for no clear change, by the rule of :data:`CLEAR`."""
    if abs(statistics.mean(found)) < CLEAR:
        return 0
    return 1 if min(found) > 0 else -1 if max(found) < 0 else 0


def spread(found: Sequence[float], scale: float = 1, digits: int = 1) -> str:
    """Mean ± standard deviation over seeds."""
    mean, sd = statistics.mean(found) * scale, statistics.stdev(found) * scale
    return f"{mean:.{digits}f} ± {sd:.{digits}f}"


# The blocks


def _origin(results: Results) -> str:
    settings = results["settings"]
    return (
        f"{results['data']}: {settings['n_train']:,} training images, {settings['epochs']} epochs, batches "
        f"of {settings['batch_size']}, learning rate {settings['learning_rate']}, {settings['seeds']} seeds; "
        f"{settings['n_test']:,} test images under 55 shifts. lenetshift {results['lenetshift']}, PyTorch "
        f"{results['torch']}, {results['processor']}, one thread a run."
    )


def _table(results: Results, network: str) -> str:
    names = remedies(results, network)
    rows = [
        (
            remedy,
            *(
                spread(values(results, network, remedy, measure), 100)
                for measure in ACCURACIES.values()
            ),
            *(spread(ratios(results, network, remedy, measure)) for measure in TIMES.values()),
        )
        for remedy in names
    ]
    own = [f"{mean(results, network, AS_IT_IS, measure):.3g} s" for measure in TIMES.values()]
    note = (
        f"The network as it is takes {own[0]} of one core to train, {own[1]} to answer all test images once, "
        f"and {own[2]} to answer them under all shifts."
    )
    return f"{table(('', *ACCURACIES, *TIMES), rows)}\n\n{note}"


def _which(results: Results) -> str:
    return "\n\n".join(
        f"**{network}**\n\n" + "\n".join(f"- {each}" for each in sentences(results, network))
        for network in networks(results)
    )


def sentences(results: Results, network: str) -> list[str]:
    """What follows from the numbers of a network: what to take, and what not."""
    others = remedies(results, network)[1:]
    signs = {name: _sign(results, network, name, "moved_accuracy") for name in others}
    gains = [name for name in others if signs[name] > 0]
    said = [] if gains else ["No remedy gives a clear gain on moved images."]
    if gains:
        said.append(f"For the most moved images right: {_praised(results, network, gains[0])}")
    if AVERAGING in gains[1:]:
        said.append(f"Without training again: {_praised(results, network, AVERAGING)}")
    cheap = [name for name in gains if _price(results, network, name) <= CHEAP]
    if cheap and cheap[0] != gains[0]:
        said.append(f"With answers as fast as before: {_praised(results, network, cheap[0])}")

    def listed(title: str, names: Sequence[str], measure: str = "moved_accuracy") -> None:
        if names:
            said.append(f"{title}: {_listed(results, network, names, measure)}.")

    listed("Clear gains on moved images", gains)
    listed("No clear change there", [name for name in others if signs[name] == 0])
    listed("Clear losses there", [name for name in others if signs[name] < 0])
    for title, measure, of in [
        ("Fewer flips without a gain there", "flip_rate", [n for n in others if n not in gains]),
        ("Clear losses on unmoved images", "unmoved_accuracy", others),
    ]:
        listed(title, [n for n in of if _sign(results, network, n, measure) < 0], measure)
    return said


def _sign(results: Results, network: str, remedy: str, measure: str) -> int:
    return direction(differences(results, network, remedy, measure))


def _price(results: Results, network: str, remedy: str) -> float:
    return statistics.mean(ratios(results, network, remedy, "answer_seconds"))


def _praised(results: Results, network: str, remedy: str) -> str:
    """A remedy, and what it does, against the network as it is."""

    def change(measure: str) -> str:
        old, new = (100 * mean(results, network, name, measure) for name in (AS_IT_IS, remedy))
        return f"{new:.1f} % instead of {old:.1f} %"

    return (
        f"**{remedy}**, with {change('moved_accuracy')}, and {change('worst_case_accuracy')} at every shift. "
        f"An answer takes {_times(_price(results, network, remedy))}."
    )


def _listed(results: Results, network: str, names: Sequence[str], measure: str) -> str:
    """Remedies with their difference to the network as it is, in points."""
    found = {name: statistics.mean(differences(results, network, name, measure)) for name in names}
    return "; ".join(f"{name} ({100 * found[name]:+.1f} points)" for name in names)


def _times(ratio: float) -> str:
    if ratio <= CHEAP:
        return "about as long as before" if ratio >= 1 / CHEAP else "less time than before"
    return f"{ratio:.1f} times as long"


def _prices(results: Results) -> str:
    rows = [
        (name, *(f"{value:.1f}" for value in found.values()))
        for name, found in results["prices"].items()
    ]
    n_shifts = next(iter(results["prices"].values()))
    return table(("", *(f"{n} shifts" for n in n_shifts)), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns after the first are aligned on the right."""
    line: Callable[[Sequence[str]], str] = lambda cells: f"| {' | '.join(cells)} |"  # noqa: E731
    return "\n".join([line(head), "|---|" + "---:|" * (len(head) - 1), *map(line, rows)])
