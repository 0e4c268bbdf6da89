"""The likelihood of single places in double precision on a CPU: compiled loops. Imports numba.

The same numbers as `engine.numerics.noncentral_chi2` gives, its oracle, without arrays in between: a climb looks at a
few places of every realization at a time, and small arrays, and the 20 steps of the Bessel recurrence at low orders,
cost more than the numbers. Measured at K = 40, one core: 20 ns for a place and sensor at any L. With the leakage of
`engine.numerics.leakage_cpu` that is 50 ns by a closed form, where arrays took 260 (climb and ridge), and 110
by a sum over the elements, where they took 425.
"""

import functools
from typing import Any

import numpy as np

from engine.numerics import piecewise
from engine.numerics.bessel import log_bessel_and_slope
from engine.numerics.compiled import compiled
from engine.numerics.leakage import LeakageTable
from engine.numerics.noncentral_chi2 import INFORMATION_SCALE, information_table, log_constant

_PIECES, _DEGREE = 128, 7
GROUP = 8
"""Sensors whose logarithms are taken as one, of a product: v > 1e-38 each."""


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
def bessel_tables(n_snapshots: tuple[int, ...]) -> np.ndarray:
    return np.stack([_bessel_table(n) for n in n_snapshots])


@functools.cache
def information_pieces() -> np.ndarray:
    return np.ascontiguousarray(information_table(np).T)


def _looked_up_plain(root: float, amplitude: float, offset: float, bessel: Any) -> tuple[float, float, float]:
    """Of x = √(λS): v = o/(x + √(o² + x²)), o = L + 3, and the two functions of v that `bessel_tables` holds.

    root: √S; amplitude: √λ; bessel (pieces, 2, 8) of this L.
    """
    x = root * amplitude
    v = offset / (x + np.sqrt(offset * offset + x * x))
    place = v * bessel.shape[0]
    piece = min(np.uint64(place), np.uint64(bessel.shape[0] - 1))
    w = place - np.float64(piece) - 0.5
    f, h = bessel[piece, 0], bessel[piece, 1]
    smooth = ((((((f[0] * w + f[1]) * w + f[2]) * w + f[3]) * w + f[4]) * w + f[5]) * w + f[6]) * w + f[7]
    slope = ((((((h[0] * w + h[1]) * w + h[2]) * w + h[3]) * w + h[4]) * w + h[5]) * w + h[6]) * w + h[7]
    return v, smooth, slope


looked_up = compiled(_looked_up_plain)


def _term_plain(
    g: float, statistic: float, unit: float, n: float, bessel: Any, j_2: Any
) -> tuple[float, float, float, float]:
    """Of one sensor: its log-likelihood but for (L − ½) log v and its constant, v, the slope by g, the information.

    unit: ∂ρ/∂g; bessel (pieces, 2, 8) of this L, j_2 (pieces, 4).
    """
    offset = n + 3.0
    rho = unit * g
    root, amplitude = np.sqrt(statistic), np.sqrt(n * rho)
    v, smooth, slope = looked_up(root, amplitude, offset, bessel)
    apart = root - amplitude
    t = INFORMATION_SCALE / (rho + INFORMATION_SCALE)
    place = t * j_2.shape[0]
    piece = min(np.uint64(place), np.uint64(j_2.shape[0] - 1))
    w = place - np.float64(piece) - 0.5
    e = j_2[piece]
    weight = n * unit * unit * ((((e[0] * w + e[1]) * w + e[2]) * w + e[3]) * t)
    score = n * unit * (0.5 * statistic * (slope * v / offset) - 0.5)
    return smooth - 0.5 * apart * apart, v, score, weight


term = compiled(_term_plain)


def _sums_plain(
    g: Any, by_range: Any, by_angle: Any, statistic: Any, per_leakage: Any, counts: Any, bessel: Any, j_2: Any, out: Any
) -> None:
    """Sums over the sensors, out (6, B, M, Q); see `local_sums`. bessel (M, pieces, 2, 8), j_2 (pieces, 4)."""
    n_places, n_sensors = out.shape[3], statistic.shape[2]
    for b in range(statistic.shape[0]):
        for m in range(statistic.shape[1]):
            n = float(counts[m])
            slope_of_log = n - 0.5
            for q in range(n_places):
                p = m * n_places + q
                value, gr, ga, jrr, jra, jaa = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
                product = 1.0
                for k in range(n_sensors):
                    part, v, score, weight = term(
                        g[b, p, k], statistic[b, m, k], per_leakage[b, m, k], n, bessel[m], j_2
                    )
                    value += part
                    product *= v
                    if k % GROUP == GROUP - 1 or k == n_sensors - 1:
                        value += slope_of_log * np.log(product)
                        product = 1.0
                    r, a = by_range[b, p, k], by_angle[b, p, k]
                    gr += score * r
                    ga += score * a
                    jrr += weight * r * r
                    jra += weight * r * a
                    jaa += weight * a * a
                out[0, b, m, q], out[1, b, m, q], out[2, b, m, q] = value, gr, ga
                out[3, b, m, q], out[4, b, m, q], out[5, b, m, q] = jrr, jra, jaa


_sums = compiled(_sums_plain)


def summed_constants(statistic: np.ndarray, n_snapshots: tuple[int, ...]) -> np.ndarray:
    """Σ_k `log_constant`, which no place changes; S (B, M, K) and L (M,): (B, M)."""
    return np.stack([np.sum(log_constant(statistic[:, m, :], n), axis=-1) for m, n in enumerate(n_snapshots)], axis=-1)


def local_sums(
    table: LeakageTable,
    *,
    statistic: Any,
    per_leakage: Any,
    n_snapshots: tuple[int, ...],
    constant: np.ndarray | None = None,
) -> np.ndarray:
    """Log-likelihood, its gradient (range, angle) and information (rr, ra, aa) at M · Q places: (6, B, M, Q).

    table: g and its gradient (B, M · Q, K); statistic: S (B, M, K); per_leakage: ∂ρ/∂g (B, M, K); n_snapshots: L (M,).
    constant: `summed_constants` of these, where they are known already.
    """
    size, n_observations, _ = statistic.shape
    out = np.empty((6, size, n_observations, table.value.shape[1] // n_observations))
    counts = np.asarray(n_snapshots)
    _sums(*table, statistic, per_leakage, counts, bessel_tables(n_snapshots), information_pieces(), out)
    out[0] += (summed_constants(statistic, n_snapshots) if constant is None else constant)[..., None]
    return out
