"""Climbs from single places to peaks of a likelihood, one after the other, in compiled loops. Imports numba.

`climb` and `ascend` are `engine.estimators.peaks.climb` and `engine.estimators.ascent.ascend`, which look at all places
at once, in any namespace: their oracles. A round of these costs 0.1 ms of Python, whatever it is of; a place costs 2 µs
at K = 40.
"""

from typing import Any, NamedTuple

import numpy as np

from engine.numerics.compiled import compiled
from engine.numerics.place_cpu import clipped, damped_step, place


class Rules(NamedTuple):
    """When a climb ends, and how far a step goes at most."""

    steps: int
    worthwhile: float
    """of log-likelihood, expected of a step"""
    damping: float
    """of the first step"""
    stuck: float
    """damping of the last"""
    longest_m: float
    longest_rad: float


def _climb_plain(heard: Any, optics: Any, kept: Any, area: Any, rules: Any, out: Any) -> None:
    """From places out[:2] of n searches to where damped scoring leads: out (8, n), as `Local` has them."""
    parts = np.empty((3, heard.cosine.shape[1]))
    for i in range(out.shape[1]):
        next_m, next_rad, damping = out[0, i], out[1, i], rules.damping
        for step in range(rules.steps + 1):
            value, gr, ga, rr, ra, aa = place(next_m, next_rad, i, heard, optics, kept, parts)
            better = step == 0 or value > out[2, i]
            if better:
                out[0, i], out[1, i], out[2, i], out[3, i], out[4, i] = next_m, next_rad, value, gr, ga
                out[5, i], out[6, i], out[7, i] = rr, ra, aa
            if step > 0:
                damping = damping / 10.0 if better else damping * 10.0
            step_m, step_rad = damped_step(
                out[0, i], out[1, i], (out[3, i], out[4, i]), (out[5, i], out[6, i], out[7, i]), damping, area
            )
            gain = abs(step_m * out[3, i]) + abs(step_rad * out[4, i])
            if not gain > rules.worthwhile or not damping < rules.stuck:
                break
            step_m = clipped(step_m, -rules.longest_m, rules.longest_m)
            step_rad = clipped(step_rad, -rules.longest_rad, rules.longest_rad)
            next_m = clipped(out[0, i] + step_m, area.range_min_m, area.range_max_m)
            next_rad = clipped(out[1, i] + step_rad, area.angle_min_rad, area.angle_max_rad)


climb = compiled(_climb_plain)


def _inward_plain(at: float, information: float, low: float, high: float, apart: float) -> float:
    whole = high - low
    step = apart * min(1.0 / np.sqrt(max(information, 1.0 / (whole * whole))), whole)
    return -step if at > (low + high) / 2.0 else step


_inward = compiled(_inward_plain)


def _bent_plain(
    i: int, heard: Any, optics: Any, kept: Any, area: Any, apart: float, parts: Any, out: Any
) -> tuple[float, float, float]:
    """`engine.estimators.ascent._curvature` of search i at out[:, i]."""
    away_m = _inward(out[0, i], out[5, i], area.range_min_m, area.range_max_m, apart)
    away_rad = _inward(out[1, i], out[7, i], area.angle_min_rad, area.angle_max_rad, apart)
    a, c, b = 0.0, 0.0, 0.0
    for side in range(2):
        off_m, off_rad = (away_m, 0.0) if side == 0 else (0.0, away_rad)
        _, gr, ga, _, _, _ = place(out[0, i] + off_m, out[1, i] + off_rad, i, heard, optics, kept, parts)
        if side == 0:
            a = (out[3, i] - gr) / away_m
            b += 0.5 * (out[4, i] - ga) / away_m
        else:
            c = (out[4, i] - ga) / away_rad
            b += 0.5 * (out[3, i] - gr) / away_rad
    if a > 0.0 and c > 0.0 and a * c > b * b:
        return a, b, c
    return out[5, i], out[6, i], out[7, i]


_bent = compiled(_bent_plain)


def _ascend_plain(
    heard: Any, optics: Any, kept: Any, area: Any, rules: Any, shorter: Any, apart: float, out: Any
) -> None:
    """Newton's steps from places out (8, n), which are looked at already; shorter (T,): times the damping, of the steps
    that are tried; apart: deviations between the places whose slopes' difference is the curvature."""
    tried = np.empty((shorter.shape[0], 8))
    parts = np.empty((3, heard.cosine.shape[1]))
    for i in range(out.shape[1]):
        damping, fresh = rules.damping, True
        bend = 0.0, 0.0, 0.0
        for _ in range(rules.steps):
            if fresh:
                bend = _bent(i, heard, optics, kept, area, apart, parts, out)
            here_m, here_rad, slopes = out[0, i], out[1, i], (out[3, i], out[4, i])
            step_m, step_rad = damped_step(here_m, here_rad, slopes, bend, damping, area)
            gain = abs(step_m * slopes[0]) + abs(step_rad * slopes[1])
            if not gain > rules.worthwhile or not damping < rules.stuck:
                break
            best = 0
            for t in range(shorter.shape[0]):
                step_m, step_rad = damped_step(here_m, here_rad, slopes, bend, damping * shorter[t], area)
                step_m = clipped(step_m, -rules.longest_m, rules.longest_m)
                step_rad = clipped(step_rad, -rules.longest_rad, rules.longest_rad)
                to_m = clipped(here_m + step_m, area.range_min_m, area.range_max_m)
                to_rad = clipped(here_rad + step_rad, area.angle_min_rad, area.angle_max_rad)
                value, gr, ga, rr, ra, aa = place(to_m, to_rad, i, heard, optics, kept, parts)
                row = tried[t]
                row[0], row[1], row[2], row[3], row[4] = to_m, to_rad, value, gr, ga
                row[5], row[6], row[7] = rr, ra, aa
                if value > tried[best, 2]:
                    best = t
            fresh = tried[best, 2] > out[2, i]
            if fresh:
                out[:, i] = tried[best]
                damping = damping * shorter[best] / 10.0
            else:
                damping = damping * 10.0 * shorter[-1]


ascend = compiled(_ascend_plain)
