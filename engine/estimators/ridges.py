"""The ridges of a likelihood: narrow in the angle, long and bent in the range."""

import math
from typing import Any, NamedTuple

import numpy as np

from engine.estimators.compiled_search import loops_of, places
from engine.estimators.likelihood import Likelihood, Local

Array = Any

_STEP = 0.8  # deviations along the ridge: the trapezoidal rule errs by 2 exp(−2π²/0.64) for a Gaussian
_STEPS = 24  # to either side at most
_LONGEST_STEP = 0.05  # of the grid's ranges; at 0.1, 12 steps, means of 12 of 140 users were off by 2 %, where 5 are
_NEGLIGIBLE = 16.0  # below the line's highest mass, as a logarithm
_SAME, _NEWTON_STEPS = 0.5, 3  # deviations of the angle at a given range
_LONGEST_NEWTON = 3.0
_WINDOW_DEVIATIONS = 4.0
_FAR = 0.7  # deviations from a ridge


class Lines(NamedTuple):
    """Points along n ridges in the order of their ranges, (n, T); T = 2 · steps + 1, the tops in the middle."""

    range_m: Array
    angle_rad: Array
    """where the posterior of the angle at that range is highest"""
    log_mass: Array
    """of that posterior's integral over the angle, −∞ at points that are none"""
    slope: Array
    """of the ridge, rad/m"""
    deviation_rad: Array
    """of the angle at that range"""

    def sums(self, xp: Any) -> tuple[Array, Array, Array]:
        """log ∫ over the posterior along each line, (n,), −∞ where there is none; mean and variance of range and angle.

        (n, 2) each. Relative to each line's own highest mass: nothing overflows, however high that is.
        """
        top = xp.max(self.log_mass, axis=-1)
        finite = xp.where(top > -math.inf, top, xp.zeros_like(top))
        mass = xp.exp(self.log_mass - finite[:, None])
        steps = (self.range_m[:, 1:] - self.range_m[:, :-1]) / 2

        def along(values: Array) -> Array:
            weighed = mass * values
            return xp.sum(steps * (weighed[:, 1:] + weighed[:, :-1]), axis=-1)

        total = along(xp.ones_like(mass))
        some = total > 0
        whole = xp.where(some, total, xp.ones_like(total))
        log_total = xp.where(some, finite + xp.log(whole), xp.full_like(total, -math.inf))
        mean_m, mean_rad = (along(part) / whole for part in (self.range_m, self.angle_rad))
        squared_m = (self.range_m - mean_m[:, None]) ** 2
        squared_rad = (self.angle_rad - mean_rad[:, None]) ** 2 + self.deviation_rad**2
        variance = xp.stack([along(part) / whole for part in (squared_m, squared_rad)], axis=-1)
        return log_total, xp.stack([mean_m, mean_rad], axis=-1), variance

    def angles(self, xp: Any, least_rad: Array) -> tuple[Array, Array]:
        """Lowest and highest angle (rad) of each line, and around it four deviations or `least_rad` (n,)."""
        some = self.log_mass > xp.max(self.log_mass, axis=-1)[:, None] - _NEGLIGIBLE
        reach = xp.maximum(_WINDOW_DEVIATIONS * self.deviation_rad, least_rad[:, None])
        low = xp.where(some, self.angle_rad - reach, xp.full_like(reach, math.inf))
        high = xp.where(some, self.angle_rad + reach, xp.full_like(reach, -math.inf))
        return xp.min(low, axis=-1), xp.max(high, axis=-1)


def apart(xp: Any, likelihood: Likelihood, lines: Lines, group: tuple[Array, Array]) -> Array:
    """Which lines have their top on none of the lines before them in their group, (n,).

    Two numbers name a line's group, which lie together. On the same ridge are a top and a line from which, at the
    top's range, Newton steps in the angle lead to the top.
    """
    n, middle = lines.range_m.shape[0], lines.range_m.shape[1] // 2
    top_m, top_rad = lines.range_m[:, middle], lines.angle_rad[:, middle]
    before, after = [], []
    for back in range(1, n):
        same = (group[0][back:] == group[0][:-back]) & (group[1][back:] == group[1][:-back])
        (i,) = xp.nonzero(same)
        if not i.shape[0]:
            break
        reached = (top_m[i + back] >= lines.range_m[i, 0]) & (top_m[i + back] <= lines.range_m[i, -1])
        before.append(i[reached])
        after.append(i[reached] + back)
    alone = xp.ones(n, dtype=bool)
    i, j = (xp.concatenate([xp.arange(0), *parts]) for parts in (before, after))
    if not i.shape[0]:
        return alone
    away = xp.where(lines.log_mass[i] > -math.inf, xp.abs(lines.range_m[i] - top_m[j][:, None]), math.inf)
    nearest = xp.argmin(away, axis=-1)
    angle_rad = lines.angle_rad[i, nearest] + lines.slope[i, nearest] * (top_m[j] - lines.range_m[i, nearest])
    here = likelihood.of_rows(j)
    for _ in range(_NEWTON_STEPS):
        at = here.at(xp, top_m[j][:, None, None], angle_rad[:, None, None])
        angle_rad = angle_rad + _newton(xp, at)[:, 0, 0]
    alone[j[xp.abs(angle_rad - top_rad[j]) < _SAME * lines.deviation_rad[j, middle]]] = False
    return alone


