"""The noncentral χ² likelihood of one L in a form that single precision and SIMD can carry.

With amplitude y = √λ and s = √S the log-likelihood is −½(y − s)² + r(ys) + constant, r = r_{L−1} of
`engine.numerics.bessel`: no two large numbers cancel. r falls as −(L − ½) log x, so with

    v = b / (x + √(b² + x²)),  a = L − ½,  b = L + 3,

v from 1 at x = 0 to 0, r = a log v + Q(v) with Q smooth on [0, 1]: a polynomial. Sums of logarithms over sensors become
one logarithm of a product. b is free: L + 3 is within a factor of three of the best at every L; at L = 1, degree 8,
it leaves an error of 8e-6, L + ½ one of 2e-4.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from engine.numerics.bessel import log_bessel_reduced

DEGREE = 8
_NODES = 2048
_SLACK = 0.01


@dataclass(frozen=True)
class LikelihoodFit:
    """r(x) = slope · log v + Σ coefficients[i] v^i, highest power first, v = offset/(x + √(offset² + x²))."""

    slope: float
    offset: float
    coefficients: tuple[float, ...]


@functools.cache
def likelihood_fit(n_snapshots: int) -> LikelihoodFit:
    """The fit for L snapshots.

    Its error is below 2e-5 for L ≤ 50 and 1e-4 for L ≤ 1000, at every x ≤ 1e8 (tests/numerics/test_log_likelihood.py).
    """
    slope, offset = n_snapshots - 0.5, n_snapshots + 3.0
    nodes = np.maximum((chebyshev.chebpts1(64) + 1) / 2, 1e-12)
    x = offset / 2 * (1 / nodes - nodes)
    smooth = log_bessel_reduced(n_snapshots - 1, x) - slope * np.log(nodes)
    fitted = chebyshev.Chebyshev.fit(nodes, smooth, DEGREE, domain=[0, 1])
    powers = fitted.convert(kind=np.polynomial.Polynomial).coef
    powers = np.concatenate([powers, np.zeros(DEGREE + 1 - len(powers))])
    return LikelihoodFit(slope, offset, tuple(float(c) for c in powers[::-1]))


def log_reference(n_snapshots: int, root: np.ndarray) -> np.ndarray:
    """slope log v̂, which the loops leave out of each sensor's contribution; root: √S (...)."""
    fit = likelihood_fit(n_snapshots)
    return fit.slope * np.log(fit.offset / (root**2 + np.hypot(fit.offset, root**2)))


def highest_contribution(n_snapshots: int, root: np.ndarray) -> np.ndarray:
    """An upper bound of max over y of −½(y − s)² + Q(v) + slope log(v/v̂), v̂ = v at x = s²: what a sensor can add.

    root: s = √S (...). It is a function of s alone, tabulated; _SLACK covers its interpolation.
    """
    place = root / (root + _scale(n_snapshots))
    return np.interp(place, *_highest_contributions(n_snapshots)) + _SLACK


def _scale(n_snapshots: int) -> float:
    return float(np.sqrt(2 * n_snapshots))


@functools.cache
def _highest_contributions(n_snapshots: int) -> tuple[np.ndarray, np.ndarray]:
    fit = likelihood_fit(n_snapshots)
    place = np.linspace(0, 1, _NODES + 1)[:-1]
    s = place / (1 - place) * _scale(n_snapshots)

    def v(x: np.ndarray) -> np.ndarray:
        return fit.offset / (x + np.hypot(fit.offset, x))

    def contribution(y: np.ndarray) -> np.ndarray:
        at = v(y * s)
        return -0.5 * (y - s) ** 2 + np.polyval(fit.coefficients, at) + fit.slope * np.log(at / v(s * s))

    low, high = np.zeros_like(s), s + 1
    for _ in range(80):  # thirds: it has one maximum
        left, right = low + (high - low) / 3, high - (high - low) / 3
        rising = contribution(left) < contribution(right)
        low, high = np.where(rising, left, low), np.where(rising, high, right)
    return place, contribution((low + high) / 2)
