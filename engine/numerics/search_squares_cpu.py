"""The least-squares pass over the grid on a CPU: compiled loops over slabs × realizations × sensors. Imports numba.

Symbols as in `engine.numerics.search`: B realizations, M observations each, K sensors; a slab has W columns.
The scoring loop is long because as a function of its own, called for every slab and realization, it took 3 to 8 % more.
"""

from typing import Any

import numpy as np

from engine.numerics.compiled import compiled
from engine.numerics.search import GROUP
from engine.numerics.search_tiles_cpu import add_listed, interpolate

_ZERO = np.float32(0.0)


def _take_in_plain(total: Any, square: Any, used: int, offset: int, inputs: Any, b: int, m: int, found: Any) -> None:
    """A slab's scores of an observation, total + square (W,) each, into what was found; total is overwritten.

    used: how many of the columns are candidates; offset: the first one's index.
    """
    best, count, index, value = found
    for c in range(total.shape[0]):
        total[c] += square[c]
    lowest = total[0]
    for c in range(used):
        lowest = min(lowest, total[c])
    below = min(lowest, best[b, m])
    slack = inputs.rounding[b, m] + inputs.slope[b, m] * np.sqrt(max(below + inputs.energy[b, m], _ZERO))
    if best[b, m] > below + slack:
        count[b, m] = 0  # nothing listed so far, nor a full list, matters any longer
    best[b, m] = below
    if count[b, m] >= 0 and lowest <= below + slack:
        count[b, m] = add_listed(total[:used], offset, below, slack, count[b, m], index[b, m], value[b, m])


_take_in = compiled(_take_in_plain)


def _least_squares_plain(slabs: Any, shape: Any, sensors: Any, inputs: Any, found: Any) -> None:
    """Every candidate's score for every realization, the lowest, and which are near it.

    slabs (n, rows, W); shape: angles and ranges of the grid, angles in a slab; `Sensors`; `SquaresInputs`. found: best
    (B, M), which comes in with a score that some candidate reaches, or ∞, and leaves with the lowest; count (B, M),
    which becomes the number listed, −1 where more than LISTED were; index and value (B, M, LISTED), the list, in which
    some are no longer near the lowest.
    """
    n_slabs, _, width = slabs.shape
    first, weights = sensors
    gain, linear, remaining, energy, rounding, slope = inputs
    best = found[0]
    size, n_observations, n_sensors = linear.shape
    per_slab = shape[1] * shape[2]
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
            for group in range(n_sensors // GROUP):
                k = group * GROUP
                interpolate(slabs[s], first[b, k : k + GROUP], weights[b, k : k + GROUP], tile)
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
                if active[m]:
                    _take_in(total[m], square, used, offset, inputs, b, m, found)


least_squares = compiled(_least_squares_plain)
