"""The inner loops of a dictionary's scores on a CPU. Imports numba.

One polar angle at a time, whose directions and levels stay in the first-level cache: coefficients, already summed over
the functions of u_z, are summed over those of u_y and of the level, squared, and compared. The loops run along the
azimuths, which lie side by side, filled up to whole vectors: 52 of them cost a third more than 56. A vector of
coefficients is never mixed with another, so its scores do not depend on what else is scored.

Symbols: V scores of L vectors each, P polar angles, Q azimuths, R levels, I functions of u_y, J of the level.
"""

from typing import Any

import numpy as np

from engine.numerics.compiled import compiled


def _add_power_plain(parts: Any, azimuth: Any, levels: Any, work: Any, total: Any) -> None:
    """total (R, Q) += |Σ_ij parts[·, i, j] azimuth[i, q] levels[j, r]|²; parts (2, I, J), real and imaginary.

    J' is J filled up to a multiple of eight, as in levels (J', R). work (2, J' + 1, Q) holds zeros beyond J.
    """
    n_functions, n_azimuths = azimuth.shape
    n_padded, n_levels = levels.shape
    for j in range(parts.shape[2]):
        real, imag = work[0, j], work[1, j]
        x, y = parts[0, :, j], parts[1, :, j]
        for q in range(n_azimuths):
            real[q] = 0.0
            imag[q] = 0.0
        i = 0
        while i + 4 <= n_functions:
            x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
            y0, y1, y2, y3 = y[i], y[i + 1], y[i + 2], y[i + 3]
            a0, a1, a2, a3 = azimuth[i], azimuth[i + 1], azimuth[i + 2], azimuth[i + 3]
            for q in range(n_azimuths):
                real[q] += (x0 * a0[q] + x1 * a1[q]) + (x2 * a2[q] + x3 * a3[q])
                imag[q] += (y0 * a0[q] + y1 * a1[q]) + (y2 * a2[q] + y3 * a3[q])
            i += 4
        while i < n_functions:
            x0, y0, a0 = x[i], y[i], azimuth[i]
            for q in range(n_azimuths):
                real[q] += x0 * a0[q]
                imag[q] += y0 * a0[q]
            i += 1
    last = n_padded - 8
    rest_real, rest_imag = work[0, n_padded], work[1, n_padded]
    for r in range(n_levels):
        if last:
            for part in range(2):
                rest = work[part, n_padded]
                rest[:] = 0.0
                for j in range(last):
                    c0, w0 = levels[j, r], work[part, j]
                    for q in range(n_azimuths):
                        rest[q] += c0 * w0[q]
        c0, c1, c2, c3 = levels[last, r], levels[last + 1, r], levels[last + 2, r], levels[last + 3, r]
        c4, c5, c6, c7 = levels[last + 4, r], levels[last + 5, r], levels[last + 6, r], levels[last + 7, r]
        x0, x1, x2, x3 = work[0, last], work[0, last + 1], work[0, last + 2], work[0, last + 3]
        x4, x5, x6, x7 = work[0, last + 4], work[0, last + 5], work[0, last + 6], work[0, last + 7]
        y0, y1, y2, y3 = work[1, last], work[1, last + 1], work[1, last + 2], work[1, last + 3]
        y4, y5, y6, y7 = work[1, last + 4], work[1, last + 5], work[1, last + 6], work[1, last + 7]
        sums = total[r]
        for q in range(n_azimuths):
            real_part = (c0 * x0[q] + c1 * x1[q]) + (c2 * x2[q] + c3 * x3[q])
            imag_part = (c0 * y0[q] + c1 * y1[q]) + (c2 * y2[q] + c3 * y3[q])
            real_part += (c4 * x4[q] + c5 * x5[q]) + (c6 * x6[q] + c7 * x7[q]) + rest_real[q]
            imag_part += (c4 * y4[q] + c5 * y5[q]) + (c6 * y6[q] + c7 * y7[q]) + rest_imag[q]
            sums[q] += real_part * real_part + imag_part * imag_part


_add_power = compiled(_add_power_plain)


def _accumulate_plain(parts: Any, azimuth: Any, levels: Any, power: Any) -> None:
    """power (P, R, Q) += Σ_v |row_v|²; parts (V, 2, P, I, J), azimuth (P, I, Q), levels (J', R)."""
    work = np.zeros((2, levels.shape[0] + 1, azimuth.shape[2]))
    for p in range(azimuth.shape[0]):
        for v in range(parts.shape[0]):
            _add_power(parts[v, :, p], azimuth[p], levels, work, power[p])


accumulate = compiled(_accumulate_plain)


def _strongest_plain(parts: Any, azimuth: Any, levels: Any, weight: Any, best: Any) -> None:
    """best (V,) = argmax of weight (P, R, Q) Σ_l |row_vl|², the first of equals; parts (V, L, 2, P, I, J)."""
    n_polar, n_levels, n_azimuths = weight.shape
    work = np.zeros((2, levels.shape[0] + 1, n_azimuths))
    line = np.empty(n_azimuths)
    total = np.empty((n_levels, n_azimuths))
    for v in range(parts.shape[0]):
        highest = -1.0
        for p in range(n_polar):
            total[:, :] = 0.0
            for user in range(parts.shape[1]):
                _add_power(parts[v, user, :, p], azimuth[p], levels, work, total)
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
