"""What powers say of a place, and of a whole cell of places: compiled loops. Imports numba.

Each sensor k has its own snapshot count L, statistic S = 2L p/σ² and unit ∂ρ/∂g = 2P_tβ/σ², both at the noise power
that is taken as σ². A gain γ (logarithm of a factor on all sent powers) and a noise offset η (logarithm of a factor on
σ²) may be unknown: S is then S e^−η, and λ = L ρ e^(γ−η). Values are log-likelihoods of the powers themselves, but for
`log_constant` at η = 0, hence −Lη. Information is that of the mean power, L/(1 + 2μ) in units of σ², μ = ρ/2: the
exact one of S to 4 % at any λ.
"""

from typing import Any

import numpy as np

from engine.numerics.compiled import compiled
from engine.numerics.local_cpu import bessel_tables, looked_up

_STEEPER = 1.3
"""tangents are, as cells of gain and noise are up to 2 dB wide"""


def _log_density_plain(statistic: float, amplitude: float, n: float, bessel: Any) -> tuple[float, float]:
    """log f(S; λ) but for its constant, and S I_L(x)/(x I_{L−1}(x)), x = √(λS), by a table of `local_cpu`."""
    root = np.sqrt(statistic)
    offset = n + 3.0
    v, smooth, slope = looked_up(root, amplitude, offset, bessel)
    apart = root - amplitude
    return smooth + (n - 0.5) * np.log(v) - 0.5 * apart * apart, statistic * slope * v / offset


_log_density = compiled(_log_density_plain)


def _scores_plain(
    table: Any, gain: Any, noise: Any, statistic: Any, unit: Any, counts: Any, kind: Any, bessel: Any, out: Any
) -> None:
    """Value, gradient (4) and information (4 × 4) at n places: out (n, 21).

    table (3, n, K): g and its derivatives by the place's coordinates; gain, noise (n,); statistic (n, K); unit, counts
    (K,); kind (K,): which table of bessel (kinds, pieces, 2, 8).
    """
    slopes = np.zeros(4)
    for i in range(out.shape[0]):
        out[i, :] = 0.0
        factor, quieter = np.exp(gain[i] - noise[i]), np.exp(-noise[i])
        for k in range(unit.shape[0]):
            n, s, per_leakage = counts[k], statistic[i, k] * quieter, unit[k] * factor
            mu = 0.5 * per_leakage * table[0, i, k]
            noncentrality = 2.0 * n * mu
            value, ratio = _log_density(s, np.sqrt(noncentrality), n, bessel[kind[k]])
            score = 0.5 * ratio - 0.5  # by λ
            weight = n / (1.0 + 2.0 * mu)
            slopes[0], slopes[1] = 0.5 * per_leakage * table[1, i, k], 0.5 * per_leakage * table[2, i, k]
            slopes[2], slopes[3] = mu, 1.0  # of the mean power over σ²
            out[i, 0] += value - n * noise[i]
            for a in range(3):
                out[i, 1 + a] += score * 2.0 * n * slopes[a]
            out[i, 4] += 0.5 * s + 0.5 * noncentrality - noncentrality * ratio - n
            for a in range(4):
                for b in range(4):
                    out[i, 5 + 4 * a + b] += weight * slopes[a] * slopes[b]


_scores = compiled(_scores_plain)


