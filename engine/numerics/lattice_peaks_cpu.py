"""The highest peaks of scores over a lattice, on a CPU. Imports numba.

`engine.estimators.paths.joint_pursuit` has the same on arrays, its oracle. Comparisons alone: equal bit for bit.
"""

from typing import Any

import numpy as np

from engine.numerics.compiled import compiled


def _highest_plain(scores: Any, number: Any, found: Any, values: Any) -> None:
    """found, values (V, n): the peaks of each of scores (V, M), highest first, and the first of equals first.

    number (P, Q, R): which candidate is where on the lattice, −1 where none is, which counts as 0. A peak is above its
    neighbour before along each axis and not below the one behind. found comes in as 0, as do the values.
    """
    n_polar, n_azimuth, n_levels = number.shape
    most = found.shape[1]
    for v in range(scores.shape[0]):
        for p in range(n_polar):
            for q in range(n_azimuth):
                for r in range(n_levels):
                    m = number[p, q, r]
                    if m < 0 or not scores[v, m] > values[v, most - 1]:
                        continue
                    here = scores[v, m]
                    if r > 0 and number[p, q, r - 1] >= 0 and not here > scores[v, number[p, q, r - 1]]:
                        continue
                    if r + 1 < n_levels and number[p, q, r + 1] >= 0 and not here >= scores[v, number[p, q, r + 1]]:
                        continue
                    if q > 0 and number[p, q - 1, r] >= 0 and not here > scores[v, number[p, q - 1, r]]:
                        continue
                    if q + 1 < n_azimuth and number[p, q + 1, r] >= 0 and not here >= scores[v, number[p, q + 1, r]]:
                        continue
                    if p > 0 and number[p - 1, q, r] >= 0 and not here > scores[v, number[p - 1, q, r]]:
                        continue
                    if p + 1 < n_polar and number[p + 1, q, r] >= 0 and not here >= scores[v, number[p + 1, q, r]]:
                        continue
                    rank = most - 1
                    while rank > 0 and here > values[v, rank - 1]:
                        found[v, rank], values[v, rank] = found[v, rank - 1], values[v, rank - 1]
                        rank -= 1
                    found[v, rank], values[v, rank] = m, here


_highest = compiled(_highest_plain)


def highest_peaks(scores: np.ndarray, number: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and scores of the n highest peaks, (..., M) → (..., n); 0 where there are no more."""
    flat = np.ascontiguousarray(scores).reshape(-1, scores.shape[-1])
    found, values = np.zeros((len(flat), n), dtype=np.int64), np.zeros((len(flat), n))
    _highest(flat, number, found, values)
    shape = (*scores.shape[:-1], n)
    return found.reshape(shape), values.reshape(shape)
