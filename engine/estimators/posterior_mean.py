"""The posterior mean."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
from pydantic import model_validator

from engine.estimators.estimator import Estimator, model_of, require_a_model
from engine.estimators.likelihood import Likelihood, Local
from engine.estimators.maximum_likelihood import STEPS, climb
from engine.estimators.posterior_spread import spread
from engine.estimators.problem import Estimates, Surface
from engine.estimators.workbench import Batch, Workbench
from engine.numerics.leakage import LeakageModel

Array = Any

_NODES, _REACH = 11, 4.5
_NARROW_CELLS = 0.5  # the trapezoidal rule errs by 2 exp(−2π²/4) = 1.4 % for a Gaussian of this standard deviation
_WINDOW_CELLS, _WINDOW_DEVIATIONS = 1.5, 4.0


class PosteriorMean(Estimator):
    """Σ ψ p(ψ|S) over the grid, under the problem's prior: of all estimators the one of least mean squared error.

    Van Trees, Bell, Tian, Detection, Estimation, and Modulation Theory, Part I (2013), Section 4.2.1. It holds where
    the assumed leakage and prior are those that made the data, and the grid is fine enough. A posterior narrower than
    the grid's cells slips through the grid (at −85 dBm, 50 snapshots, its deviation is a fiftieth of a cell in angle);
    there the mass around its peak is integrated off the grid, `integrate_peak`, unless that is switched off. That mends
    the shape of the peak, not the choice of a wrong one: there, eight times the paper's angles lower the mean squared
    error of the range seven times (docs/numbers.md).
    """

    off_grid: bool = True

    @model_validator(mode="after")
    def _on_a_known_grid(self) -> Self:
        if self.off_grid:
            require_a_model(self.leakage, instead="off_grid=False")
        return self

    def prepare(self, workbench: Workbench) -> Callable[[Batch], Estimates]:
        workbench.search(self.leakage)
        xp = workbench.xp
        angles = xp.asarray(workbench.problem.grid.angles_rad())

        def estimate(batch: Batch) -> Estimates:
            surface = batch.likelihood(self.leakage)
            mass, at_range = surface.angle_mass, surface.angle_range_m
            peak = integrate_peak(batch, self.leakage, surface) if self.off_grid else None  # type: ignore[arg-type]
            if peak is not None:
                mass, at_range = (xp.where(peak.window, xp.zeros_like(part), part) for part in (mass, at_range))
            total, range_m, angle_rad = (xp.sum(part, axis=-1) for part in (mass, at_range, mass * angles))
            if peak is not None:
                fall = xp.exp(-peak.lift)
                total = total * fall + peak.mass
                range_m = range_m * fall + peak.at_range_m
                angle_rad = angle_rad * fall + peak.at_angle_rad
            shape = batch.observations.statistic.shape[:3]
            return Estimates(xp.reshape(range_m / total, shape), xp.reshape(angle_rad / total, shape))

        return estimate

    def deviations(self, batch: Batch, estimates: Estimates) -> Estimates:
        """Roots of the posterior's mean squared distances from the estimates, `posterior_spread.spread`."""
        return spread(batch, model_of(self.leakage), estimates)


class Peak(NamedTuple):
    """A narrow peak's mass and mass times place, e^lift below the surface's unit, (B, M); the angles it replaces."""

    lift: Array
    mass: Array
    at_range_m: Array
    at_angle_rad: Array
    window: Array
    """(B, M, angles)"""


