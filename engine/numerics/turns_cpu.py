"""Cosine and sine in loops compiled for the CPU. Imports numba."""

import numpy as np

from engine.numerics.compiled import compiled


def _taylor(first: int, terms: int) -> tuple[float, ...]:
    """Coefficients in h² of cos (first = 0) or of sin h/h (1) for h = πf/2, as a polynomial in f², highest first."""
    coefficients, value = [], (np.pi / 2) ** first
    for i in range(terms):
        coefficients.append(value)
        value *= -((np.pi / 2) ** 2) / ((2 * i + first + 1) * (2 * i + first + 2))
    return tuple(coefficients[::-1])


_COSINE, _SINE = _taylor(0, 8), _taylor(1, 8)  # |f| ≤ 1/2: below 1e-17


def _quarters_plain(quarters: float) -> tuple[float, float]:
    """cos and sin of so many quarters of a turn."""
    whole = np.rint(quarters)
    f = quarters - whole
    h = f * f
    c0, c1, c2, c3, c4, c5, c6, c7 = _COSINE
    s0, s1, s2, s3, s4, s5, s6, s7 = _SINE
    even = ((((((c0 * h + c1) * h + c2) * h + c3) * h + c4) * h + c5) * h + c6) * h + c7
    odd = f * (((((((s0 * h + s1) * h + s2) * h + s3) * h + s4) * h + s5) * h + s6) * h + s7)
    turn = np.int64(whole)
    swapped = (turn & 1) == 1
    cosine, sine = (odd if swapped else even), (even if swapped else odd)
    cosine = -cosine if ((turn + 1) & 2) == 2 else cosine
    sine = -sine if (turn & 2) == 2 else sine
    return cosine, sine


quarters = compiled(_quarters_plain)
