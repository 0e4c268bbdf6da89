"""The likelihood's local quantities at single places in double precision on a CPU: compiled loops. Imports numba.

The same numbers as `engine.numerics.leakage` and `engine.numerics.noncentral_chi2` give, their oracle, without arrays
in between: a climb looks at a few places of every realization at a time, and small arrays, and the 20 steps of the
Bessel recurrence at low orders, cost more than the numbers. Measured at K = 40, one core, for a place and sensor: 30 ns
for a closed form and its gradient, 20 ns for the likelihood's sums at any L; by arrays 260 ns for both.
"""

import functools
from typing import Any

import numpy as np

from engine.numerics import piecewise
from engine.numerics.bessel import log_bessel_and_slope
from engine.numerics.compiled import compiled
from engine.numerics.fresnel import auxiliary_tables
from engine.numerics.geometry import UniformLinearArray
from engine.numerics.leakage import EDGES, LeakageModel, LeakageTable
from engine.numerics.noncentral_chi2 import INFORMATION_SCALE, information_table, log_constant

_PIECES, _DEGREE = 128, 7
_GROUP = 8
"""Sensors whose logarithms are taken as one, of a product: v > 1e-38 each."""


def _taylor(first: int, terms: int) -> tuple[float, ...]:
    """Coefficients in h² of cos (first = 0) or of sin h/h (1) for h = πf/2, as a polynomial in f², highest first."""
    coefficients, value = [], (np.pi / 2) ** first
    for i in range(terms):
        coefficients.append(value)
        value *= -((np.pi / 2) ** 2) / ((2 * i + first + 1) * (2 * i + first + 2))
    return tuple(coefficients[::-1])


_COSINE, _SINE = _taylor(0, 8), _taylor(1, 8)  # |f| ≤ 1/2: below 1e-17


def _fresnel_plain(x: float, table: Any) -> tuple[float, float, float, float]:
    """C, S, C', S' of `engine.numerics.fresnel`; table (pieces, 2, degree + 1)."""
    magnitude = abs(x)
    quarters = magnitude * magnitude
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
    place = table.shape[0] / (1.0 + magnitude)
    piece = min(np.uint64(place), np.uint64(table.shape[0] - 1))
    v = place - np.float64(piece) - 0.5
    row = table[piece]
    real = ((((row[0, 0] * v + row[0, 1]) * v + row[0, 2]) * v + row[0, 3]) * v + row[0, 4]) * v + row[0, 5]
    imag = ((((row[1, 0] * v + row[1, 1]) * v + row[1, 2]) * v + row[1, 3]) * v + row[1, 4]) * v + row[1, 5]
    half = 0.0 if x == 0.0 else np.copysign(0.5, x)
    c = half - 2.0 * half * (real * cosine - imag * sine)
    s = half - 2.0 * half * (real * sine + imag * cosine)
    return c, s, cosine, sine


_fresnel = compiled(_fresnel_plain)


def _two_edges_plain(place: Any, cosine: Any, n_elements: int, table: Any, out: Any) -> None:
    """g and its gradient at P places of each of B realizations and K sensors, out (3, B, P, K).

    place (B, P, 8) holds T, the stretch and cos φ of τ = (cos θ − cos φ) · stretch, and the derivatives of T and τ:
    ∂T/∂d, ∂τ/∂d = τ times the next, ∂T/∂φ, ∂τ/∂φ = the next + τ times the last. cosine (B, K).
    """
    for b in range(place.shape[0]):
        for p in range(place.shape[1]):
            half_width, stretch, cos_phi = place[b, p, 0], place[b, p, 1], place[b, p, 2]
            t_range, tau_range, t_angle = place[b, p, 3], place[b, p, 4], place[b, p, 5]
            shift, tau_angle = place[b, p, 6], place[b, p, 7]
            scale = n_elements / (4.0 * half_width * half_width)
            for k in range(cosine.shape[1]):
                tau = (cosine[b, k] - cos_phi) * stretch
                c_low, s_low, dc_low, ds_low = _fresnel(half_width - tau, table)
                c_high, s_high, dc_high, ds_high = _fresnel(half_width + tau, table)
                c, s = c_low + c_high, s_low + s_high
                g = (c * c + s * s) * scale
                high = 2.0 * scale * (c * dc_high + s * ds_high)
                low = 2.0 * scale * (c * dc_low + s * ds_low)
                by_t, by_tau = high + low - g * (2.0 / half_width), high - low
                out[0, b, p, k] = g
                out[1, b, p, k] = by_t * t_range + by_tau * (tau * tau_range)
                out[2, b, p, k] = by_t * t_angle + by_tau * (shift + tau * tau_angle)


_two_edges = compiled(_two_edges_plain)


def closed_leakage(
    model: LeakageModel, array: UniformLinearArray, *, range_m: Any, angle_rad: Any, sensor_angle_rad: Any
) -> LeakageTable:
    """As `engine.numerics.leakage`, for the closed forms: range_m, angle_rad (B, P), sensor_angle_rad (B, K)."""
    place = np.stack(EDGES[model](array, range_m, angle_rad), axis=-1)
    out = np.empty((3, *range_m.shape, sensor_angle_rad.shape[-1]))
    _two_edges(place, np.cos(sensor_angle_rad), array.n_elements, _fresnel_table(), out)
    return LeakageTable(*out)


