"""The peaks of a likelihood: climbed from the candidates of a grid that resolves them."""

from typing import Any

import numpy as np
from array_api_compat import is_numpy_namespace

from engine.estimators.compiled_search import Loops, local, loops_of
from engine.estimators.likelihood import Likelihood, Local
from engine.estimators.problem import Surface
from engine.estimators.workbench import Batch
from engine.numerics.leakage import LeakageModel
from engine.numerics.pattern import SearchGrid

Array = Any

STEPS = 8
_FIRST_DAMPING, _STUCK = 1e-3, 1e6
_SAME_PLACE = 0.05  # squared distance in deviations
WORTHWHILE = 1e-5  # of log-likelihood, expected of a step: 0.4 % of a deviation
LONGEST_STEP = 0.1  # of the grid's rectangle: a ridge along the range is many cells long


def likelihood_of(batch: Batch, model: LeakageModel) -> Likelihood:
    """Of a batch's observations, in its namespace."""
    return Likelihood.of(batch.workbench.xp, batch.workbench.problem, model, batch.observations)


def climbed(batch: Batch, model: LeakageModel, steps: int) -> Local:
    """Where climbs end that start at the likeliest candidate and at `Surface.peaks`: (B, M, 1 + PEAKS).

    Each by at most `steps` rounds of damped Fisher scoring: never less likely than its start, never outside the grid's
    rectangle. The highest first; the likelihood of what is no peak, or one that stands before it already, is −∞.
    """
    xp, problem = batch.workbench.xp, batch.workbench.problem
    range_m, angle_rad, some = _starts(batch, batch.likelihood(model))
    found = Local(range_m, angle_rad, xp.full_like(range_m, -np.inf), *(xp.zeros_like(range_m) for _ in range(5)))
    likelihood = batch.once(likelihood_of, model)
    for n in sorted(set(problem.n_snapshots)):
        b, m, p = xp.nonzero(some & likelihood.with_snapshots(xp, n)[:, None])
        if b.shape[0]:
            ends = climb(xp, likelihood.each(b, m, n), problem.grid, range_m[b, m, p], angle_rad[b, m, p], steps)
            for whole, part in zip(found, ends, strict=True):
                whole[b, m, p] = part[:, 0, 0]
    found = in_order(xp, found, xp.argsort(-found.value, axis=-1))
    found.value[repeated(xp, found)] = -np.inf
    return found


def repeated(xp: Any, peaks: Local) -> Array:
    """Peaks that are at the place of one before them: several climbs may end on one peak. (B, M, P)."""
    if is_numpy_namespace(xp):
        return _repeated_on_host(peaks)
    again = [xp.zeros_like(peaks.value[..., 0], dtype=bool)]
    for p in range(1, peaks.value.shape[-1]):
        away_m = peaks.range_m[..., p, None] - peaks.range_m[..., :p]
        away_rad = peaks.angle_rad[..., p, None] - peaks.angle_rad[..., :p]
        parts = (peaks.range_range, 2 * peaks.range_angle, peaks.angle_angle)
        a, b, c = (part[..., p, None] for part in parts)
        again.append(xp.any(a * away_m**2 + b * away_m * away_rad + c * away_rad**2 < _SAME_PLACE, axis=-1))
    return xp.stack(again, axis=-1)


def _repeated_on_host(peaks: Local) -> np.ndarray:
    from engine.numerics.same_peaks_cpu import again

    found = np.empty((int(np.prod(peaks.value.shape[:-1])), peaks.value.shape[-1]), dtype=bool)
    parts = (peaks.range_m, peaks.angle_rad, peaks.range_range, peaks.range_angle, peaks.angle_angle)
    again(*(np.array(part).reshape(found.shape) for part in parts), _SAME_PLACE, found)
    return found.reshape(peaks.value.shape)


def in_order(xp: Any, peaks: Local, order: Array) -> Local:
    """Peaks (B, M, P) in an order (B, M, Q) of their own for each observation."""
    whole = xp.stack(peaks)
    return Local(*xp.take_along_axis(whole, xp.broadcast_to(order[None], (len(whole), *order.shape)), axis=-1))


