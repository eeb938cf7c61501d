"""The digits of the kernels' tanh: prints csrc/tanh_digits.h.

    tanh(x) = x p(x^2) / q(x^2) on |x| <= 8,   p(z) = 1 + p1 z + ... + p3 z^3, q of degree 4

with the coefficients that make the largest relative error smallest: by Remez' exchange, the error
has the same size with alternating signs at eight points. Beyond 8, where 1 - tanh is 2.3e-7, the
kernels take the value at 8.

    python tools/generate/tanh_digits.py > csrc/tanh_digits.h
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.polynomial.polynomial import polyval
from rounding import c_float, float32

LIMIT = 8.0
P_DEGREE, Q_DEGREE = 3, 4
N_POINTS = P_DEGREE + Q_DEGREE + 1
GRID = 20_000


def relative_error(p: Sequence[float], q: Sequence[float]) -> Callable[[float], float]:
    """Of x p(x^2) / q(x^2) against tanh(x)."""
    return lambda x: x * polyval(x * x, p) / (polyval(x * x, q) * math.tanh(x)) - 1


def level(points: Sequence[float]) -> tuple[list[float], list[float], float]:
    """p, q and the error that they reach, with alternating signs, at the points."""
    x = np.array(points)
    u, g, signs = (x / LIMIT) ** 2, np.tanh(x) / x, (-1.0) ** np.arange(N_POINTS)
    p_powers, q_powers = (u[:, None] ** range(1, n + 1) for n in (P_DEGREE, Q_DEGREE))
    q = np.eye(1, Q_DEGREE + 1)[0]
    for _ in range(30):
        # p - g q (1 +- error) = 0 with g = tanh(x) / x; q next to the error is the last one.
        of_error = -g * signs * polyval(u, q)
        matrix = np.column_stack([p_powers, -g[:, None] * q_powers, of_error])
        solution = np.linalg.solve(matrix, g - 1)
        q = np.array([1.0, *solution[P_DEGREE:-1]])
    p = np.array([1.0, *solution[:P_DEGREE]])
    scale = LIMIT ** (-2.0 * np.arange(Q_DEGREE + 1))
    return (p * scale[: P_DEGREE + 1]).tolist(), (q * scale).tolist(), abs(float(solution[-1]))


def extremes(error: Callable[[float], float]) -> list[float]:
    """The places between two sign changes where the error is largest."""
    best: list[tuple[float, float]] = []  # error, x
    for i in range(1, GRID + 1):
        x = LIMIT * i / GRID
        e = error(x)
        if not best or (e > 0) != (best[-1][0] > 0):
            best.append((e, x))
        elif abs(e) > abs(best[-1][0]):
            best[-1] = (e, x)
    return [x for _, x in best]


def minimax() -> tuple[list[float], list[float], float]:
    """p, q and their largest relative error."""
    points = [LIMIT * (1 - math.cos(math.pi * (i + 0.5) / N_POINTS)) / 2 for i in range(N_POINTS)]
    for _ in range(20):
        p, q, reached = level(points)
        error = relative_error(p, q)
        points = extremes(error)[-N_POINTS:]
        if len(points) < N_POINTS:
            raise ArithmeticError(f"the error alternates {len(points)} times only")
        if max(abs(error(x)) for x in points) < reached * (1 + 1e-6):
            break
    return p, q, reached


HEADER = """\
// Made by tools/generate/tanh_digits.py: change that, not this.
//
// tanh(x) = x p(x^2) / q(x^2) on |x| <= kTanhLimit, where 1 - |tanh| is {left:.1e}; beyond, the value
// there. p(z) = 1 + kTanhP1 z + ..., q(z) = 1 + kTanhQ1 z + ...: of all coefficients those with the
// smallest largest relative error, {exact:.2e}; rounded to float32 as here, {rounded:.2e}.
#pragma once

namespace lenetshift {{
namespace {{  // each file gets its own copy (see cpu/simd/vec.h for why)

constexpr float kTanhLimit = {limit};
{constants}

}}  // namespace
}}  // namespace lenetshift
"""


def header() -> str:
    """csrc/tanh_digits.h."""
    p, q, reached = minimax()
    rounded = relative_error([float32(c) for c in p], [float32(c) for c in q])
    names = [(f"kTanhP{k}", p[k]) for k in range(1, P_DEGREE + 1)]
    names += [(f"kTanhQ{k}", q[k]) for k in range(1, Q_DEGREE + 1)]
    return HEADER.format(
        left=1 - math.tanh(LIMIT),
        exact=reached,
        rounded=max(abs(rounded(x)) for x in extremes(rounded)),
        limit=c_float(LIMIT),
        constants="\n".join(f"constexpr float {name} = {c_float(c)};" for name, c in names),
    )


if __name__ == "__main__":
    print(header(), end="")
