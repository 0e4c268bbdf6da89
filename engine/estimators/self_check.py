"""What a search knows against its own estimate."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from engine.estimators.assumed_leakage import AssumedLeakage
from engine.estimators.doubt import Doubt
from engine.estimators.misfit import is_beyond
from engine.estimators.peaks import STEPS, damped_step
from engine.estimators.posterior import Posterior, highest, on_grid, posterior
from engine.estimators.problem import Estimates, Problem
from engine.estimators.rivals import on_host, searched
from engine.estimators.workbench import Batch
from engine.numerics.leakage import LeakageModel

Array = Any

_AS_LIKELY = 3.0
"""Below the highest peak, in log-likelihood: a rival that is a twentieth as likely."""
_AT_AN_EDGE = 0.05
"""Share of the posterior in the outermost angles of the grid."""
_HAZARD = math.exp(-0.5) / math.sqrt(2 * math.pi) / (0.5 * math.erfc(math.sqrt(0.5)))
_HEAPED = (_HAZARD - 1) / math.sqrt(1 + _HAZARD - _HAZARD**2)
"""1.18: deviations from the end to the mean of what is left of a normal law whose top is one deviation beyond the end.
Of one that falls from the end exponentially it is 1, of one with its top at the end 1.32, of a flat one √3."""
_MOST = 0.5
"""Of the posterior at angles where it is heaped like that against an end of the ranges."""
_STILL_TO_GAIN = 0.1


def of_peaks(batch: Batch, model: LeakageModel, estimates: Estimates) -> Array:
    """Of an estimate from the likelihood's peaks, on the batch's grid: (B, S, L)."""
    xp, grid = array_namespace(estimates.range_m), batch.workbench.problem.grid
    peaks, unseen = batch.once(searched, model, STEPS)
    top = type(peaks)(*(part[..., 0] for part in peaks))
    rival = xp.sum(xp.astype(peaks.value > top.value[..., None] - _AS_LIKELY, xp.int8), axis=-1) > 1
    step_m, step_rad = damped_step(xp, top, xp.full_like(top.value, 1e-3), grid)
    unfinished = xp.abs(step_m * top.by_range) + xp.abs(step_rad * top.by_angle) > _STILL_TO_GAIN
    edge = (
        (top.range_m <= grid.range_min_m)
        | (top.range_m >= grid.range_max_m)
        | (top.angle_rad <= grid.angle_min_rad)
        | (top.angle_rad >= grid.angle_max_rad)
    )
    return _summed(
        xp, estimates, (Doubt.RIVAL, rival), (Doubt.EDGE, edge), (Doubt.UNFINISHED, unfinished), (Doubt.UNSEEN, unseen)
    )


def of_posterior(batch: Batch, model: LeakageModel, estimates: Estimates) -> Array:
    """Of the posterior's mean: what the search for its peaks says, and mass where the area ends.

    Rivals are part of the mean, but who reads a place must know that there are others.
    """
    xp = array_namespace(estimates.range_m)
    edge = _at_an_end(xp, batch.workbench.problem, batch.once(posterior, model), highest(batch, model))
    of_top = xp.reshape(of_peaks(batch, model, estimates), edge.shape)
    others = ((flag, (of_top & int(flag)) > 0) for flag in (Doubt.RIVAL, Doubt.UNFINISHED, Doubt.UNSEEN))
    return _summed(xp, estimates, (Doubt.EDGE, edge), *others)


def of_candidates(batch: Batch, assumed: AssumedLeakage, estimates: Estimates) -> Array:
    """Of the likeliest candidate of the batch's own grid, whatever leakage that assumes: (B, S, L)."""
    xp, grid = array_namespace(estimates.range_m), batch.workbench.problem.grid
    row, column = batch.likeliest(assumed) // grid.n_ranges, batch.likeliest(assumed) % grid.n_ranges
    edge = (row == 0) | (row == grid.n_angles - 1) | (column == 0) | (column == grid.n_ranges - 1)
    return _summed(xp, estimates, *_of_candidates(xp, batch, assumed), (Doubt.EDGE, edge))


