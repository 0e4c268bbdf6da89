"""The posterior mean."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from pydantic import model_validator

from engine.estimators.estimator import FINENESS, Estimator, model_of, require_a_model
from engine.estimators.likelihood import Likelihood, Local
from engine.estimators.peaks import STEPS, climbed
from engine.estimators.posterior_spread import spread
from engine.estimators.problem import Estimates, Surface
from engine.estimators.ridges import apart, trace
from engine.estimators.workbench import Batch, Workbench
from engine.numerics.leakage import LeakageModel
from engine.numerics.pattern import PolarGrid

Array = Any

_NARROW_CELLS = 0.4  # deviations
_WINDOW_CELLS, _WINDOW_DEVIATIONS = 1.5, 4.0
_SAME_PLACE = 0.05  # squared distance in deviations
_NEGLIGIBLE = 20.0  # below the highest peak in log-likelihood


class PosteriorMean(Estimator):
    """E[ψ|S] under the problem's prior: of all estimators the one of least mean squared error.

    Van Trees, Bell, Tian, Detection, Estimation, and Modulation Theory, Part I (2013), Section 4.2.1. It holds where
    the assumed leakage and prior are those that made the data. The integral is a sum over the candidates of a grid that
    resolves the array's patterns (not the problem's, which need not) and, where a peak is narrower than that grid's
    cells, over its ridge off the grid, `integrate_ridges`. Without `off_grid`: a sum over the problem's own grid, which
    posteriors of little noise slip through.
    """

    off_grid: bool = True
    fineness: float = FINENESS

    @model_validator(mode="after")
    def _on_a_known_grid(self) -> Self:
        if self.off_grid:
            require_a_model(self.leakage, instead="off_grid=False")
        return self

    def prepare(self, workbench: Workbench) -> Callable[[Batch], Estimates]:
        xp = workbench.xp
        if self.off_grid:
            workbench = workbench.resolving(self.fineness)
        workbench.search(self.leakage)
        angles = xp.asarray(workbench.problem.grid.angles_rad())

        def estimate(batch: Batch) -> Estimates:
            shape = batch.observations.statistic.shape[:3]
            if self.off_grid:
                batch = batch.resolving(self.fineness)
            surface = batch.likelihood(self.leakage)
            mass, at_range = surface.angle_mass, surface.angle_range_m
            ridges = integrate_ridges(batch, model_of(self.leakage), surface) if self.off_grid else None
            if ridges is not None:
                mass, at_range = (xp.where(ridges.window, xp.zeros_like(part), part) for part in (mass, at_range))
            sums = xp.stack([xp.sum(part, axis=-1) for part in (mass, at_range, mass * angles)], axis=-1)
            if ridges is not None:
                sums = sums * xp.exp(-ridges.lift)[..., None] + ridges.sums
            return Estimates(*(xp.reshape(sums[..., i] / sums[..., 0], shape) for i in (1, 2)))

        return estimate

    def deviations(self, batch: Batch, estimates: Estimates) -> Estimates:
        """Roots of the posterior's mean squared distances from the estimates, `posterior_spread.spread`."""
        here = batch.resolving(self.fineness) if self.off_grid else batch
        return spread(here, model_of(self.leakage), estimates)


class Ridges(NamedTuple):
    """What narrow peaks hold, each summed along the ridge that it stands on, and the angles that they replace."""

    lift: Array
    """sums are relative to e^lift of the surface's unit, (B, M)"""
    sums: Array
    """mass, mass × range, mass × angle, (B, M, 3)"""
    window: Array
    """(B, M, angles)"""


