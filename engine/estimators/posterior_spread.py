"""How wide a posterior is."""

from typing import Any

import numpy as np

from engine.estimators.few_sensors import at_risk
from engine.estimators.likelihood import Likelihood, Local
from engine.estimators.peaks import STEPS
from engine.estimators.posterior import highest, posterior
from engine.estimators.posterior_moments import expected_squared_errors, moments_of
from engine.estimators.problem import Estimates, trapezoid
from engine.estimators.rivals import likelihood_on_host, on_host, rivals
from engine.estimators.workbench import Batch
from engine.numerics.leakage import LeakageModel
from engine.numerics.pattern import SearchGrid

_NEGLIGIBLE = 1e-10
_HIGH = 16.0  # of peaks, in log-likelihood below the highest
_DEVIATIONS, _ALONG, _ACROSS = 6.0, 61, 41
_ROUNDS = 12
_RESOLVED_CELLS = 3.0


def spread(batch: Batch, model: LeakageModel, estimates: Estimates) -> Estimates:
    """Roots of the posterior's mean squared distances from estimates (B, S, L), on the host and one after the other.

    Whatever the estimate is, that is what its error is expected to be, rivals and all, where model and prior are those
    that made the data. The sums are over the batch's grid, then over uniform ones of that size, which close in on where
    the mass is until the mass is three cells wide; or, where the grid does not resolve the highest peak, over a grid
    along each peak's own ridge; or, of few sensors, over the cells of `few_sensors`. NaN where no place has any mass.
    """
    xp, problem = batch.workbench.xp, batch.workbench.problem
    *shape, n_sensors = batch.observations.statistic.shape
    centre = _on_host(xp, estimates)
    peaks = Local(*(on_host(xp, part) for part in batch.once(rivals, model, STEPS)))
    whole = likelihood_on_host(batch, model)
    found = np.empty_like(centre)
    risky = at_risk(problem.grid, peaks, n_sensors)  # type: ignore[arg-type]
    if risky.any():
        held = moments_of(batch, batch.once(posterior, model), highest(batch, model))
        found[risky] = np.sqrt(_on_host(xp, expected_squared_errors(held, estimates)))[risky]
    for b, m in np.argwhere(~risky):
        one = whole.each(np.array([b]), np.array([m]), whole.n_snapshots[m])
        high = peaks.value[b, m] > peaks.value[b, m, 0] - _HIGH
        of_one = Local(*(part[b, m][high] for part in peaks))
        places = _on_ridges(one, of_one) if _slips_through(problem.grid, of_one) else _closing_in(one)
        found[b, m] = _distances(one, *places, centre[b, m])
    return Estimates(*(xp.asarray(np.ascontiguousarray(found[..., i]).reshape(shape)) for i in (0, 1)))


def _on_host(xp: Any, estimates: Estimates) -> np.ndarray:
    """(B, S, L) each as (B, M, 2)."""
    stacked = np.stack([on_host(xp, part) for part in estimates], axis=-1)
    return stacked.reshape(len(stacked), -1, 2)


def _slips_through(grid: SearchGrid, peaks: Local) -> bool:
    """Whether the highest peak is narrower than the grid's cells."""
    cell = [np.diff(axis).max() for axis in (grid.ranges_m(), grid.angles_rad())]
    narrow = peaks.range_range[0] * cell[0] ** 2 > 1, peaks.angle_angle[0] * cell[1] ** 2 > 1
    regular = peaks.range_range[0] * peaks.angle_angle[0] - peaks.range_angle[0] ** 2 > 0
    return bool(regular and any(narrow))


def _distances(
    likelihood: Likelihood, range_m: np.ndarray, angle_rad: np.ndarray, area: np.ndarray, centre: np.ndarray
) -> np.ndarray:
    """Over places (Q,), each of some area."""
    log_mass = _log_posterior(likelihood, range_m, angle_rad)
    if not log_mass.max() > -np.inf:
        return np.full(2, np.nan)
    mass = np.exp(log_mass - log_mass.max()) * area
    mass /= mass.sum()
    return np.sqrt(np.array([mass @ (range_m - centre[0]) ** 2, mass @ (angle_rad - centre[1]) ** 2]))


def _log_posterior(likelihood: Likelihood, range_m: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
    value: np.ndarray = likelihood.at(np, range_m[None, None], angle_rad[None, None]).value[0, 0]
    return value + likelihood.problem.log_range_prior(np, range_m)


def _on_ridges(likelihood: Likelihood, peaks: Local) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places along the ridges of peaks (n,), six deviations to all sides but for the area's ends, and their areas."""
    grid = likelihood.problem.grid
    parts = []
    for i in range(len(peaks.value)):
        determinant = peaks.range_range[i] * peaks.angle_angle[i] - peaks.range_angle[i] ** 2
        if not determinant > 0:
            continue
        reach_m = _DEVIATIONS * np.sqrt(peaks.angle_angle[i] / determinant)
        range_m = np.linspace(
            max(grid.range_min_m, peaks.range_m[i] - reach_m), min(grid.range_max_m, peaks.range_m[i] + reach_m), _ALONG
        )
        off_rad = np.linspace(-_DEVIATIONS, _DEVIATIONS, _ACROSS) / np.sqrt(peaks.angle_angle[i])
        slope = -peaks.range_angle[i] / peaks.angle_angle[i]
        ridge_rad = peaks.angle_rad[i] + slope * (range_m - peaks.range_m[i])
        angle_rad = ridge_rad[:, None] + off_rad
        area = np.multiply.outer(trapezoid(range_m), trapezoid(off_rad))
        area *= (angle_rad >= grid.angle_min_rad) & (angle_rad <= grid.angle_max_rad)
        held = np.broadcast_to(range_m[:, None], angle_rad.shape), angle_rad, area
        parts.append([part.ravel() for part in held])
    range_m, angle_rad, area = (np.concatenate(part) for part in zip(*parts, strict=True))
    return range_m, np.clip(angle_rad, grid.angle_min_rad, grid.angle_max_rad), area


def _closing_in(likelihood: Likelihood) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of a uniform grid that has closed in on where the mass is, and their areas."""
    grid = likelihood.problem.grid
    axes = [grid.ranges_m(), grid.angles_rad()]
    low, high = (np.array([axis[end] for axis in axes]) for end in (0, -1))
    counts = (grid.n_ranges, grid.n_angles)
    for _ in range(_ROUNDS):
        range_m, angle_rad = (part.ravel() for part in np.meshgrid(*axes, indexing="ij"))
        area = np.multiply.outer(*map(trapezoid, axes)).ravel()
        value = _log_posterior(likelihood, range_m, angle_rad)
        mass = np.exp(value - value.max()) * area
        mass /= mass.sum()
        mean = np.array([mass @ range_m, mass @ angle_rad])
        width = np.sqrt(np.array([mass @ (range_m - mean[0]) ** 2, mass @ (angle_rad - mean[1]) ** 2]))
        cell = np.array([np.diff(axis).max() for axis in axes])
        if np.all(width > _RESOLVED_CELLS * cell):
            break
        places = np.stack([range_m, angle_rad])[:, mass > _NEGLIGIBLE]
        closer_low, closer_high = (
            np.maximum(low, places.min(axis=1) - cell),
            np.minimum(high, places.max(axis=1) + cell),
        )
        if np.all(closer_high - closer_low > 0.9 * (high - low)):  # several narrow peaks, apart: as good as it gets
            break
        low, high = closer_low, closer_high
        axes = [np.linspace(*ends) for ends in zip(low, high, counts, strict=True)]
    return range_m, angle_rad, area
