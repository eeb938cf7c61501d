"""Which of several methods is the fastest for a network, as timed on its first images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

ROUNDS = 3
"""Rounds in which all are run in turn, so that a machine that slows down slows all of them."""

ENOUGH_SECONDS = 3.0
"""After a round that ends later than this no other begins."""

COUNTS = ("no", "one", "two", "three", "four", "five")

Timed = Callable[[], float]
"""Runs something, and returns the number of images that it has answered."""


def seconds_per_image(
    candidates: Sequence[Timed], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """The least time of each candidate over the rounds, in seconds for each image.

    Args:
        candidates: one or more.
        clock: gives the time in seconds.
    """
    best, begin = [float("inf")] * len(candidates), clock()
    for _ in range(ROUNDS):
        for k, run in enumerate(candidates):
            start = clock()
            n_images = run()
            best[k] = min(best[k], (clock() - start) / n_images)
        if clock() - begin > ENOUGH_SECONDS:
            break
    return best


def as_timed(titles: Sequence[str], seconds: Sequence[float]) -> str:
    """The times in a part of a sentence, of the fastest first.

    >>> as_timed(["shared", "rewritten", "plain"], [0.0021, 0.0019, 0.3])
    'fastest of three as timed: 1.9 ms an image, shared 2.1, plain 300'
    """
    (first, _), *others = sorted(zip(seconds, titles, strict=True), key=lambda pair: pair[0])
    slower = "".join(f", {title} {_milliseconds(time)}" for time, title in others)
    count = COUNTS[len(titles)]
    return f"fastest of {count} as timed: {_milliseconds(first)} ms an image{slower}"


def _milliseconds(seconds: float) -> str:
    value = 1000 * seconds
    return f"{value:.0f}" if value >= 9.95 else f"{value:.2g}"
