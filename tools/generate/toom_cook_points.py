"""The points of the kernels' Toom-Cook forms (csrc/cpu/math/toom_cook.h): searches them.

For each family of forms in the sources, prints the points whose products' rounding errors are the
smallest among the candidates. The error of output k is, for random taps and inputs, the root of

    sum over points p of A[k][p]^2 * |row p of G|^2 * |row p of B|^2,

taken as a root mean square over the outputs, and relative to the direct sum's, the root of the
taps' number. Prints besides what a whole layer's sum loses in float32, measured: 30 rows of taps,
C3's of a full connection, relative to the direct sum.

    python tools/generate/toom_cook_points.py
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ROWS = 30  # of taps, in the measured sum
TRIALS = 300


@dataclass(frozen=True)
class Family:
    """Forms on the same points: what the candidates are."""

    name: str  # of the points in the sources
    form: tuple[int, int]  # outputs and taps that the points are chosen for
    denominator: int  # candidates are its multiples' inverses, up to `largest`
    largest: int
    zero: bool = False  # the first point is 0
    among: tuple[float, ...] = ()  # points that must be there
    # Instead of opposite points: the candidates, and the form on all points but the last.
    free: tuple[float, ...] = ()
    shorter: tuple[int, int] = (0, 0)
    why: str = ""


FAMILIES = [
    Family(
        "kTilePoints",
        (3, 5),
        denominator=4,
        largest=4,
        why="opposite points alone share all their work but an addition",
    ),
    Family(
        "kConvPoints",
        (5, 5),
        denominator=8,
        largest=3,
        among=(1, 2),
        why="powers of 1 and 2 lose nothing; the value at 1 is the sum that the bias needs",
    ),
    Family(
        "kPixelPoints",
        (5, 4),
        denominator=4,
        largest=4,
        zero=True,
        why="with 0 the shortest forms have an odd number of points as well",
    ),
    Family(
        "kCellPoints",
        (5, 3),
        denominator=2,
        largest=2,
        zero=True,
        free=(1, -1, 2, -2, 0.5, -0.5),
        shorter=(4, 3),
        why="pixels at two of them, in x and in y, are whole numbers of 16 bits",
    ),
]


def matrices(outputs: int, taps: int, points: Sequence[float]) -> tuple[Array, Array, Array]:
    """G, B and A of the form on finite points and infinity."""
    n, x = outputs + taps - 1, np.array(points)
    g, b, a = np.zeros((n, taps)), np.zeros((n, n)), np.zeros((outputs, n))
    for p in range(n - 1):
        others = np.delete(x, p)
        b[p, : n - 1] = np.poly(others)[::-1]
        g[p] = x[p] ** np.arange(taps) / np.prod(x[p] - others)
        a[:, p] = x[p] ** np.arange(outputs)
    b[n - 1] = np.poly(x)[::-1]
    g[n - 1, taps - 1] = a[outputs - 1, n - 1] = 1.0
    return g, b, a


def error(outputs: int, taps: int, points: Sequence[float]) -> float:
    """The error of the products, relative to that of the direct sum."""
    g, b, a = matrices(outputs, taps, points)
    variance = (g**2).sum(1) * (b**2).sum(1)
    return math.sqrt((a**2 @ variance).sum() / outputs / taps)


def candidates(family: Family) -> Iterator[list[float]]:
    """Every choice of points: 0 or not, then pairs of opposite points, or any of those that are free."""
    n = sum(family.form) - 2 - family.zero
    if family.free:
        for first in itertools.combinations(family.free, n - 1):
            for last in family.free:
                if last not in first:
                    yield [0.0] * family.zero + [*first, last]
        return
    if n % 2:
        raise ValueError(
            f"{family.name}: got {n} points besides 0, expected pairs of opposite ones"
        )
    free = [
        i / family.denominator
        for i in range(1, family.largest * family.denominator + 1)
        if i / family.denominator not in family.among
    ]
    for rest in itertools.combinations(free, n // 2 - len(family.among)):
        # In the order in which shorter forms take them: those near 1 first, 2 before 1/2.
        near_one = sorted(rest, key=lambda x: (abs(math.log2(x)), -x))
        opposites = (*family.among, *near_one)
        yield [0.0] * family.zero + [sign * x for x in opposites for sign in (1, -1)]


def search(family: Family) -> list[float]:
    """The candidate with the smallest error, the first of equal ones; of two forms, their product's."""

    def of(points: list[float]) -> float:
        form = error(*family.form, points)
        shorter = error(*family.shorter, points[:-1]) if family.free else 1.0
        return round(form * shorter, 9)

    return min(candidates(family), key=of)


def measured(outputs: int, taps: int, points: Sequence[float]) -> float:
    """Root mean square error of a layer's sum in float32, relative to the direct sum's."""
    g, b, a = matrices(outputs, taps, points)
    n = outputs + taps - 1
    generator = random.Random(0)
    form, direct = 0.0, 0.0
    for _ in range(TRIALS):
        sums, y, exact = np.zeros(n), np.zeros(outputs), np.zeros(outputs)
        for _ in range(ROWS):
            w = rounded([generator.gauss(0, 1) for _ in range(taps)])
            d = rounded([generator.gauss(0, 1) for _ in range(n)])
            for j in range(taps):
                products = w[j] * d[j : j + outputs]
                exact += products
                y = rounded(y + products)
            sums = rounded(sums + rounded(g @ w) * rounded_sum(b, d))
        form += ((rounded_sum(a, sums) - exact) ** 2).sum()
        direct += ((y - exact) ** 2).sum()
    return math.sqrt(form / direct)


def rounded(values: object) -> Array:
    """The nearest float32, as float64."""
    return np.asarray(values, np.float32).astype(np.float64)


def rounded_sum(matrix: Array, vector: Array) -> Array:
    """The product; each of its sums is rounded to float32 after each term."""
    value = np.zeros(len(matrix))
    for column, x in zip(matrix.T, vector, strict=True):
        value = rounded(value + column * x)
    return value


def main() -> None:
    """Print the points of every family, and their errors."""
    for family in FAMILIES:
        points = search(family)
        print(f"{family.name} {{{', '.join(f'{x:g}' for x in points)}}}")
        print(f"  F{family.form}: {family.why}")
        print(f"  products {error(*family.form, points):.1f} times the direct sum's error")
        print(f"  a layer's sum, measured: {measured(*family.form, points):.1f} times")


if __name__ == "__main__":
    main()
