"""A tile of the grid search on a CPU: four sensors' leakages at the candidates of a slab, and lists of the best.

A slab of the pattern table, (rows, W) in single precision, holds the rows of W candidates, as many whole angles as fit.
Imports numba.
"""

from typing import Any

import numpy as np

from engine.numerics.compiled import compiled
from engine.numerics.pattern import TAPS
from engine.numerics.pattern_ranges import SLOPE_TAPS
from engine.numerics.search import GROUP, LISTED

_ZERO = np.float32(0.0)

assert TAPS == 6
assert SLOPE_TAPS == 3


def _add_rows_plain(rows: Any, weights: Any, out: Any) -> None:
    """out[c] += the sum of TAPS rows, each with its weight."""
    r0, r1, r2, r3, r4, r5 = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5]
    w0, w1, w2, w3, w4, w5 = weights[0], weights[1], weights[2], weights[3], weights[4], weights[5]
    for c in range(out.shape[0]):
        out[c] += w0 * r0[c] + w1 * r1[c] + w2 * r2[c] + w3 * r3[c] + w4 * r4[c] + w5 * r5[c]


_add_rows = compiled(_add_rows_plain)


def _two_orders_plain(slab: Any, low: int, high: int, first: Any, weights: Any, tile: Any) -> None:
    """`_ranged` of one run of TAPS rows and one of SLOPE_TAPS."""
    for q in range(GROUP):
        a, b = first[q, 0], first[q, 1]
        r0, r1, r2 = slab[a, low:high], slab[a + 1, low:high], slab[a + 2, low:high]
        r3, r4, r5 = slab[a + 3, low:high], slab[a + 4, low:high], slab[a + 5, low:high]
        s0, s1, s2 = slab[b, low:high], slab[b + 1, low:high], slab[b + 2, low:high]
        w0, w1, w2 = weights[q, 0], weights[q, 1], weights[q, 2]
        w3, w4, w5 = weights[q, 3], weights[q, 4], weights[q, 5]
        v0, v1, v2 = weights[q, 6], weights[q, 7], weights[q, 8]
        out = tile[q]
        for c in range(r0.shape[0]):
            mean = w0 * r0[c] + w1 * r1[c] + w2 * r2[c] + w3 * r3[c] + w4 * r4[c] + w5 * r5[c]
            out[c] = mean + (v0 * s0[c] + v1 * s1[c] + v2 * s2[c])


_two_orders = compiled(_two_orders_plain)


def _ranged_plain(slab: Any, low: int, high: int, first: Any, weights: Any, tile: Any) -> None:
    """tile[q, c − low] = g of candidates low … high at sensors whose ranges count; first (GROUP, J).

    J runs of TAPS rows, or one of TAPS and one of SLOPE_TAPS: `PatternTable.taps`.
    """
    if weights.shape[1] == TAPS + SLOPE_TAPS:
        _two_orders(slab, low, high, first, weights, tile)
        return
    for q in range(GROUP):
        out, w = tile[q, : high - low], weights[q]
        out[:] = _ZERO
        for j in range(first.shape[1]):
            a = first[q, j]
            _add_rows(slab[a : a + TAPS, low:high], w[j * TAPS : (j + 1) * TAPS], out)


_ranged = compiled(_ranged_plain)


def _roots_plain(tile: Any, width: int) -> None:
    for q in range(GROUP):
        for c in range(width):
            tile[q, c] = np.sqrt(tile[q, c] if tile[q, c] > _ZERO else _ZERO)


_roots = compiled(_roots_plain)


def _interpolate_plain(slab: Any, first: Any, weights: Any, tile: Any) -> None:
    """tile[q, c] = g of candidate c at sensor q; slab (rows, W), first (GROUP, J), weights (GROUP, taps)."""
    width = slab.shape[1]
    if first.shape[1] > 1:
        _ranged(slab, 0, width, first, weights, tile)
        return
    for q in range(GROUP):
        row = first[q, 0]
        r0, r1, r2 = slab[row], slab[row + 1], slab[row + 2]
        r3, r4, r5 = slab[row + 3], slab[row + 4], slab[row + 5]
        w0, w1, w2 = weights[q, 0], weights[q, 1], weights[q, 2]
        w3, w4, w5 = weights[q, 3], weights[q, 4], weights[q, 5]
        out = tile[q]
        for c in range(width):
            out[c] = w0 * r0[c] + w1 * r1[c] + w2 * r2[c] + w3 * r3[c] + w4 * r4[c] + w5 * r5[c]


