"""Fisher information averaged over the range on a CPU: compiled loops. Imports numba.

The same numbers as `engine.numerics.information` gives, its oracle, up to the order of its sums.
"""

import functools
from typing import Any

import numpy as np

from engine.numerics.compiled import compiled
from engine.numerics.leakage import LeakageTable
from engine.numerics.noncentral_chi2 import INFORMATION_SCALE, information_table


def _information_plain(rho: float, table: Any) -> float:
    """J₂ of `engine.numerics.noncentral_chi2`; table (pieces, degree + 1)."""
    t = INFORMATION_SCALE / (rho + INFORMATION_SCALE)
    place = t * table.shape[0]
    piece = min(np.uint64(place), np.uint64(table.shape[0] - 1))
    v = place - np.float64(piece) - 0.5
    row = table[piece]
    value = row[0]
    for power in range(1, table.shape[1]):
        value = value * v + row[power]
    return value * t


_information = compiled(_information_plain)


def _expected_plain(
    value: Any, by_range: Any, by_angle: Any, path_gain: Any, weights: Any, snr: Any, table: Any, out: Any
) -> None:
    """Eq. (23), averaged over P ranges: leakage and gradient (B, P, K), path_gain (B, K), snr (S,), out (B, S, 3)."""
    out[...] = 0.0
    for b in range(value.shape[0]):
        for p in range(value.shape[1]):
            for k in range(value.shape[2]):
                gain = path_gain[b, k]
                r, a = by_range[b, p, k] * gain, by_angle[b, p, k] * gain
                rr, ra, aa = weights[p] * r * r, weights[p] * r * a, weights[p] * a * a
                level = 2.0 * value[b, p, k] * gain
                for s in range(snr.shape[0]):
                    j2 = _information(level * snr[s], table)
                    out[b, s, 0] += rr * j2
                    out[b, s, 1] += ra * j2
                    out[b, s, 2] += aa * j2
        for s in range(snr.shape[0]):
            for i in range(3):
                out[b, s, i] *= 4.0 * snr[s] * snr[s]


_expected = compiled(_expected_plain)


def compiled_expected_information(table: LeakageTable, path_gain: Any, weights: Any, snr: Any) -> np.ndarray:
    """As `engine.numerics.information.expected_information`: table (B, P, K), path_gain (B, K); returns (B, S, 3)."""
    out = np.empty((path_gain.shape[0], snr.shape[0], 3))
    _expected(*table, path_gain, weights, snr, _coefficients(), out)
    return out


@functools.cache
def _coefficients() -> np.ndarray:
    return np.ascontiguousarray(information_table(np).T)
