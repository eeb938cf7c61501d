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

from rounding import float32

Matrix = list[list[float]]
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
]


def matrices(outputs: int, taps: int, points: Sequence[float]) -> tuple[Matrix, Matrix, Matrix]:
    """G, B and A of the form on finite points and infinity."""
    n = outputs + taps - 1
    g, b = [[0.0] * taps for _ in range(n)], [[0.0] * n for _ in range(n)]
    a = [[0.0] * n for _ in range(outputs)]
    for p in range(n):
        polynomial = [1.0]
        for q in range(n - 1):
            if q != p:
                shifted = [0.0, *polynomial]
                polynomial = [
                    high - points[q] * low
                    for high, low in itertools.zip_longest(shifted, polynomial, fillvalue=0.0)
                ]
        b[p][: len(polynomial)] = polynomial
    for p, x in enumerate(points[: n - 1]):
        value = math.prod(x - points[q] for q in range(n - 1) if q != p)
        g[p] = [x**j / value for j in range(taps)]
        for k in range(outputs):
            a[k][p] = x**k
    g[n - 1][taps - 1] = a[outputs - 1][n - 1] = 1.0
    return g, b, a


def error(outputs: int, taps: int, points: Sequence[float]) -> float:
    """The error of the products, relative to that of the direct sum."""
    g, b, a = matrices(outputs, taps, points)
    variance = [
        sum(v * v for v in row_g) * sum(v * v for v in row_b)
        for row_g, row_b in zip(g, b, strict=True)
    ]
    squares = [sum(v * v * e for v, e in zip(row, variance, strict=True)) for row in a]
    return math.sqrt(sum(squares) / outputs / taps)


def candidates(family: Family) -> Iterator[list[float]]:
    """Every choice of points: 0 or not, then pairs of opposite points."""
    n = sum(family.form) - 2 - family.zero
    if n % 2:
        raise ValueError(f"{family.name}: got {n} points beside 0, expected opposite ones")
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
    """The candidate with the smallest error."""
    return min(candidates(family), key=lambda points: error(*family.form, points))


def measured(outputs: int, taps: int, points: Sequence[float]) -> float:
    """Root mean square error of a layer's sum in float32, relative to the direct sum's."""
    g, b, a = matrices(outputs, taps, points)
    n = outputs + taps - 1
    generator = random.Random(0)
    form, direct = 0.0, 0.0
    for _ in range(TRIALS):
        sums, y, exact = [0.0] * n, [0.0] * outputs, [0.0] * outputs
        for _ in range(ROWS):
            w = [float32(generator.gauss(0, 1)) for _ in range(taps)]
            d = [float32(generator.gauss(0, 1)) for _ in range(n)]
            for k in range(outputs):
                for j in range(taps):
                    exact[k] += w[j] * d[k + j]
                    y[k] = float32(y[k] + w[j] * d[k + j])
            for p in range(n):
                weight = float32(sum(x * v for x, v in zip(g[p], w, strict=True)))
                value = 0.0
                for x, v in zip(b[p], d, strict=True):
                    value = float32(value + x * v)
                sums[p] = float32(sums[p] + weight * value)
        for k in range(outputs):
            value = 0.0
            for x, v in zip(a[k], sums, strict=True):
                value = float32(value + x * v)
            form += (value - exact[k]) ** 2
            direct += (y[k] - exact[k]) ** 2
    return math.sqrt(form / direct)


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