def integrate_peak(batch: Batch, model: LeakageModel, surface: Surface) -> Peak:
    """The posterior around its highest peak where that is narrower than half a cell; nothing elsewhere.

    Over the range by Gauss-Legendre nodes within 4.5 deviations; over the angle, at each range, as the Gaussian that
    touches the likelihood's ridge there. Left to the grid: peaks within four deviations of the angles' ends.
    """
    xp, problem = batch.workbench.xp, batch.workbench.problem
    grid, (cell_m, cell_rad) = problem.grid, problem.cell()
    top = batch.once(climb, model, STEPS)
    top = Local(*(part[..., 0] for part in top))
    determinant = top.range_range * top.angle_angle - top.range_angle**2
    regular = determinant > 0
    safe = xp.where(regular, determinant, xp.ones_like(determinant))
    deviation_m = xp.sqrt(xp.where(regular, top.angle_angle / safe, xp.ones_like(safe)))
    deviation_rad = xp.sqrt(xp.where(regular, top.range_range / safe, xp.ones_like(safe)))
    reach = xp.maximum(_WINDOW_DEVIATIONS * deviation_rad, xp.full_like(safe, _WINDOW_CELLS * cell_rad))
    narrow = (top.angle_angle * (_NARROW_CELLS * cell_rad) ** 2 > 1) | (
        top.range_range * (_NARROW_CELLS * cell_m) ** 2 > 1
    )
    inside = (top.angle_rad - _WINDOW_DEVIATIONS * deviation_rad > grid.angle_min_rad) & (
        top.angle_rad + _WINDOW_DEVIATIONS * deviation_rad < grid.angle_max_rad
    )
    chosen = narrow & inside & regular
    window = (xp.abs(xp.asarray(grid.angles_rad()) - top.angle_rad[..., None]) <= reach[..., None]) & chosen[..., None]
    lift = xp.where(chosen, xp.clip(top.value - surface.log_scale, 0.0, math.inf), xp.zeros_like(safe))
    sums = xp.zeros((*chosen.shape, 3))
    likelihood = Likelihood.of(xp, problem, model, batch.observations)
    for m in range(chosen.shape[1]):
        (rows,) = xp.nonzero(chosen[:, m])
        if rows.shape[0]:
            here = Local(*(part[rows, m] for part in top))
            sums[rows, m, :] = _ridge(
                xp, likelihood.only(rows, m), here, deviation_m[rows, m], (surface.log_scale + lift)[rows, m]
            )
    return Peak(lift, sums[..., 0], sums[..., 1], sums[..., 2], window)


def _ridge(xp: Any, likelihood: Likelihood, top: Local, deviation_m: Array, log_scale: Array) -> Array:
    """∫ p(S|ψ) p(ψ) (1, d, φ) dψ over cells' units and e^log_scale, (n, 3), along the ridge φ*(d) of each peak."""
    problem = likelihood.problem
    grid, (cell_m, cell_rad) = problem.grid, problem.cell()
    nodes, weights = (xp.asarray(part) for part in np.polynomial.legendre.leggauss(_NODES))
    low = xp.clip(top.range_m - _REACH * deviation_m, grid.range_min_m, grid.range_max_m)
    high = xp.clip(top.range_m + _REACH * deviation_m, grid.range_min_m, grid.range_max_m)
    range_m = low[:, None] + (high - low)[:, None] * (nodes + 1) / 2
    slope = -(top.range_angle / top.angle_angle)[:, None]
    angle_rad = top.angle_rad[:, None] + slope * (range_m - top.range_m[:, None])
    for _ in range(2):  # onto the ridge, then on it
        angle_rad = xp.clip(angle_rad, grid.angle_min_rad, grid.angle_max_rad)
        at = Local(*(part[:, 0, :] for part in likelihood.at(xp, range_m[:, None, :], angle_rad[:, None, :])))
        off = at.by_angle / at.angle_angle
        limit = 3 / xp.sqrt(at.angle_angle)
        off = xp.clip(off, -limit, limit)
        angle_rad = angle_rad + off
    height = at.value + 0.5 * off * at.by_angle + 0.5 * xp.log(2 * math.pi / at.angle_angle)
    log_mass = height + problem.log_range_prior(xp, range_m) - log_scale[:, None]
    mass = xp.exp(log_mass) * weights * ((high - low)[:, None] / (2 * cell_m * cell_rad))
    return xp.stack([xp.sum(mass * part, axis=-1) for part in (xp.ones_like(mass), range_m, angle_rad)], axis=-1)
