"""The digits of the kernels' exp: prints csrc/cpu/math/exp_digits.h.

    exp(x) = 2^n exp(r),   n = round(x / ln 2),   r = x - n ln 2,   |r| <= ln 2 / 2

with ln 2 in two parts, of which n times the first is exact in float32, and exp(r) by its Taylor
polynomial, whose remainder is at most that of the first term left out.

    python tools/generate/exp_digits.py > csrc/cpu/math/exp_digits.h
"""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

from rounding import c_float

SMALLEST = -87.0  # below, the kernels say 0
DEGREE = 6
FLOAT32_BITS = 24

HEADER = """\
// Made by tools/generate/exp_digits.py: change that, not this.
//
// exp(x) = 2^n exp(r) with n = round(x / ln 2), r = x - n ln 2, for 0 >= x >= kExpSmallest. ln 2 in
// two parts: n times the first is exact. exp(r) by its Taylor polynomial of degree {degree}, whose
// remainder is at most {remainder:.1e}.
#pragma once

namespace lenetshift {{
namespace {{  // each file gets its own copy (see cpu/simd/vec.h for why)

constexpr float kExpSmallest = {smallest};
constexpr float kLog2OfE = {log2_e};
constexpr float kLn2High = {high};
constexpr float kLn2Low = {low};
{terms}

}}  // namespace
}}  // namespace lenetshift
"""


def header() -> str:
    """csrc/cpu/math/exp_digits.h."""
    getcontext().prec = 40
    ln2 = Decimal(2).ln()
    n_bits = math.ceil(-SMALLEST / math.log(2)).bit_length()
    high = Decimal(math.floor(ln2 * 2 ** (FLOAT32_BITS - 1 - n_bits))) / 2 ** (
        FLOAT32_BITS - 1 - n_bits
    )
    remainder = (math.log(2) / 2) ** (DEGREE + 1) / math.factorial(DEGREE + 1) * math.sqrt(2)
    return HEADER.format(
        degree=DEGREE,
        remainder=remainder,
        smallest=c_float(SMALLEST),
        log2_e=c_float(float(1 / ln2)),
        high=c_float(float(high)),
        low=c_float(float(ln2 - high)),
        terms="\n".join(
            f"constexpr float kExpTerm{k} = {c_float(1 / math.factorial(k))};"
            for k in range(2, DEGREE + 1)
        ),
    )


if __name__ == "__main__":
    print(header(), end="")
