"""The Fresnel integrals C(x) + jS(x), the integral of exp(jπt²/2) from 0 to x, in any array namespace.

CuPy has none, SciPy's takes 42 ns a point and gives no derivative; the derivative, cos and sin of πx²/2, is
half of the work, so one function returns all four.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from engine.numerics import piecewise

Array = Any

# In t = 1/(1 + x): absolute error of G 1e-15, and 24 KB for both parts, which stay in the first-level cache.
_PIECES, _DEGREE = 256, 5


def _auxiliary(t: np.ndarray) -> np.ndarray:
    """G(x) = ((1+j)/2) w(√π/2 (1+j) x), x ≥ 0, with w the Faddeeva function: C + jS = (1+j)/2 − G e^{jπx²/2}.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 7.3.22; G is smooth and has no oscillation.
    """
    from scipy.special import wofz

    x = 1 / t - 1
    return (1 + 1j) / 2 * wofz(np.sqrt(np.pi) / 2 * (1 + 1j) * x)


@functools.cache
def auxiliary_tables(xp: Any) -> list[Array]:
    """Real and imaginary part of G over t = 1/(1 + x), for `piecewise.evaluate`."""

    def table(part: Callable[[np.ndarray], np.ndarray]) -> Array:
        return xp.asarray(piecewise.fit(lambda t: part(_auxiliary(t)), pieces=_PIECES, degree=_DEGREE))

    return [table(np.real), table(np.imag)]


def fresnel(x: Array) -> tuple[Array, Array, Array, Array]:
    """Fresnel integrals and their derivatives.

    x: real array of any shape.
    Returns (C, S, C', S'), each of x's shape, with C' = cos(πx²/2) and S' = sin(πx²/2). Absolute error of
    C and S below 1e-14 for |x| < 120; beyond, rounding of πx²/2 makes it ~ x·1e-16. Of C' and S' x²·4e-16.
    """
    xp = array_namespace(x)
    magnitude = xp.abs(x)
    phase = magnitude * magnitude
    phase *= np.pi / 2
    cosine, sine = xp.cos(phase), xp.sin(phase)
    real, imag = piecewise.evaluate(xp, auxiliary_tables(xp), 1 / (1 + magnitude))
    half = xp.sign(x)
    half *= 0.5
    c = _odd(half, real * cosine, imag * sine)
    s = _odd(half, real * sine, -imag * cosine)
    return c, s, cosine, sine


def _odd(half: Array, plus: Array, minus: Array) -> Array:
    """sign(x)·(1/2 − (plus − minus)), overwriting the temporaries."""
    plus -= minus
    plus *= -2.0
    plus += 1.0
    plus *= half
    return plus