def of_sums(batch: Batch, assumed: AssumedLeakage, estimates: Estimates) -> Array:
    """Of the mean over the batch's own grid, whatever leakage that assumes: (B, S, L)."""
    xp, problem = array_namespace(estimates.range_m), batch.workbench.problem
    about = problem.places(xp, batch.likelihood(assumed).likely)
    edge = _at_an_end(xp, problem, on_grid(batch, assumed, about), about)
    return _summed(xp, estimates, *_of_candidates(xp, batch, assumed), (Doubt.EDGE, edge))


def _of_candidates(xp: Any, batch: Batch, assumed: AssumedLeakage) -> Iterator[tuple[Doubt, Array]]:
    """Of tables, also whether their likeliest candidate explains the data too badly. Who keeps a model's estimates on a
    grid that was not made for their likelihood has asked for them."""
    yield Doubt.RIVAL, _rival_candidates(xp, batch, assumed)
    if not isinstance(assumed, LeakageModel):
        yield Doubt.UNSEEN, _unexplained(xp, batch, assumed)


def _unexplained(xp: Any, batch: Batch, assumed: AssumedLeakage) -> Array:
    """(B, M)."""
    problem = batch.workbench.problem
    snr, n_snapshots = zip(*problem.observations(), strict=True)
    statistic = on_host(xp, batch.observations.statistic)
    statistic = statistic.reshape(len(statistic), len(snr), -1)
    power = batch.workbench.expected(assumed)[on_host(xp, batch.likeliest(assumed))]  # over P_t, Eq. (13)
    return xp.asarray(is_beyond(statistic, n_snapshots, 2 * (np.array(snr) * n_snapshots)[:, None] * power))


def _rival_candidates(xp: Any, batch: Batch, assumed: AssumedLeakage) -> Array:
    """Whether a maximum of the grid apart from the highest is nearly as high, (B, M).

    Maxima are told from their neighbours in parts of the grid: one beside the highest is none.
    """
    surface, n_ranges = batch.likelihood(assumed), batch.workbench.problem.grid.n_ranges
    top = xp.argmax(surface.maxima_value, axis=-1)[..., None]
    at = xp.take_along_axis(surface.maxima, top, axis=-1)
    away = xp.maximum(
        xp.abs(surface.maxima // n_ranges - at // n_ranges), xp.abs(surface.maxima % n_ranges - at % n_ranges)
    )
    least = xp.take_along_axis(surface.maxima_value, top, axis=-1) - _AS_LIKELY
    return xp.any((surface.maxima >= 0) & (away > 1) & (surface.maxima_value > least), axis=-1)


def _at_an_end(xp: Any, problem: Problem, held: Posterior, about: tuple[Array, Array]) -> Array:
    """Whether much of a posterior, its squares taken from `about`, lies where the users' area ends, (B, M).

    A prior that falls to nothing toward an end of the ranges, Beta with an exponent above 1, has none there.
    """
    grid, total = problem.grid, xp.sum(held.mass, axis=-1)
    some = xp.where(held.mass > 0, held.mass, xp.ones_like(held.mass))
    mean_m = held.at_range_m / some
    variance_m2 = xp.clip(held.at_range_m2 / some - (mean_m - about[0][..., None]) ** 2, 0.0, math.inf)
    away = [math.inf + xp.zeros_like(mean_m)]
    away += [mean_m - grid.range_min_m] if problem.range_alpha <= 1 else []
    away += [grid.range_max_m - mean_m] if problem.range_beta <= 1 else []
    nearest = xp.min(xp.stack(away), axis=0)
    heaped = xp.sum(held.mass * (nearest * nearest <= _HEAPED**2 * variance_m2), axis=-1)
    return (held.mass[..., 0] + held.mass[..., -1] > _AT_AN_EDGE * total) | (heaped > _MOST * total)


def _summed(xp: Any, estimates: Estimates, *parts: tuple[Doubt, Array]) -> Array:
    shape = estimates.range_m.shape
    finite = xp.isfinite(estimates.range_m) & xp.isfinite(estimates.angle_rad)
    found = sum(int(flag) * xp.astype(xp.reshape(part, shape), xp.int8) for flag, part in parts)
    return xp.astype(found + int(Doubt.NOT_FINITE) * xp.astype(~finite, xp.int8), xp.int8)
