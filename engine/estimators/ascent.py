"""The last steps to a peak: Newton's, where those of scoring hardly get on."""

import numpy as np

from engine.estimators.compiled_search import Loops, local, loops_of, places
from engine.estimators.likelihood import Likelihood, Local
from engine.estimators.peaks import LONGEST_STEP, damped_step, longest
from engine.numerics.pattern import SearchGrid

_FIRST_DAMPING, _STUCK = 1e-4, 1e6
_SHORTER = np.array([1.0, 30.0, 1000.0])
"""Times the damping: of the steps that are looked at at once."""
_APART = 1e-4
"""Deviations between the places whose slopes' difference is the curvature."""


def ascend(likelihood: Likelihood, grid: SearchGrid, at: Local, steps: int, worthwhile: float) -> Local:
    """From places (n, 1, 1), one for each realization of the likelihood, to where a step is not worthwhile.

    Scoring takes the expected information for the curvature; where the ridge is bent, or the data are not what is
    expected, it creeps or overshoots: 65 to 78 rounds at K = 40, −75 dBm, where Newton's steps are done in ten. Where
    the likelihood is not concave the step is one of scoring.
    """
    loops = loops_of(np, likelihood)
    if loops is not None:
        return _ascend_compiled(loops, grid, at, steps, worthwhile)
    at = Local(*(part.copy() for part in at))
    curvature, damping = np.empty((3, *at.value.shape)), np.full(at.value.shape, _FIRST_DAMPING)
    rows = fresh = np.arange(at.value.shape[0])
    for _ in range(steps):
        if len(fresh):
            curvature[:, fresh] = _curvature(likelihood.of_rows(fresh), grid, _taken(at, fresh))
        bent = _taken(at._replace(range_range=curvature[0], range_angle=curvature[1], angle_angle=curvature[2]), rows)
        step_m, step_rad = damped_step(np, bent, damping[rows], grid)
        going = np.abs(step_m * bent.by_range) + np.abs(step_rad * bent.by_angle) > worthwhile
        going &= damping[rows] < _STUCK
        rows, bent = rows[going[:, 0, 0]], _taken(bent, going[:, 0, 0])
        if not len(rows):
            break
        step_m, step_rad = damped_step(np, bent, damping[rows] * _SHORTER, grid)
        tried = likelihood.of_rows(rows).at(
            np,
            _moved(bent.range_m, step_m, grid.range_min_m, grid.range_max_m),
            _moved(bent.angle_rad, step_rad, grid.angle_min_rad, grid.angle_max_rad),
        )
        best = np.argmax(tried.value[:, 0], axis=-1)
        better = tried.value[np.arange(len(best)), 0, best] > bent.value[:, 0, 0]
        fresh = rows[better]
        for whole, new in zip(at, tried, strict=True):
            whole[fresh, 0, 0] = new[better, 0, best[better]]
        damping[rows, 0, 0] *= np.where(better, _SHORTER[best] / 10, 10 * _SHORTER[-1])
    return at


def _ascend_compiled(loops: Loops, grid: SearchGrid, at: Local, steps: int, worthwhile: float) -> Local:
    from engine.numerics.climb_cpu import Rules
    from engine.numerics.climb_cpu import ascend as compiled_ascend

    out = places(at)
    rules = Rules(steps, worthwhile, _FIRST_DAMPING, _STUCK, *longest(grid))
    compiled_ascend(*loops, rules, _SHORTER, _APART, out)
    return local(out)


def _curvature(likelihood: Likelihood, grid: SearchGrid, at: Local) -> np.ndarray:
    """−∇∇l at places (n, 1, 1) by differences of slopes, its parts rr, ra, aa; the expected information where the
    likelihood is not concave: (3, n, 1, 1)."""
    expected = np.stack([at.range_range, at.range_angle, at.angle_angle])
    away_m = _inward(at.range_m, expected[0], grid.range_min_m, grid.range_max_m)
    away_rad = _inward(at.angle_rad, expected[2], grid.angle_min_rad, grid.angle_max_rad)
    beside = likelihood.at(
        np,
        at.range_m + np.concatenate([away_m, np.zeros_like(away_m)], axis=-1),
        at.angle_rad + np.concatenate([np.zeros_like(away_rad), away_rad], axis=-1),
    )
    by_range, by_angle = at.by_range - beside.by_range, at.by_angle - beside.by_angle
    a, c = by_range[..., :1] / away_m, by_angle[..., 1:] / away_rad
    b = (by_range[..., 1:] / away_rad + by_angle[..., :1] / away_m) / 2
    return np.where((a > 0) & (c > 0) & (a * c > b * b), np.stack([a, b, c]), expected)


def _inward(place: np.ndarray, information: np.ndarray, low: float, high: float) -> np.ndarray:
    """A step of `_APART` deviations, at most that part of the interval, toward its middle."""
    whole = high - low
    step = _APART * np.minimum(1 / np.sqrt(np.maximum(information, 1 / whole**2)), whole)
    return np.where(place > (low + high) / 2, -step, step)


def _moved(place: np.ndarray, step: np.ndarray, low: float, high: float) -> np.ndarray:
    most = LONGEST_STEP * (high - low)
    return np.clip(place + np.clip(step, -most, most), low, high)


def _taken(at: Local, rows: np.ndarray) -> Local:
    return Local(*(part[rows] for part in at))
