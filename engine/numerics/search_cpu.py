"""The grid search's inner loops on a CPU: one pass over (slabs of candidates × realizations × sensors). Imports numba.

A slab of the pattern table stays in the second-level cache while every realization of the block passes over it; four
sensors are interpolated at a time into a tile that stays in the first level, and every observation of the realization
(noise power × snapshots) uses that tile. Single precision throughout: what is close to the best is listed and scored
again in double precision by the caller. No threads: a worker owns one core. One file, as a function kept on disk by
numba is compiled anew where its own file has changed, not where one that it calls from another file has.

Symbols: B realizations, M observations each, K sensors (a multiple of GROUP, padded with ones that say nothing),
slabs of W columns, which hold as many whole angles as fit.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev, polynomial

from engine.numerics.compiled import compiled
from engine.numerics.likelihood_fit import DEGREE
from engine.numerics.pattern import TAPS, PatternTable, subset
from engine.numerics.search import GROUP, LISTED, Found, LikelihoodInputs, Marginal, Sensors, SquaresInputs

_SCOUT_RANGES, _SCOUT_ANGLES = 8, 2
"""Every how many candidates the likelihood is looked at beforehand, for a level that the best one surely reaches."""


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
_VECTOR = 32
"""Candidates drop out by so many. Mean share worked on at −75 dBm where whole slabs drop out, and where their ends do:
0.56 and 0.49 for L = 1, 0.14 and 0.11 for L = 50."""
_NEGLIGIBLE = np.float32(20.0)
"""A candidate below the best by this much in log-likelihood adds e^-20 to a posterior: 18 000 of them, 4e-5 at most."""

assert TAPS == 6
assert DEGREE == 8


def _interpolate_plain(slab: Any, first: Any, weights: Any, tile: Any) -> None:
    """tile[q, c] = g of candidate c at sensor q; slab (rows, W), first (GROUP,), weights (GROUP, TAPS)."""
    width = slab.shape[1]
    for q in range(GROUP):
        row = first[q]
        r0, r1, r2 = slab[row], slab[row + 1], slab[row + 2]
        r3, r4, r5 = slab[row + 3], slab[row + 4], slab[row + 5]
        w0, w1, w2 = weights[q, 0], weights[q, 1], weights[q, 2]
        w3, w4, w5 = weights[q, 3], weights[q, 4], weights[q, 5]
        out = tile[q]
        for c in range(width):
            out[c] = w0 * r0[c] + w1 * r1[c] + w2 * r2[c] + w3 * r3[c] + w4 * r4[c] + w5 * r5[c]


_interpolate = compiled(_interpolate_plain)


def _add_listed_plain(score: Any, offset: Any, lowest: Any, slack: Any, count: Any, index: Any, value: Any) -> int:
    """List the candidates of a tile whose score is below `lowest` + `slack`; drops those that no longer are.

    Returns the new count, or −1 where the list is full.
    """
    limit = lowest + slack
    for c in range(score.shape[0]):
        if score[c] <= limit:
            if count == LISTED:
                kept = 0
                for i in range(count):
                    if value[i] <= limit:
                        value[kept], index[kept] = value[i], index[i]
                        kept += 1
                count = kept
                if count == LISTED:
                    return -1
            index[count] = offset + c
            value[count] = score[c]
            count += 1
    return count


_add_listed = compiled(_add_listed_plain)


def _keep_best_plain(score: Any, offset: Any, index: Any, value: Any) -> None:
    """Into place 0 of a full list: the highest score that it or the tile holds."""
    for i in range(1, LISTED):
        if value[i] < value[0]:
            value[0], index[0] = value[i], index[i]
    for c in range(score.shape[0]):
        if -score[c] < value[0]:
            value[0], index[0] = -score[c], offset + c


_keep_best = compiled(_keep_best_plain)


def _least_squares_plain(
    slabs: Any,
    shape: Any,
    first: Any,
    weights: Any,
    gain: Any,
    linear: Any,
    remaining: Any,
    energy: Any,
    rounding: Any,
    slope: Any,
    best: Any,
    count: Any,
    index: Any,
    value: Any,
) -> None:
    """score = Σ_k (gain_k² g_k² + linear_k g_k), which is the squared distance less `energy`.

    slabs (n, rows, W); shape (angles, ranges, angles in a slab) of the grid; first (B, K), weights (B, K, TAPS): each
    sensor's rows; gain (B, K); linear (B, M, K); remaining (B, M, K/GROUP): the least that later groups of sensors
    add. energy, rounding, slope (B, M): candidates within rounding + slope √(lowest + energy) of the lowest score are
    listed. best (B, M) comes in with a score that some candidate reaches, or ∞, and leaves with the lowest; count (B,
    M) becomes the number listed, −1 where more than LISTED were, index and value (B, M, LISTED) the list, in which
    some are no longer near the lowest.
    """
    n_slabs, _, width = slabs.shape
    size, n_observations, n_sensors = linear.shape
    per_slab = shape[1] * shape[2]
    n_groups = n_sensors // GROUP
    tile = np.empty((GROUP, width), np.float32)
    active = np.empty(n_observations, np.bool_)
    square = np.empty(width, np.float32)
    total = np.empty((n_observations, width), np.float32)
    for s in range(n_slabs):
        offset = s * per_slab
        used = min(per_slab, shape[0] * shape[1] - offset)
        for b in range(size):
            square[:] = _ZERO
            total[:, :] = _ZERO
            active[:] = True
            n_active = n_observations
            for group in range(n_groups):
                k = group * GROUP
                _interpolate(slabs[s], first[b, k : k + GROUP], weights[b, k : k + GROUP], tile)
                g0, g1, g2, g3 = tile[0], tile[1], tile[2], tile[3]
                q0, q1, q2, q3 = gain[b, k], gain[b, k + 1], gain[b, k + 2], gain[b, k + 3]
                q0, q1, q2, q3 = q0 * q0, q1 * q1, q2 * q2, q3 * q3
                for c in range(width):
                    square[c] += (q0 * g0[c] * g0[c] + q1 * g1[c] * g1[c]) + (q2 * g2[c] * g2[c] + q3 * g3[c] * g3[c])
                for m in range(n_observations):
                    if not active[m]:
                        continue
                    out = total[m]
                    a0, a1 = linear[b, m, k], linear[b, m, k + 1]
                    a2, a3 = linear[b, m, k + 2], linear[b, m, k + 3]
                    for c in range(width):
                        out[c] += (a0 * g0[c] + a1 * g1[c]) + (a2 * g2[c] + a3 * g3[c])
                    lowest = square[0] + out[0]
                    for c in range(used):
                        lowest = min(lowest, square[c] + out[c])
                    slack = rounding[b, m] + slope[b, m] * np.sqrt(max(best[b, m] + energy[b, m], _ZERO))
                    if lowest + remaining[b, m, group] > best[b, m] + slack:
                        active[m] = False
                        n_active -= 1
                if n_active == 0:
                    break
            for m in range(n_observations):
                if not active[m]:
                    continue
                out = total[m]
                for c in range(width):
                    out[c] += square[c]
                lowest = out[0]
                for c in range(used):
                    lowest = min(lowest, out[c])
                below = min(lowest, best[b, m])
                slack = rounding[b, m] + slope[b, m] * np.sqrt(max(below + energy[b, m], _ZERO))
                if best[b, m] > below + slack:
                    count[b, m] = 0  # nothing listed so far, nor a full list, matters any longer
                best[b, m] = below
                if count[b, m] >= 0 and lowest <= below + slack:
                    count[b, m] = _add_listed(out[:used], offset, below, slack, count[b, m], index[b, m], value[b, m])


least_squares = compiled(_least_squares_plain)


def _amplitudes_plain(slab: Any, low: Any, high: Any, first: Any, weights: Any, tile: Any) -> None:
    """As `_interpolate`, √g of candidates low … high: tile[q, c − low]."""
    for q in range(GROUP):
        row = first[q]
        r0, r1, r2 = slab[row, low:high], slab[row + 1, low:high], slab[row + 2, low:high]
        r3, r4, r5 = slab[row + 3, low:high], slab[row + 4, low:high], slab[row + 5, low:high]
        w0, w1, w2 = weights[q, 0], weights[q, 1], weights[q, 2]
        w3, w4, w5 = weights[q, 3], weights[q, 4], weights[q, 5]
        out = tile[q, : high - low]
        for c in range(out.shape[0]):
            g = w0 * r0[c] + w1 * r1[c] + w2 * r2[c] + w3 * r3[c] + w4 * r4[c] + w5 * r5[c]
            out[c] = np.sqrt(g if g > _ZERO else _ZERO)


_amplitudes = compiled(_amplitudes_plain)


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
    """marginal[j] = Σ e^{total − highest} prior · (1, range) over the candidates of the tile's j-th angle.

    power (W,) is overwritten, bits is its view as integers; marginal (angles, 2).
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


