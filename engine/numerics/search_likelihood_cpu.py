"""The likelihood pass over the grid on a CPU: compiled loops over slabs × realizations × sensors. Imports numba.

Logarithm and exponential are polynomials on the bits of single-precision numbers, so that loops run on vectors.
Symbols as in `engine.numerics.search`: B realizations, M observations each, K sensors; a slab has W columns.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev, polynomial

from engine.numerics.compiled import compiled
from engine.numerics.likelihood_fit import DEGREE
from engine.numerics.search import GROUP
from engine.numerics.search_tiles_cpu import add_listed, amplitudes, keep_best, list_maxima


def _fitted(function: Callable[..., Any], degree: int) -> tuple[np.float32, ...]:
    """A polynomial for `function` on [0, 1], highest power first."""
    fit = chebyshev.Chebyshev.interpolate(function, degree, domain=[0, 1])
    return tuple(np.float32(c) for c in fit.convert(kind=polynomial.Polynomial).coef[::-1])


_LOG_1P = _fitted(np.log1p, 8)  # error 1e-7
_EXP_2 = _fitted(np.exp2, 6)  # error 1e-8
_LN_2, _LOG2_E = np.float32(np.log(2)), np.float32(1 / np.log(2))
_HALF, _ZERO, _FOUR = np.float32(0.5), np.float32(0.0), np.float32(4.0)
_FRACTION = np.float32(2.0**-23)
_LOWEST_EXPONENT = np.float32(-126.0)
_SMALLEST = np.float32(2.0**-126)
_VECTOR = 32
"""Candidates drop out by so many. Mean share worked on at −75 dBm where whole slabs drop out, and where their ends do:
0.56 and 0.49 for L = 1, 0.14 and 0.11 for L = 50."""
NEGLIGIBLE = np.float32(20.0)
"""A candidate below the best by this much in log-likelihood adds e^-20 to a posterior: 18 000 of them, 4e-5 at most."""

assert DEGREE == 8


def _add_sensors_plain(
    amplitude: Any,
    scale: Any,
    root: Any,
    reference: Any,
    offset: Any,
    slope: Any,
    coefficients: Any,
    product: Any,
    bits: Any,
    total: Any,
) -> None:
    """total[c] += Σ_q −½(scale_q y − root_q)² + Q(v) + slope log(v/v̂), four sensors with one logarithm.

    amplitude y = √g (GROUP, ≥ W); scale, root, reference 1/v̂ (GROUP,). product (W,) is overwritten; bits is its view as
    integers. With v = b/a two sensors share one division: v₀ = (b/a₀a₁) a₁.
    """
    c0, c1, c2 = coefficients[0], coefficients[1], coefficients[2]
    c3, c4, c5 = coefficients[3], coefficients[4], coefficients[5]
    c6, c7, constant = coefficients[6], coefficients[7], _FOUR * coefficients[8]
    square = offset * offset
    k0, k1, k2, k3 = scale[0], scale[1], scale[2], scale[3]
    s0, s1, s2, s3 = root[0], root[1], root[2], root[3]
    m0, m1, m2, m3 = k0 * s0, k1 * s1, k2 * s2, k3 * s3
    f01, f23 = reference[0] * reference[1] * offset, reference[2] * reference[3] * offset
    for c in range(product.shape[0]):
        y0, y1, y2, y3 = amplitude[0, c], amplitude[1, c], amplitude[2, c], amplitude[3, c]
        x0, x1, x2, x3 = (
            m0 * y0,
            m1 * y1,
            m2 * y2,
            m3 * y3,
        )  # not from t: LLVM then gives up on vectors (7 times slower)
        t0, t1, t2, t3 = k0 * y0 - s0, k1 * y1 - s1, k2 * y2 - s2, k3 * y3 - s3
        a0, a1 = x0 + np.sqrt(square + x0 * x0), x1 + np.sqrt(square + x1 * x1)
        a2, a3 = x2 + np.sqrt(square + x2 * x2), x3 + np.sqrt(square + x3 * x3)
        d01, d23 = offset / (a0 * a1), offset / (a2 * a3)
        v = d01 * a1
        p0 = (((((((c0 * v + c1) * v + c2) * v + c3) * v + c4) * v + c5) * v + c6) * v + c7) * v
        v = d01 * a0
        p1 = (((((((c0 * v + c1) * v + c2) * v + c3) * v + c4) * v + c5) * v + c6) * v + c7) * v
        v = d23 * a3
        p2 = (((((((c0 * v + c1) * v + c2) * v + c3) * v + c4) * v + c5) * v + c6) * v + c7) * v
        v = d23 * a2
        p3 = (((((((c0 * v + c1) * v + c2) * v + c3) * v + c4) * v + c5) * v + c6) * v + c7) * v
        product[c] = (d01 * f01) * (d23 * f23)
        total[c] += ((p0 + p1) + (p2 + p3) + constant) - _HALF * ((t0 * t0 + t1 * t1) + (t2 * t2 + t3 * t3))
    l0, l1, l2, l3, l4, l5, l6, l7, l8 = _LOG_1P
    for c in range(product.shape[0]):
        word = bits[c]
        f = np.float32(word & np.int32(0x7FFFFF)) * _FRACTION
        e = np.float32((word >> np.int32(23)) - np.int32(127))
        log = (((((((l0 * f + l1) * f + l2) * f + l3) * f + l4) * f + l5) * f + l6) * f + l7) * f + l8
        total[c] += slope * (e * _LN_2 + log)


_add_sensors = compiled(_add_sensors_plain)


def _highest_plain(values: Any) -> Any:
    highest = values[0]
    for value in values:
        highest = max(highest, value)
    return highest


_highest = compiled(_highest_plain)


def _narrowed_plain(total: Any, low: int, high: int, needed: Any) -> tuple[int, int]:
    """low … high without those at either end that lie below `needed`, by _VECTOR; low = high where none is left."""
    while low < high and _highest(total[low : min(low + _VECTOR, high)]) < needed:
        low = min(low + _VECTOR, high)
    while low < high and _highest(total[max(low, high - _VECTOR) : high]) < needed:
        high = max(low, high - _VECTOR)
    return low, high


_narrowed = compiled(_narrowed_plain)


def _add_posterior_plain(
    total: Any, highest: Any, prior: Any, range_m: Any, power: Any, bits: Any, marginal: Any
) -> None:
    """marginal[j] = Σ e^{total − highest} prior · (1, range, (range − mean)²) over candidates of the tile's j-th angle.

    power (W,) is overwritten, bits is its view as integers; marginal (angles, 3).
    """
    width = total.shape[0]
    e0, e1, e2, e3, e4, e5, e6 = _EXP_2
    for c in range(width):
        n = np.floor(min(max((total[c] - highest) * _LOG2_E, _LOWEST_EXPONENT), _ZERO))
        bits[c] = (np.int32(n) + np.int32(127)) << np.int32(23)
    for c in range(width):
        t = min(max((total[c] - highest) * _LOG2_E, _LOWEST_EXPONENT), _ZERO)
        f = t - np.floor(t)
        weight = (((((e0 * f + e1) * f + e2) * f + e3) * f + e4) * f + e5) * f + e6
        total[c] = weight * (power[c] * prior[c])
    n_angles = marginal.shape[0]
    n_ranges = width // n_angles
    for j in range(n_angles):
        mass, by_range = _ZERO, _ZERO
        for i in range(n_ranges):
            mass += total[j * n_ranges + i]
            by_range += total[j * n_ranges + i] * range_m[i]
        marginal[j, 0] = mass
        marginal[j, 1] = by_range
        mean, by_square = by_range / max(mass, _SMALLEST), _ZERO
        for i in range(n_ranges):
            apart = range_m[i] - mean
            by_square += total[j * n_ranges + i] * (apart * apart)
        marginal[j, 2] = by_square


_add_posterior = compiled(_add_posterior_plain)


def _list_near_plain(total: Any, offset: int, top: Any, slack: Any, b: int, m: int, found: Any, negated: Any) -> None:
    """Log-likelihoods of an observation, the highest being `top`, into what was found.

    offset: index of the first candidate. negated, of the same shape as total, is overwritten.
    """
    best, count, index, value = found
    if top > best[b, m] + slack:
        count[b, m] = 0
    best[b, m] = max(best[b, m], top)
    if count[b, m] >= 0 and top >= best[b, m] - slack:
        for c in range(total.shape[0]):
            negated[c] = -total[c]
        count[b, m] = add_listed(negated, offset, -best[b, m], slack, count[b, m], index[b, m], value[b, m])
    if count[b, m] < 0:
        keep_best(total, offset, index[b, m], value[b, m])


_list_near = compiled(_list_near_plain)


def _summed_plain(
    slab: Any, used: int, sensors: Any, inputs: Any, b: int, best: Any, tile: Any, product: Any, total: Any, active: Any
) -> tuple[int, int]:
    """The log-likelihoods of a slab's candidates for realization b, four sensors at a time, into total (M, W).

    Returns low and high: no candidate outside low … high matters to any observation, and active (M,) says to which
    some candidate does; what does not matter is not whole. tile (GROUP, W) and product (W,) are overwritten.
    """
    bits = product.view(np.int32)
    total[:, :] = _ZERO
    active[:] = True
    low, high = 0, used
    for group in range(inputs.scale.shape[2] // GROUP):
        here = slice(group * GROUP, (group + 1) * GROUP)
        amplitudes(slab, low, high, sensors.first[b, here], sensors.weights[b, here], tile)
        lowest, highest = high, low
        for m in range(active.shape[0]):
            if not active[m]:
                continue
            _add_sensors(
                tile, inputs.scale[b, m, here], inputs.root[b, m, here], inputs.reference[b, m, here],
                inputs.offset[m], inputs.slope[m], inputs.coefficients[m],
                product[: high - low], bits[: high - low], total[m, low:high],
            )  # fmt: skip
            needed = best[b, m] - NEGLIGIBLE - inputs.remaining[b, m, group]
            left, right = _narrowed(total[m], low, high, needed)
            active[m] = left < right
            if active[m]:
                lowest, highest = min(lowest, left), max(highest, right)
        low, high = lowest, highest
        if low >= high:
            break
    return low, high


summed = compiled(_summed_plain)


def _likelihood_plain(
    slabs: Any, shape: Any, sensors: Any, inputs: Any, found: Any, level: Any, marginal: Any, maxima: Any
) -> None:
    """The log-likelihood of every candidate, its local maxima, and the posterior's marginal over the angle.

    slabs (n, rows, W); shape: angles and ranges of the grid, angles in a slab; `Sensors`; `LikelihoodInputs`. found as
    in `least_squares`, but for best, which comes in with a value that some candidate reaches, or −∞, and leaves with
    the highest, and value, which is negated; the first of a list that is full is the best. marginal (B, M, angles, 3),
    relative to e^level, level (B, M, slabs): Σ likelihood · prior · (1, range, squared distance from the mean range) at
    each angle, level −∞ where nothing matters. maxima: `Maxima`, (B, M, P).
    """
    n_slabs, _, width = slabs.shape
    size, n_observations, _ = inputs.scale.shape
    n_angles, n_ranges, angles_per_slab = shape
    best = found[0]
    tile = np.empty((GROUP, width), np.float32)
    total = np.empty((n_observations, width), np.float32)
    product = np.empty(width, np.float32)
    bits = product.view(np.int32)
    active = np.empty(n_observations, np.bool_)
    for s in range(n_slabs):
        start = s * angles_per_slab
        stop = min(start + angles_per_slab, n_angles)
        used = (stop - start) * n_ranges
        prior = inputs.weight[start:stop].ravel()
        for b in range(size):
            low, high = summed(slabs[s], used, sensors, inputs, b, best, tile, product, total, active)
            for m in range(n_observations):
                if not active[m]:
                    continue
                here = total[m, low:high]
                top = _highest(here)
                _list_near(here, start * n_ranges + low, top, inputs.slack[b, m], b, m, found, product[low:high])
                if top >= best[b, m] - NEGLIGIBLE:  # which is best itself where single precision ends, beyond 4e8
                    level[b, m, s] = top
                    total[m, :low] = -np.inf
                    total[m, high:] = -np.inf
                    list_maxima(
                        total[m, :used], n_ranges, start * n_ranges, best[b, m] - NEGLIGIBLE,
                        maxima.at[b, m], maxima.score[b, m],
                    )  # fmt: skip
                    _add_posterior(
                        total[m, :used], top, prior, inputs.range_m, product[:used], bits[:used],
                        marginal[b, m, start:stop],
                    )  # fmt: skip


likelihood = compiled(_likelihood_plain)