def trace(xp: Any, likelihood: Likelihood, tops: Local, log_scale: Array) -> Lines:
    """From peaks, one for each realization of the likelihood, (n, 1, 1), to either side; masses over e^log_scale (n,).

    Steps along the range are fractions of the deviation that the information leaves when the angle is free; the angle
    follows by the ridge's slope and that slope's change, and a Newton step. Integrals over the angle are those of the
    Gaussian that touches the likelihood there. A line ends at the rectangle's border, or where its mass has become
    negligible.
    """
    grid = likelihood.problem.grid
    n = log_scale.shape[0]
    middle = _point(xp, likelihood, tops, log_scale)
    lines = Lines(*(xp.repeat(part[:, None], 2 * _STEPS + 1, axis=1) for part in middle))
    lines.log_mass[:, :_STEPS] = -math.inf
    lines.log_mass[:, _STEPS + 1 :] = -math.inf
    longest = float(_LONGEST_STEP * (grid.range_max_m - grid.range_min_m))
    loops = loops_of(xp, likelihood)
    if loops is not None:
        from engine.numerics.trace_cpu import Pace
        from engine.numerics.trace_cpu import trace as compiled_trace

        out = np.stack(lines)
        pace = Pace(_STEP, longest, _NEGLIGIBLE, _FAR, _NEWTON_STEPS, _LONGEST_NEWTON)
        compiled_trace(*loops, pace, places(tops), np.ascontiguousarray(log_scale), out)
        return Lines(*out)
    rows, side = (
        xp.concatenate([xp.arange(n), xp.arange(n)]),
        xp.concatenate([-xp.ones(n, dtype=int), xp.ones(n, dtype=int)]),
    )
    at, highest, slope = Local(*(part[rows] for part in tops)), middle.log_mass[rows], middle.slope[rows, None, None]
    columns, bend = xp.arange(2 * _STEPS + 1), xp.zeros_like(slope)
    for i in range(1, _STEPS + 1):
        free = at.range_range - at.range_angle**2 / at.angle_angle
        step = xp.where(free > 0, _STEP / xp.sqrt(xp.where(free > 0, free, xp.ones_like(free))), longest)
        away = side[:, None, None] * xp.clip(step, 0.0, longest)
        range_m = xp.clip(at.range_m + away, grid.range_min_m, grid.range_max_m)
        moved = (range_m != at.range_m)[:, 0, 0]
        angle_rad = at.angle_rad + (slope + bend) * (range_m - at.range_m)
        here = likelihood.of_rows(rows)
        at = here.at(xp, range_m, xp.clip(angle_rad, grid.angle_min_rad, grid.angle_max_rad))
        _nearer(xp, here, at)
        point = _point(xp, here, at, log_scale[rows])
        on = moved & (point.log_mass > highest - _NEGLIGIBLE)
        rows, side, point = rows[on], side[on], Lines(*(part[on] for part in point))
        if not rows.shape[0]:
            break
        for whole, part in zip(lines, point, strict=True):
            whole[rows, _STEPS + side * i] = part
        row, column = xp.nonzero((columns - _STEPS) * side[:, None] > i)
        lines.range_m[rows[row], column] = point.range_m[row]  # where the line ends if nothing follows
        highest = xp.maximum(highest[on], point.log_mass)
        at = Local(*(part[on] for part in at))._replace(angle_rad=point.angle_rad[:, None, None])
        bend, slope = (point.slope[:, None, None] - slope[on]) / 2, point.slope[:, None, None]
    return lines


def _nearer(xp: Any, likelihood: Likelihood, at: Local) -> None:
    """Places (n, 1, 1) that are far from their ridge move there, in `at` itself: what a step promises there, up to 4.5
    of log-likelihood, held lines up beyond the ends of their ridges."""
    grid = likelihood.problem.grid
    for _ in range(_NEWTON_STEPS):
        off = _newton(xp, at)
        (rows,) = xp.nonzero((at.angle_angle * off * off > _FAR**2)[:, 0, 0])
        if not rows.shape[0]:
            return
        angle_rad = xp.clip(at.angle_rad[rows] + off[rows], grid.angle_min_rad, grid.angle_max_rad)
        for whole, part in zip(at, likelihood.of_rows(rows).at(xp, at.range_m[rows], angle_rad), strict=True):
            whole[rows] = part


def _newton(xp: Any, at: Local) -> Array:
    """Toward the ridge, at most three deviations of the angle; no step where it is not concave."""
    concave = at.angle_angle > 0
    safe = xp.where(concave, at.angle_angle, xp.ones_like(at.angle_angle))
    limit = _LONGEST_NEWTON / xp.sqrt(safe)
    return xp.where(concave, xp.clip(at.by_angle / safe, -limit, limit), xp.zeros_like(safe))


def _point(xp: Any, likelihood: Likelihood, at: Local, log_scale: Array) -> Lines:
    """What a line holds at places (n, 1, 1) near its ridge, (n,) each."""
    at = Local(*(part[:, 0, 0] for part in at))
    concave = at.angle_angle > 0
    information = xp.where(concave, at.angle_angle, xp.ones_like(at.angle_angle))
    off = _newton(xp, at)
    height = at.value + 0.5 * off * at.by_angle + 0.5 * xp.log(2 * math.pi / information)
    log_mass = height + likelihood.problem.log_range_prior(xp, at.range_m) - log_scale
    return Lines(
        at.range_m,
        at.angle_rad + off,
        xp.where(concave, log_mass, xp.full_like(log_mass, -math.inf)),
        -at.range_angle / information,
        1 / xp.sqrt(information),
    )