_add_posterior = compiled(_add_posterior_plain)


def _likelihood_plain(
    slabs: Any,
    shape: Any,
    first: Any,
    weights: Any,
    scale: Any,
    root: Any,
    reference: Any,
    remaining: Any,
    offset: Any,
    slope: Any,
    coefficients: Any,
    slack: Any,
    prior: Any,
    range_m: Any,
    best: Any,
    level: Any,
    marginal: Any,
    count: Any,
    index: Any,
    value: Any,
) -> None:
    """The log-likelihood of every candidate, its maximum, and the posterior's marginal over the angle.

    first (B, K), weights (B, K, TAPS) as in `least_squares`. scale, root, reference (B, M, K): of √g, √S and 1/v̂.
    remaining (B, M, K/GROUP): the most that later groups of sensors can add. offset, slope (M,), coefficients (M,
    DEGREE + 1): the fit of each observation's L. prior (n_angles, n_ranges): weight of each candidate; range_m
    (n_ranges,): from any origin. slack (B, M): candidates this near the best are listed. best (B, M) comes in with a
    value that some candidate reaches, or −∞, and leaves with the highest. marginal (B, M, n_angles, 2), relative to
    e^level, level (B, M, slabs): Σ likelihood · prior · (1, range) at each angle, level −∞ where nothing matters.
    count, index, value as in `least_squares`, value negated, and the first of a list that is full the best.
    """
    n_slabs, _, width = slabs.shape
    size, n_observations, n_sensors = scale.shape
    n_angles, n_ranges, angles_per_slab = shape
    tile = np.empty((GROUP, width), np.float32)
    total = np.empty((n_observations, width), np.float32)
    product = np.empty(width, np.float32)
    bits = product.view(np.int32)
    active = np.empty(n_observations, np.bool_)
    for s in range(n_slabs):
        start = s * angles_per_slab
        stop = min(start + angles_per_slab, n_angles)
        used = (stop - start) * n_ranges
        weight = prior[start:stop].ravel()
        for b in range(size):
            total[:, :] = _ZERO
            active[:] = True
            low, high = 0, used
            for group in range(n_sensors // GROUP):
                k = group * GROUP
                here = slice(k, k + GROUP)
                _amplitudes(slabs[s], low, high, first[b, here], weights[b, here], tile)
                lowest, highest = high, low
                for m in range(n_observations):
                    if not active[m]:
                        continue
                    _add_sensors(
                        tile, scale[b, m, here], root[b, m, here], reference[b, m, here], offset[m], slope[m],
                        coefficients[m], product[: high - low], bits[: high - low], total[m, low:high],
                    )  # fmt: skip
                    needed = best[b, m] - _NEGLIGIBLE - remaining[b, m, group]
                    left, right = _narrowed(total[m], low, high, needed)
                    active[m] = left < right
                    if active[m]:
                        lowest, highest = min(lowest, left), max(highest, right)
                low, high = lowest, highest
                if low >= high:
                    break
            for m in range(n_observations):
                if not active[m]:
                    continue
                top = _highest(total[m, low:high])
                if top > best[b, m] + slack[b, m]:
                    count[b, m] = 0
                best[b, m] = max(best[b, m], top)
                if count[b, m] >= 0 and top >= best[b, m] - slack[b, m]:
                    for c in range(used):
                        product[c] = -total[m, c]
                    count[b, m] = _add_listed(
                        product[low:high],
                        start * n_ranges + low,
                        -best[b, m],
                        slack[b, m],
                        count[b, m],
                        index[b, m],
                        value[b, m],
                    )
                if count[b, m] < 0:
                    _keep_best(total[m, low:high], start * n_ranges + low, index[b, m], value[b, m])
                if top > best[b, m] - _NEGLIGIBLE:
                    level[b, m, s] = top
                    total[m, :low] = -np.inf
                    total[m, high:] = -np.inf
                    _add_posterior(
                        total[m, :used],
                        top,
                        weight,
                        range_m,
                        product[:used],
                        bits[:used],
                        marginal[b, m, start:stop],
                    )


likelihood = compiled(_likelihood_plain)


class CpuPasses:
    """Passes over one table whose candidates are `shape` = (angles, ranges)."""

    def __init__(self, table: PatternTable, shape: tuple[int, int]) -> None:
        self.table, self.shape = table, shape
        n_angles, n_ranges = shape
        every, step = min(_SCOUT_ANGLES, n_angles), min(_SCOUT_RANGES, n_ranges)
        angles, ranges = np.arange(0, n_angles, every), np.arange(step // 2, n_ranges, step)
        self.scout_shape = len(angles), len(ranges)
        self.scouts = self._at(angles, ranges)

    def _at(self, angles: np.ndarray, ranges: np.ndarray) -> PatternTable:
        return subset(self.table, (angles[:, None] * self.shape[1] + ranges).reshape(-1), len(ranges))

    def least_squares(self, sensors: Sensors, inputs: SquaresInputs) -> Found:
        """See `SquaresInputs`; the lowest score is the best."""
        found = Found(inputs.energy.shape, np.inf)
        for table, shape in ((self.scouts, self.scout_shape), (self.table, self.shape)):
            found.count[:] = 0
            least_squares(
                table.slabs,
                _in_slabs(table, shape),
                *sensors,
                *inputs,
                found.best,
                found.count,
                found.index,
                found.value,
            )
        return found

    def likelihood(self, sensors: Sensors, inputs: LikelihoodInputs) -> tuple[Found, Marginal]:
        """See `LikelihoodInputs`; the highest score is the best."""
        found = Found(inputs.slack.shape, -np.inf)
        flat = np.zeros(self.scout_shape[1], np.float32)
        even = inputs._replace(weight=np.ones(self.scout_shape, np.float32), range_m=flat)
        self._likelihood(self.scouts, self.scout_shape, sensors, even, found)
        found.count[:] = 0
        marginal = self._likelihood(self.table, self.shape, sensors, inputs, found)
        found.value *= -1
        return found, marginal

    @staticmethod
    def _likelihood(
        table: PatternTable, shape: tuple[int, int], sensors: Sensors, inputs: LikelihoodInputs, found: Found
    ) -> Marginal:
        sums = np.zeros((*inputs.slack.shape, shape[0], 2))
        level = np.full((*inputs.slack.shape, table.slabs.shape[0]), -np.inf)
        likelihood(
            table.slabs,
            _in_slabs(table, shape),
            *sensors,
            *inputs,
            found.best,
            level,
            sums,
            found.count,
            found.index,
            found.value,
        )
        of_angle = np.arange(shape[0]) // _in_slabs(table, shape)[2]
        return Marginal(level[..., of_angle], sums[..., 0], sums[..., 1])


def _in_slabs(table: PatternTable, shape: tuple[int, int]) -> tuple[int, int, int]:
    """Angles, ranges, and how many angles a slab holds."""
    return *shape, table.per_slab // shape[1]
