"""How far two noncentral χ² laws with 2L degrees of freedom overlap: −log ∫ √(p p′), one function of two numbers.

It is of the sum S over L snapshots, `engine.numerics.noncentral_chi2`, which is what estimators see. For all L powers
it is L times that of one snapshot, which is at least as much: a bound from S lies above one from the powers, and holds
for whoever sees S.

With t = √(λ + L) − √L the exponent is c (t − t′)²/8, and c between 1 and 1.14: c → 1 as λ → ∞, where √S is Gaussian
of variance 1, and as λ → 0, where the information about t is 1. c is tabulated over the mean of t and t′, and the
squared ratio of half their difference to it; both run over [0, 1].
"""

import functools
import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from engine.numerics.noncentral_chi2 import log_likelihood

Array = Any

_MEANS, _RATIOS = 96, 64  # bilinear between them: relative error of the exponent below 3e-3, 1e-4 in the mean
_LEAST_MEAN, _LEAST_RATIO = 1e-5, 1e-6  # where c is taken for its limit at 0
_NODES, _REACH = 160, 10.0
_NEAR = 0.3  # below this exponent 1 − ∫ √(p p′) is integrated itself


def stabilised(noncentrality: Array, n_snapshots: int) -> Array:
    """t = √(λ + L) − √L, any shape; λ ≥ 0."""
    xp = array_namespace(noncentrality)
    root = math.sqrt(n_snapshots)
    return noncentrality / (xp.sqrt(noncentrality + n_snapshots) + root)


def exponent(first: Array, second: Array, n_snapshots: int) -> Array:
    """−log ∫ √(p p′) at t and t′ of `stabilised`, which broadcast; 0 where they are equal."""
    xp = array_namespace(first, second)
    table = xp.asarray(correction_table(n_snapshots))
    total, apart = first + second, first - second
    some = xp.where(total > 0, total, xp.ones_like(total))
    i, u = _cell(xp, total / (total + 2 * math.sqrt(n_snapshots)), _MEANS)
    j, v = _cell(xp, (apart / some) ** 2, _RATIOS)
    at = i * (_RATIOS + 1) + j
    flat = xp.reshape(table, (-1,))

    def corner(offset: int) -> Array:
        return xp.reshape(xp.take(flat, xp.reshape(at, (-1,)) + offset), at.shape)

    low = corner(0) * (1 - v) + corner(1) * v
    high = corner(_RATIOS + 1) * (1 - v) + corner(_RATIOS + 2) * v
    return (low * (1 - u) + high * u) * apart * apart / 8


def _cell(xp: Any, place: Array, cells: int) -> tuple[Array, Array]:
    """Which cell of [0, 1], and where in it."""
    scaled = place * cells
    index = xp.clip(xp.astype(scaled, xp.int64), 0, cells - 1)
    return index, scaled - xp.astype(index, scaled.dtype)


@functools.cache
def correction_table(n_snapshots: int) -> np.ndarray:
    """c over mean/(mean + √L) and squared half difference over mean: (_MEANS + 1, _RATIOS + 1)."""
    root = math.sqrt(n_snapshots)
    place = np.maximum(np.arange(_MEANS) / _MEANS, _LEAST_MEAN)
    mean = (place / (1 - place) * root)[:, None]
    half = mean * np.sqrt(np.maximum(np.arange(_RATIOS + 1) / _RATIOS, _LEAST_RATIO))
    low, high = ((root + mean + sign * half) ** 2 - n_snapshots for sign in (-1, 1))
    found = exponent_by_quadrature(np.maximum(low, 0.0), high, n_snapshots) / (half**2 / 2)
    table = np.vstack([found, np.ones(_RATIOS + 1)])
    table.setflags(write=False)
    return table


def exponent_by_quadrature(first: np.ndarray, second: np.ndarray, n_snapshots: int) -> np.ndarray:
    """−log ∫ √(p p′) at noncentralities λ and λ′ (...), by Gauss-Legendre quadrature in r = √S, without cancellation.

    √(p p′) is about as wide as each of them, 1, and lies midway.
    """
    abscissae, weights = np.polynomial.legendre.leggauss(_NODES)
    degrees = 2 * n_snapshots - 1
    middle = (np.sqrt(first + degrees) + np.sqrt(second + degrees)) / 2
    low, high = np.maximum(0.0, middle - _REACH), middle + _REACH
    r = low[..., None] + (high - low)[..., None] * (abscissae + 1) / 2
    jacobian = np.log(2 * r) + np.log(weights * (high - low)[..., None] / 2)
    p, q = (log_likelihood(r * r, np.broadcast_to(one[..., None], r.shape), n_snapshots) for one in (first, second))
    terms = (p + q) / 2 + jacobian
    top = np.max(terms, axis=-1)
    far = -top - np.log(np.sum(np.exp(terms - top[..., None]), axis=-1))
    # 1 − ∫ √(pq) = ½ ∫ (√p − √q)², and √p − √q = 2 √(√p √q) sinh(log(p/q)/4).
    near = np.sum(np.exp(terms) * 2 * np.sinh(np.clip((p - q) / 4, -9, 9)) ** 2, axis=-1)
    return np.where(far > _NEAR, far, -np.log1p(-np.minimum(near, 0.5)))
