"""What a search knows against its own estimate."""

from typing import Any

from array_api_compat import array_namespace

from engine.estimators.doubt import Doubt
from engine.estimators.peaks import STEPS, damped_step
from engine.estimators.posterior import posterior
from engine.estimators.problem import Estimates
from engine.estimators.rivals import rivals
from engine.estimators.workbench import Batch
from engine.numerics.leakage import LeakageModel

Array = Any

_AS_LIKELY = 3.0
"""Below the highest peak, in log-likelihood: a rival that is a twentieth as likely."""
_AT_AN_EDGE = 0.05
"""Share of the posterior in the outermost angles of the grid."""
_STILL_TO_GAIN = 0.1


def of_peaks(batch: Batch, model: LeakageModel, estimates: Estimates) -> Array:
    """Of an estimate from the likelihood's peaks, on the batch's grid: (B, S, L)."""
    xp, grid = array_namespace(estimates.range_m), batch.workbench.problem.grid
    peaks = batch.once(rivals, model, STEPS)
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
    return _summed(xp, estimates, rival, edge, unfinished)


def of_posterior(batch: Batch, model: LeakageModel, estimates: Estimates) -> Array:
    """Of the posterior's mean: rivals are part of it; what matters is mass where the area ends, and the top."""
    xp = array_namespace(estimates.range_m)
    mass = batch.once(posterior, model).mass
    total = xp.sum(mass, axis=-1)
    edge = mass[..., 0] + mass[..., -1] > _AT_AN_EDGE * total
    of_top = of_peaks(batch, model, estimates)
    unfinished = xp.reshape((of_top & int(Doubt.UNFINISHED)) > 0, edge.shape)
    return _summed(xp, estimates, xp.zeros_like(edge), edge, unfinished)


def _summed(xp: Any, estimates: Estimates, rival: Array, edge: Array, unfinished: Array) -> Array:
    shape = estimates.range_m.shape
    finite = xp.isfinite(estimates.range_m) & xp.isfinite(estimates.angle_rad)
    parts = ((Doubt.RIVAL, rival), (Doubt.EDGE, edge), (Doubt.UNFINISHED, unfinished))
    found = sum(int(flag) * xp.astype(xp.reshape(part, shape), xp.int8) for flag, part in parts)
    return xp.astype(found + int(Doubt.NOT_FINITE) * xp.astype(~finite, xp.int8), xp.int8)