def integrate_ridges(batch: Batch, model: LeakageModel, surface: Surface) -> Ridges:
    """The posterior along the ridges through its peaks, where any of these is narrower than the grid's cells.

    Left to the grid: peaks within four deviations of the angles' ends. `batch` is one whose candidates resolve peaks.
    """
    xp, problem = batch.workbench.xp, batch.workbench.problem
    grid: PolarGrid = problem.grid  # type: ignore[assignment]
    peaks = _highest_first(xp, batch.once(climbed, model, STEPS))
    chosen = _chosen(xp, grid, peaks)
    lift = xp.clip(
        xp.max(xp.where(chosen, peaks.value - surface.log_scale[..., None], xp.zeros_like(peaks.value)), axis=-1),
        0.0,
        math.inf,
    )
    angles = xp.asarray(grid.angles_rad())
    window = xp.zeros((*chosen.shape[:2], angles.shape[0]), dtype=bool)
    sums = xp.zeros((*chosen.shape[:2], 3))
    likelihood = Likelihood.of(xp, problem, model, batch.observations)
    for n in sorted(set(problem.n_snapshots)):
        b, m, p = xp.nonzero(chosen & likelihood.with_snapshots(xp, n)[:, None])
        if not b.shape[0]:
            continue
        tops = Local(*(part[b, m, p][:, None, None] for part in peaks))
        here = likelihood.each(b, m, n)
        lines = trace(xp, here, tops, (surface.log_scale + lift)[b, m])
        alone = apart(xp, here, lines, (b, m))
        found = lines.sums(xp)
        low, high = lines.angles(xp, _WINDOW_CELLS * grid.cell(tops.range_m, tops.angle_rad)[1][:, 0, 0])
        for rank in range(chosen.shape[2]):  # one line of an observation at a time
            rows = xp.nonzero((p == rank) & alone)[0]
            at = b[rows], m[rows]
            sums[at] += found[rows]
            window[at] |= (angles >= low[rows, None]) & (angles <= high[rows, None])
    return Ridges(lift, sums, window)


def _chosen(xp: Any, grid: PolarGrid, peaks: Local) -> Array:
    """Peaks that matter, in observations that have a narrow one among these: (B, M, P)."""
    determinant = peaks.range_range * peaks.angle_angle - peaks.range_angle**2
    high = peaks.value > peaks.value[..., :1] - _NEGLIGIBLE
    deviation_rad = 1 / xp.sqrt(xp.where(determinant > 0, peaks.angle_angle, xp.ones_like(determinant)))
    inside = (peaks.angle_rad - _WINDOW_DEVIATIONS * deviation_rad > grid.angle_min_rad) & (
        peaks.angle_rad + _WINDOW_DEVIATIONS * deviation_rad < grid.angle_max_rad
    )
    matter = (determinant > 0) & high & inside
    cell_m, cell_rad = grid.cell(peaks.range_m, peaks.angle_rad)
    narrow = (peaks.angle_angle * (_NARROW_CELLS * cell_rad) ** 2 > 1) | (
        peaks.range_range * (_NARROW_CELLS * cell_m) ** 2 > 1
    )
    return matter & (matter & narrow)[..., :1] & ~_repeated(xp, peaks)


def _repeated(xp: Any, peaks: Local) -> Array:
    """Peaks that are at the place of one before them: several climbs may end on one peak. (B, M, P)."""
    again = [xp.zeros_like(peaks.value[..., 0], dtype=bool)]
    for p in range(1, peaks.value.shape[-1]):
        away_m = peaks.range_m[..., p, None] - peaks.range_m[..., :p]
        away_rad = peaks.angle_rad[..., p, None] - peaks.angle_rad[..., :p]
        parts = (peaks.range_range, 2 * peaks.range_angle, peaks.angle_angle)
        a, b, c = (part[..., p, None] for part in parts)
        again.append(xp.any(a * away_m**2 + b * away_m * away_rad + c * away_rad**2 < _SAME_PLACE, axis=-1))
    return xp.stack(again, axis=-1)


def _highest_first(xp: Any, peaks: Local) -> Local:
    order = xp.argsort(-peaks.value, axis=-1)
    return Local(*(xp.take_along_axis(part, order, axis=-1) for part in peaks))