interpolate = compiled(_interpolate_plain)


def _amplitudes_plain(slab: Any, low: Any, high: Any, first: Any, weights: Any, tile: Any) -> None:
    """As `interpolate`, √g of candidates low … high: tile[q, c − low]."""
    if first.shape[1] > 1:
        _ranged(slab, low, high, first, weights, tile)
        _roots(tile, high - low)
        return
    for q in range(GROUP):
        row = first[q, 0]
        r0, r1, r2 = slab[row, low:high], slab[row + 1, low:high], slab[row + 2, low:high]
        r3, r4, r5 = slab[row + 3, low:high], slab[row + 4, low:high], slab[row + 5, low:high]
        w0, w1, w2 = weights[q, 0], weights[q, 1], weights[q, 2]
        w3, w4, w5 = weights[q, 3], weights[q, 4], weights[q, 5]
        out = tile[q, : high - low]
        for c in range(out.shape[0]):
            g = w0 * r0[c] + w1 * r1[c] + w2 * r2[c] + w3 * r3[c] + w4 * r4[c] + w5 * r5[c]
            out[c] = np.sqrt(g if g > _ZERO else _ZERO)


amplitudes = compiled(_amplitudes_plain)


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


add_listed = compiled(_add_listed_plain)


def _keep_best_plain(score: Any, offset: Any, index: Any, value: Any) -> None:
    """Into place 0 of a full list: the highest score that it or the tile holds."""
    for i in range(1, LISTED):
        if value[i] < value[0]:
            value[0], index[0] = value[i], index[i]
    for c in range(score.shape[0]):
        if -score[c] < value[0]:
            value[0], index[0] = -score[c], offset + c


keep_best = compiled(_keep_best_plain)


def _list_maxima_plain(score: Any, n_ranges: int, offset: int, lowest: Any, at: Any, height: Any) -> None:
    """Candidates above `lowest` that no neighbour of their tile exceeds, into the places of the lowest that are listed.

    score (W,): whole angles of `n_ranges`; at, height (P,): places with nothing hold −1 and −∞. Neighbours are the
    eight around a candidate; those of another tile do not count, so that some of the listed may be none.
    """
    width = score.shape[0]
    worst = np.argmin(height)
    least = max(lowest, height[worst])
    for c in range(width):
        here = score[c]
        if not here > least:
            continue
        first, last = c % n_ranges == 0, c % n_ranges == n_ranges - 1
        highest = (first or c == 0 or score[c - 1] < here) and (last or c + 1 == width or score[c + 1] <= here)
        if highest and c >= n_ranges:
            above = score[c - n_ranges - (0 if first else 1) : c - n_ranges + (1 if last else 2)]
            for beside in above:
                highest = highest and beside < here
        if highest and c + n_ranges < width:
            below = score[c + n_ranges - (0 if first else 1) : c + n_ranges + (1 if last else 2)]
            for beside in below:
                highest = highest and beside <= here
        if highest:
            at[worst], height[worst] = offset + c, here
            worst = np.argmin(height)
            least = max(lowest, height[worst])


list_maxima = compiled(_list_maxima_plain)


def _list_ridges_plain(
    score: Any, n_ranges: int, offset: int, lowest: Any, count: int, at: Any, height: Any
) -> tuple[int, Any]:
    """Candidates of a tile above `lowest` that exceed both neighbours in the range, or both in the angle.

    at, height (P,): of these, `count` places are taken. A full list keeps the higher half, and `lowest` rises to what
    that begins at. Returns both anew.
    """
    width, room = score.shape[0], at.shape[0]
    for c in range(width):
        here = score[c]
        if not here > lowest:
            continue
        first, last = c % n_ranges == 0, c % n_ranges == n_ranges - 1
        in_range = (first or score[c - 1] < here) and (last or score[c + 1] <= here)
        in_angle = (c < n_ranges or score[c - n_ranges] < here) and (
            c >= width - n_ranges or score[c + n_ranges] <= here
        )
        if not (in_range or in_angle):
            continue
        if count == room:
            lowest = np.sort(height)[room // 2]
            kept = 0
            for i in range(count):
                if height[i] > lowest:
                    at[kept], height[kept] = at[i], height[i]
                    kept += 1
            count = kept
            if here <= lowest:
                continue
        at[count], height[count] = offset + c, here
        count += 1
    return count, lowest


list_ridges = compiled(_list_ridges_plain)
