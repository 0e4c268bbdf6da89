"""The power of a sinusoid in Gaussian noise: noncentral χ² with two degrees of freedom, 2L for L snapshots.

With y = √μ σ e^{jα} + n, n ~ CN(0, σ²), the normalised power z = 2|y|²/σ² has noncentrality ρ = 2μ.
(Mashhadi, Hoang, Vahid, arXiv 2605.21815, Eq. 12, print z = |y|²/σ²; the factor 2 belongs there.)
"""

import functools
import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from engine.numerics import piecewise
from engine.numerics.bessel import log_bessel_and_slope, log_bessel_reduced

Array = Any

# In t = 3/(ρ + 3): relative error below 3e-11 at every ρ, 16 KB (tests/numerics/test_noncentral_chi2.py).
INFORMATION_SCALE, _PIECES, _DEGREE = 3.0, 512, 3
_QUADRATURE_NODES = 400
_TAIL = 11.0  # the density of √z lies within √ρ ± 11 up to a factor e^-60
_LARGE = 1e3  # beyond, 1 − I₁/I₀ is taken from its asymptotic series


def information(rho: Array) -> Array:
    """Fisher information J₂ about the noncentrality ρ in one sample, Eq. (16), for all ρ ≥ 0.

    rho: real array of any shape, finite. Returns an array of the same shape; J₂(0) = 1/4, J₂ → 1/(4ρ).
    Relative error below 3e-11. J₂ is a function of one number: it is integrated once, then looked up.
    """
    xp = array_namespace(rho)
    t = INFORMATION_SCALE / (rho + INFORMATION_SCALE)
    (information_over_t,) = piecewise.evaluate(xp, [information_table(xp)], t)
    return information_over_t * t


@functools.cache
def information_table(xp: Any) -> Array:
    """J₂/t over t = 3/(ρ + 3), for `piecewise.evaluate`."""

    def information_over_t(t: np.ndarray) -> np.ndarray:
        return information_by_quadrature(INFORMATION_SCALE / t - INFORMATION_SCALE) / t

    return xp.asarray(piecewise.fit(information_over_t, pieces=_PIECES, degree=_DEGREE))


def information_by_quadrature(rho: np.ndarray) -> np.ndarray:
    """J₂ = E[l²], the variance of the score l of Eq. (15), by Gauss-Legendre quadrature in r = √z.

    rho: (...) of doubles ≥ 0. The printed form ¼(η/ρ − 1) cancels for small ρ, so l² itself is integrated.
    For large ρ the score is a difference of two numbers near 1, so 1 − I₁/I₀ is expanded there.
    """
    from scipy.special import i0e, i1e

    abscissae, weights = np.polynomial.legendre.leggauss(_QUADRATURE_NODES)
    a = np.sqrt(np.asarray(rho, dtype=float))[..., None]
    low, high = np.maximum(0.0, a - _TAIL), a + _TAIL
    r = low + (high - low) * (abscissae + 1) / 2
    v = r - a
    x = a * r
    density = r * np.exp(-v * v / 2) * i0e(x)
    ratio = i1e(x) / i0e(x)

    # ρ ≤ 1: l = −1/2 + (r²/2) (I₁/I₀)(x)/x, whose last factor tends to 1/2.
    ratio_over_x = np.divide(ratio, x, out=np.full_like(x, 0.5), where=x > 1e-6)
    score_small = -0.5 + 0.5 * r * r * ratio_over_x

    # ρ > 1: l = (v/a − (1 + v/a)(1 − I₁/I₀))/2.
    inverse = 1 / np.maximum(x, _LARGE)
    series = inverse * (1 / 2 + inverse * (1 / 8 + inverse * (1 / 8 + inverse * (25 / 128))))
    complement = np.where(x > _LARGE, series, 1 - ratio)
    relative = v / np.maximum(a, 1.0)
    score_large = 0.5 * (relative - (1 + relative) * complement)

    score = np.where(a > 1, score_large, score_small)
    return (density * score * score * (high - low) / 2) @ weights


def summed_power(noncentrality: Array, gaussian: Array, chi_square: Array) -> Array:
    """One draw of the noncentral χ² with 2L degrees of freedom: (√λ + n)² + q with n ~ N(0, 1), q ~ χ²(2L − 1).

    noncentrality: λ ≥ 0; gaussian: n; chi_square: q; shapes that broadcast. With λ = Lρ it is distributed as
    S = Σ_t 2p[t]/σ² over L snapshots, so that L draws are never needed. S is all that the paper's z, Eq. (8), and every
    estimator here see; for L > 1 it is not sufficient for the L powers, whose likelihood is Π_t I₀(√(ρz_t)): at L = 50
    it keeps 94 to 100 % of their information (tests/numerics/test_noncentral_chi2.py), and the bound, which is of all
    L powers, lies below what S allows by as much. The same n and q serve every λ (common random numbers).
    """
    xp = array_namespace(noncentrality, gaussian, chi_square)
    amplitude = xp.sqrt(noncentrality) + gaussian
    return amplitude * amplitude + chi_square


def log_likelihood(statistic: Array, noncentrality: Array, n_snapshots: int) -> Array:
    """log density at S of the noncentral χ² with 2L degrees of freedom and noncentrality λ.

    statistic: S > 0; noncentrality: λ ≥ 0; they broadcast. n_snapshots: L ≥ 1. Formed as −½(√S − √λ)² and a slowly
    varying remainder, so that large S and λ do not cancel.
    """
    xp = array_namespace(statistic, noncentrality)
    root, amplitude = xp.sqrt(statistic), xp.sqrt(noncentrality)
    apart = root - amplitude
    reduced = log_bessel_reduced(n_snapshots - 1, root * amplitude)
    return -0.5 * apart * apart + reduced + log_constant(statistic, n_snapshots)


def log_likelihood_and_slope(statistic: Array, noncentrality: Array, n_snapshots: int) -> tuple[Array, Array]:
    """`log_likelihood` and ∂/∂λ of it: −½ + (S/2) I_L(x)/(x I_{L−1}(x)) with x = √(λS), finite at λ = 0."""
    xp = array_namespace(statistic, noncentrality)
    nu = n_snapshots - 1
    root, amplitude = xp.sqrt(statistic), xp.sqrt(noncentrality)
    apart = root - amplitude
    reduced, slope = log_bessel_and_slope(nu, root * amplitude)
    return -0.5 * apart * apart + reduced + log_constant(statistic, n_snapshots), 0.5 * statistic * slope - 0.5


def log_constant(statistic: Array, n_snapshots: int) -> Array:
    """What the log-likelihood holds beside the noncentrality: (L−1) log S − L log 2 − log Γ(L)."""
    xp = array_namespace(statistic)
    return (n_snapshots - 1) * xp.log(statistic) - (n_snapshots * math.log(2.0) + math.lgamma(n_snapshots))