def _starts(batch: Batch, surface: Surface) -> tuple[Array, Array, Array]:
    """Ranges (m) and angles (rad), a peak at its mean range, and which of them there are: (B, M, 1 + PEAKS) each."""
    xp, problem = batch.workbench.xp, batch.workbench.problem
    likely_m, likely_rad = (part[..., None] for part in problem.places(xp, surface.likely))
    some, at = surface.peaks >= 0, xp.clip(surface.peaks, 0, None)
    mass = xp.take_along_axis(surface.angle_mass, at, axis=-1)
    angle_rad = xp.asarray(problem.grid.angles_rad())[at]
    some &= angle_rad != likely_rad
    range_m = xp.take_along_axis(surface.angle_range_m, at, axis=-1) / xp.where(some, mass, xp.ones_like(mass))
    return (
        xp.concatenate([likely_m, range_m], axis=-1),
        xp.concatenate([likely_rad, angle_rad], axis=-1),
        xp.concatenate([xp.ones_like(likely_m, dtype=bool), some], axis=-1),
    )


def climb(
    xp: Any,
    likelihood: Likelihood,
    grid: SearchGrid,
    range_m: Array,
    angle_rad: Array,
    steps: int,
    worthwhile: float = WORTHWHILE,
) -> Local:
    """From places (n,), one for each realization of the likelihood: (n, 1, 1)."""
    loops = loops_of(xp, likelihood)
    if loops is not None:
        return _climb_compiled(loops, grid, range_m, angle_rad, steps, worthwhile)
    most_m, most_rad = longest(grid)
    at = likelihood.at(xp, range_m[:, None, None] + 0.0, angle_rad[:, None, None] + 0.0)  # copies: these are written to
    damping = xp.full(at.value.shape, _FIRST_DAMPING)
    for _ in range(steps):
        step_m, step_rad = damped_step(xp, at, damping, grid)
        gain = xp.abs(step_m * at.by_range) + xp.abs(step_rad * at.by_angle)
        (rows,) = xp.nonzero((gain > worthwhile)[:, 0, 0] & (damping < _STUCK)[:, 0, 0])
        if not rows.shape[0]:
            break
        here = Local(*(part[rows] for part in at))
        tried = likelihood.of_rows(rows).at(
            xp,
            xp.clip(here.range_m + xp.clip(step_m[rows], -most_m, most_m), grid.range_min_m, grid.range_max_m),
            xp.clip(
                here.angle_rad + xp.clip(step_rad[rows], -most_rad, most_rad), grid.angle_min_rad, grid.angle_max_rad
            ),
        )
        better = tried.value > here.value
        for whole, new, old in zip(at, tried, here, strict=True):
            whole[rows] = xp.where(better, new, old)
        damping[rows] = xp.where(better, damping[rows] / 10, damping[rows] * 10)
    return at


def _climb_compiled(
    loops: Loops, grid: SearchGrid, range_m: np.ndarray, angle_rad: np.ndarray, steps: int, worthwhile: float
) -> Local:
    from engine.numerics.climb_cpu import Rules
    from engine.numerics.climb_cpu import climb as compiled_climb

    out = np.empty((8, len(range_m)))
    out[0], out[1] = range_m, angle_rad
    compiled_climb(*loops, Rules(steps, worthwhile, _FIRST_DAMPING, _STUCK, *longest(grid)), out)
    return local(out)


def longest(grid: SearchGrid) -> tuple[float, float]:
    """The longest step along the range (m) and the angle (rad)."""
    return (
        float(LONGEST_STEP * (grid.range_max_m - grid.range_min_m)),
        float(LONGEST_STEP * (grid.angle_max_rad - grid.angle_min_rad)),
    )


def damped_step(xp: Any, at: Local, damping: Array, grid: SearchGrid) -> tuple[Array, Array]:
    """(J + δ diag J)⁻¹ ∇l of 2 × 2 systems; along the border where that is in the way; no step where J is singular."""
    stopped_m = _outward(at.range_m, at.by_range, grid.range_min_m, grid.range_max_m)
    stopped_rad = _outward(at.angle_rad, at.by_angle, grid.angle_min_rad, grid.angle_max_rad)
    none = xp.zeros_like(at.value)
    by_range, by_angle = xp.where(stopped_m, none, at.by_range), xp.where(stopped_rad, none, at.by_angle)
    a, c = at.range_range * (1 + damping), at.angle_angle * (1 + damping)
    b = xp.where(stopped_m | stopped_rad, none, at.range_angle)
    determinant = a * c - b * b
    regular = determinant > 0
    inverse = xp.where(regular, 1 / xp.where(regular, determinant, xp.ones_like(a)), none)
    return (c * by_range - b * by_angle) * inverse, (a * by_angle - b * by_range) * inverse


def _outward(place: Array, slope: Array, low: float, high: float) -> Array:
    """Where the likelihood rises out of the interval."""
    return ((place <= low) & (slope < 0)) | ((place >= high) & (slope > 0))