@functools.cache
def _fresnel_table() -> np.ndarray:
    return np.ascontiguousarray(np.stack(auxiliary_tables(np)).transpose(2, 0, 1))


@functools.cache
def _bessel_table(n_snapshots: int) -> np.ndarray:
    """r_ν − a log v and I_{ν+1}/(x I_ν) · b/v as functions of v on [0, 1], ν = L − 1: (pieces, 2, degree + 1).

    v = b/(x + √(b² + x²)), a = L − ½, b = L + 3: see `engine.numerics.likelihood_fit`.
    """
    a, b = n_snapshots - 0.5, n_snapshots + 3.0

    def smooth(v: np.ndarray) -> np.ndarray:
        return log_bessel_and_slope(n_snapshots - 1, b / 2 * (1 / v - v))[0] - a * np.log(v)

    def slope(v: np.ndarray) -> np.ndarray:
        return log_bessel_and_slope(n_snapshots - 1, b / 2 * (1 / v - v))[1] * (b / v)

    tables = [piecewise.fit(part, pieces=_PIECES, degree=_DEGREE) for part in (smooth, slope)]
    return np.ascontiguousarray(np.stack(tables).transpose(2, 0, 1))


@functools.lru_cache(maxsize=16)
def _bessel_tables(n_snapshots: tuple[int, ...]) -> np.ndarray:
    return np.stack([_bessel_table(n) for n in n_snapshots])


@functools.cache
def _information_table() -> np.ndarray:
    return np.ascontiguousarray(information_table(np).T)


def _sums_plain(
    g: Any, by_range: Any, by_angle: Any, statistic: Any, per_leakage: Any, counts: Any, bessel: Any, j_2: Any, out: Any
) -> None:
    """Sums over the sensors, out (6, B, M, Q); see `local_sums`. bessel (M, pieces, 2, 8), j_2 (pieces, 4)."""
    n_bessel, n_j_2 = bessel.shape[1], j_2.shape[0]
    n_places, n_sensors = out.shape[3], statistic.shape[2]
    for b in range(statistic.shape[0]):
        for m in range(statistic.shape[1]):
            n = float(counts[m])
            slope_of_log, offset = n - 0.5, n + 3.0
            for q in range(n_places):
                p = m * n_places + q
                value, gr, ga, jrr, jra, jaa = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
                product = 1.0
                for k in range(n_sensors):
                    unit, s = per_leakage[b, m, k], statistic[b, m, k]
                    rho = unit * g[b, p, k]
                    root, amplitude = np.sqrt(s), np.sqrt(n * rho)
                    x = root * amplitude
                    v = offset / (x + np.sqrt(offset * offset + x * x))
                    place = v * n_bessel
                    piece = min(np.uint64(place), np.uint64(n_bessel - 1))
                    w = place - np.float64(piece) - 0.5
                    f, h = bessel[m, piece, 0], bessel[m, piece, 1]
                    smooth = ((((((f[0] * w + f[1]) * w + f[2]) * w + f[3]) * w + f[4]) * w + f[5]) * w + f[6]) * w + f[
                        7
                    ]
                    slope = ((((((h[0] * w + h[1]) * w + h[2]) * w + h[3]) * w + h[4]) * w + h[5]) * w + h[6]) * w + h[
                        7
                    ]
                    apart = root - amplitude
                    value += smooth - 0.5 * apart * apart
                    product *= v
                    if k % _GROUP == _GROUP - 1 or k == n_sensors - 1:
                        value += slope_of_log * np.log(product)
                        product = 1.0
                    t = INFORMATION_SCALE / (rho + INFORMATION_SCALE)
                    place = t * n_j_2
                    piece = min(np.uint64(place), np.uint64(n_j_2 - 1))
                    w = place - np.float64(piece) - 0.5
                    e = j_2[piece]
                    weight = n * unit * unit * ((((e[0] * w + e[1]) * w + e[2]) * w + e[3]) * t)
                    score = n * unit * (0.5 * s * (slope * v / offset) - 0.5)
                    r, a = by_range[b, p, k], by_angle[b, p, k]
                    gr += score * r
                    ga += score * a
                    jrr += weight * r * r
                    jra += weight * r * a
                    jaa += weight * a * a
                out[0, b, m, q], out[1, b, m, q], out[2, b, m, q] = value, gr, ga
                out[3, b, m, q], out[4, b, m, q], out[5, b, m, q] = jrr, jra, jaa


_sums = compiled(_sums_plain)


def local_sums(table: LeakageTable, *, statistic: Any, per_leakage: Any, n_snapshots: tuple[int, ...]) -> np.ndarray:
    """Log-likelihood, its gradient (range, angle) and information (rr, ra, aa) at M · Q places: (6, B, M, Q).

    table: g and its gradient (B, M · Q, K); statistic: S (B, M, K); per_leakage: ∂ρ/∂g (B, M, K); n_snapshots: L (M,).
    """
    size, n_observations, _ = statistic.shape
    out = np.empty((6, size, n_observations, table.value.shape[1] // n_observations))
    counts = np.asarray(n_snapshots)
    _sums(*table, statistic, per_leakage, counts, _bessel_tables(n_snapshots), _information_table(), out)
    for m, n in enumerate(n_snapshots):
        out[0, :, m, :] += np.sum(log_constant(statistic[:, m, :], n), axis=-1)[:, None]
    return out
