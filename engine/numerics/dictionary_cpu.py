"""The inner loops of a dictionary's scores on a CPU. Imports numba.

One polar angle at a time, whose directions and levels stay in the first-level cache: coefficients, already summed over
the functions of u_z, are summed over those of u_y and of the level, squared, and compared. The sum over azimuth
functions and levels runs along the azimuths, which lie side by side. A vector of coefficients is never mixed with
another, so its scores do not depend on what else is scored.

Symbols: V scores of L vectors each, P polar angles, Q azimuths, R levels, I functions of u_y, J of the level.
"""

from typing import Any

import numpy as np

from engine.numerics.compiled import compiled


def _add_power_plain(parts: Any, azimuth: Any, levels: Any, work: Any, line: Any, total: Any) -> None:
    """total (R, Q) += |Σ_ij parts[·, i, j] azimuth[i, q] levels[j, r]|²; parts (2, I, J), real and imaginary."""
    n_functions, n_azimuths = azimuth.shape
    n_levels_in, n_levels = levels.shape
    for part in range(2):
        for j in range(n_levels_in):
            out = work[j]
            x = parts[part, :, j]
            for q in range(n_azimuths):
                out[q] = 0.0
            i = 0
            while i + 4 <= n_functions:
                x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
                a0, a1, a2, a3 = azimuth[i], azimuth[i + 1], azimuth[i + 2], azimuth[i + 3]
                for q in range(n_azimuths):
                    out[q] += (x0 * a0[q] + x1 * a1[q]) + (x2 * a2[q] + x3 * a3[q])
                i += 4
            while i < n_functions:
                x0, a0 = x[i], azimuth[i]
                for q in range(n_azimuths):
                    out[q] += x0 * a0[q]
                i += 1
        for r in range(n_levels):
            sums = total[r]
            for q in range(n_azimuths):
                line[q] = 0.0
            j = 0
            while j + 4 <= n_levels_in:
                c0, c1, c2, c3 = levels[j, r], levels[j + 1, r], levels[j + 2, r], levels[j + 3, r]
                w0, w1, w2, w3 = work[j], work[j + 1], work[j + 2], work[j + 3]
                for q in range(n_azimuths):
                    line[q] += (c0 * w0[q] + c1 * w1[q]) + (c2 * w2[q] + c3 * w3[q])
                j += 4
            while j < n_levels_in:
                c0, w0 = levels[j, r], work[j]
                for q in range(n_azimuths):
                    line[q] += c0 * w0[q]
                j += 1
            for q in range(n_azimuths):
                sums[q] += line[q] * line[q]


_add_power = compiled(_add_power_plain)


def _accumulate_plain(parts: Any, azimuth: Any, levels: Any, power: Any) -> None:
    """power (P, R, Q) += Σ_v |row_v|²; parts (V, 2, P, I, J), azimuth (P, I, Q), levels (J, R)."""
    work = np.empty((levels.shape[0], azimuth.shape[2]))
    line = np.empty(azimuth.shape[2])
    for p in range(azimuth.shape[0]):
        for v in range(parts.shape[0]):
            _add_power(parts[v, :, p], azimuth[p], levels, work, line, power[p])


accumulate = compiled(_accumulate_plain)


def _strongest_plain(parts: Any, azimuth: Any, levels: Any, weight: Any, best: Any) -> None:
    """best (V,) = argmax of weight (P, R, Q) Σ_l |row_vl|², the first of equals; parts (V, L, 2, P, I, J)."""
    n_polar, n_levels, n_azimuths = weight.shape
    work = np.empty((levels.shape[0], n_azimuths))
    line = np.empty(n_azimuths)
    total = np.empty((n_levels, n_azimuths))
    for v in range(parts.shape[0]):
        highest = -1.0
        for p in range(n_polar):
            total[:, :] = 0.0
            for user in range(parts.shape[1]):
                _add_power(parts[v, user, :, p], azimuth[p], levels, work, line, total)
            for r in range(n_levels):
                top = 0.0
                for q in range(n_azimuths):
                    line[q] = total[r, q] * weight[p, r, q]
                    top = max(top, line[q])
                if top > highest:
                    highest = top
                    for q in range(n_azimuths):
                        if line[q] == top:
                            best[v] = (p * n_levels + r) * n_azimuths + q
                            break


strongest = compiled(_strongest_plain)