def _cells_plain(
    node: Any,
    gain: Any,
    noise: Any,
    half_gain: Any,
    half_noise: Any,
    table: Any,
    reach: Any,
    envelope: Any,
    statistic: Any,
    unit: Any,
    counts: Any,
    kind: Any,
    bessel: Any,
    out: Any,
) -> None:
    """Of n cells: value at the centre, what it is at most, looseness by coordinate (4), information by coordinate (4).

    node (n,): which row of table (3, nodes, K), envelope (nodes, K) and reach (nodes, 2) a cell has: over the cell √g
    stays within envelope × the sum of reach. out (n, 10). At most: each sensor at its own best λ of what the place's
    side of the cell has, and along gain and noise, which all sensors share, by the tangent there: these sums are
    concave.
    """
    for i in range(out.shape[0]):
        p = node[i]
        out[i, :] = 0.0
        factor, quieter = np.exp(gain[i] - noise[i]), np.exp(-noise[i])
        first, second = reach[p, 0], reach[p, 1]
        by_gain, by_noise = 0.0, 0.0
        for k in range(unit.shape[0]):
            n, s, per_leakage = counts[k], statistic[k] * quieter, unit[k] * factor
            g = table[0, p, k]
            mu = 0.5 * per_leakage * g
            noncentrality = 2.0 * n * mu
            amplitude = np.sqrt(noncentrality)
            value, ratio = _log_density(s, amplitude, n, bessel[kind[k]])
            scale = np.sqrt(n * per_leakage) * envelope[p, k]
            low, high = max(0.0, amplitude - scale * (first + second)), amplitude + scale * (first + second)
            beyond = max(0.0, s - 2.0 * n)
            best = np.sqrt(beyond + beyond / (n + beyond)) if beyond > 0.0 else 0.0  # √λ̂: at S → 2L and S → ∞
            best = min(high, max(low, best))
            most, ratio_there = _log_density(s, best, n, bessel[kind[k]])
            if value > most:
                most, ratio_there, best = value, ratio, amplitude
            square = best * best
            by_gain += square * (0.5 * ratio_there - 0.5)
            by_noise += 0.5 * s + 0.5 * square - square * ratio_there - n
            weight = n / (1.0 + 2.0 * mu)
            out[i, 0] += value - n * noise[i]
            out[i, 1] += most - n * noise[i]
            information = weight / (4.0 * n * n)  # about λ
            out[i, 2] += information * (2.0 * amplitude * scale * first + (scale * first) ** 2) ** 2
            out[i, 3] += information * (2.0 * amplitude * scale * second + (scale * second) ** 2) ** 2
            by_first, by_second = 0.5 * per_leakage * table[1, p, k], 0.5 * per_leakage * table[2, p, k]
            out[i, 6] += weight * by_first * by_first
            out[i, 7] += weight * by_second * by_second
            out[i, 8] += weight * mu * mu
            out[i, 9] += weight
        out[i, 1] += _STEEPER * (abs(by_gain) * half_gain[i] + abs(by_noise) * half_noise[i])
        out[i, 4], out[i, 5] = out[i, 8] * half_gain[i] ** 2, out[i, 9] * half_noise[i] ** 2


_cells = compiled(_cells_plain)


class SnapshotTables:
    """Bessel functions for sensors of different snapshot counts.

    counts (K,) of floats, kind (K,): which table each has; tables: of `local_cpu`, one for each count there is.
    """

    def __init__(self, n_snapshots: np.ndarray) -> None:
        distinct, kind = np.unique(n_snapshots, return_inverse=True)
        self.tables: np.ndarray = bessel_tables(tuple(int(n) for n in distinct))
        self.counts = np.ascontiguousarray(n_snapshots, dtype=float)
        self.kind = np.ascontiguousarray(kind.ravel(), dtype=np.int64)


def scores(
    table: np.ndarray,
    gain: np.ndarray,
    noise: np.ndarray,
    statistic: np.ndarray,
    unit: np.ndarray,
    kinds: SnapshotTables,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-likelihoods (n,), gradients (n, 4) and information (n, 4, 4); see `_scores_plain`."""
    out = np.empty((table.shape[1], 21))
    _scores(table, gain, noise, statistic, unit, kinds.counts, kinds.kind, kinds.tables, out)
    return out[:, 0], out[:, 1:5], out[:, 5:].reshape(-1, 4, 4)


def cells(
    node: np.ndarray, nuisance: np.ndarray, half: np.ndarray, table: np.ndarray, reach: np.ndarray,
    envelope: np.ndarray, statistic: np.ndarray, unit: np.ndarray, kinds: SnapshotTables,
) -> np.ndarray:  # fmt: skip
    """(n, 10), see `_cells_plain`; nuisance, half (n, 2): gain and noise at the centre, and half the cell's width."""
    out = np.empty((len(node), 10))
    parts = [np.ascontiguousarray(part[:, i]) for part in (nuisance, half) for i in (0, 1)]
    _cells(node, *parts, table, reach, envelope, statistic, unit, kinds.counts, kinds.kind, kinds.tables, out)
    return out
