"""Ridges of a likelihood, followed from their tops one after the other, in a compiled loop. Imports numba.

`trace` is `engine.estimators.ridges.trace`, which looks at all lines at once, in any namespace: its oracle.
"""

from typing import Any, NamedTuple

import numpy as np

from engine.numerics.compiled import compiled
from engine.numerics.place_cpu import clipped, log_prior, place


class Pace(NamedTuple):
    """How a ridge is followed; lengths in deviations, of which `engine.estimators.ridges` says why."""

    step: float
    longest_m: float
    negligible: float
    far: float
    newton_steps: int
    limit: float
    """of a Newton step in the angle"""


def _off_plain(by_angle: float, angle_angle: float, limit: float) -> float:
    """`engine.estimators.ridges._newton` of one place."""
    if not angle_angle > 0.0:
        return 0.0
    most = limit / np.sqrt(angle_angle)
    return clipped(by_angle / angle_angle, -most, most)


_off = compiled(_off_plain)


def _trace_plain(
    heard: Any, optics: Any, kept: Any, area: Any, pace: Any, tops: Any, log_scale: Any, lines: Any
) -> None:
    """From peaks, tops (8, n) as `Local` has them, to either side; masses over e^log_scale (n,).

    lines (5, n, 2 · steps + 1), the parts of `engine.estimators.ridges.Lines`, come in with what the tops hold, but for
    masses of −∞ on either side of them.
    """
    steps = lines.shape[2] // 2
    parts = np.empty((3, heard.cosine.shape[1]))
    for i in range(tops.shape[1]):
        for side in range(-1, 2, 2):
            range_m, angle_rad, rr, ra, aa = tops[0, i], tops[1, i], tops[5, i], tops[6, i], tops[7, i]
            highest, slope, bend, reached = lines[2, i, steps], lines[3, i, steps], 0.0, 0
            for j in range(1, steps + 1):
                free = rr - ra * ra / aa
                step = min(pace.step / np.sqrt(free), pace.longest_m) if free > 0.0 else pace.longest_m
                to_m = clipped(range_m + side * step, area.range_min_m, area.range_max_m)
                if to_m == range_m:
                    break
                angle_rad += (slope + bend) * (to_m - range_m)
                range_m = to_m
                value, by_angle, off = 0.0, 0.0, 0.0
                for turn in range(pace.newton_steps + 1):
                    angle_rad = clipped(angle_rad, area.angle_min_rad, area.angle_max_rad)
                    value, _, by_angle, rr, ra, aa = place(range_m, angle_rad, i, heard, optics, kept, parts)
                    off = _off(by_angle, aa, pace.limit)
                    if turn == pace.newton_steps or not aa * off * off > pace.far * pace.far:
                        break
                    angle_rad += off
                if not aa > 0.0:
                    break
                log_mass = value + 0.5 * off * by_angle + 0.5 * np.log(2.0 * np.pi / aa)
                log_mass += log_prior(range_m, area) - log_scale[i]
                if not log_mass > highest - pace.negligible:
                    break
                angle_rad += off
                bend, slope, highest, reached = (-ra / aa - slope) / 2.0, -ra / aa, max(highest, log_mass), j
                at = steps + side * j
                lines[0, i, at], lines[1, i, at], lines[2, i, at] = range_m, angle_rad, log_mass
                lines[3, i, at], lines[4, i, at] = slope, 1.0 / np.sqrt(aa)
            for beyond in range(reached + 1, steps + 1):  # where the line ends
                lines[0, i, steps + side * beyond] = lines[0, i, steps + side * reached]


trace = compiled(_trace_plain)
