"""The posterior of observations by few sensors: cells that follow it, where peaks are narrower than a grid's.

Few sensors leave a comb of ridges, bent and crossing and nearly equally likely: ridges that are followed apart miss
what lies between them or count it twice, and a grid sees some of them. Means of 7 users each, L = 50, −85 dBm, over the
posterior's variance: of 3, 4 and 10 sensors they were 3.4, 1.3 and 0.6 % off in squared distance, 0.46 deviations at
most, and are 0.01 % off (docs/evidence/posterior-means.json). Of 12 sensors and more they are off by less than 2 % in
the mean of users, 0.4 % from 16 on, and cells, 25 ms of a core, cost ten times as much: they are for who needs them.
"""

import math
from collections.abc import Iterator

import numpy as np

from engine.estimators.likelihood import Likelihood, Local
from engine.estimators.posterior_cells import Cells, cells
from engine.estimators.ridges import trace
from engine.numerics.pattern import ResolvingGrid

FEW = 12
"""Sensors."""
_WIDEST_CELLS, _NARROWEST_CELLS = 0.35, 0.03
"""Deviations of the narrowest high peak: between what a grid resolves, and what cells lose between known places of a
ridge, which is a hundred times as long as it is wide then, and best followed along its own line."""
_HIGH = 4.0
"""Peaks that count, below the highest in log-likelihood."""
_WORTH_TRACING, _ON_THE_LINE = 16.0, 12.0


def at_risk(grid: ResolvingGrid, peaks: Local, n_sensors: int) -> np.ndarray:
    """Observations with several high peaks, one of them narrower than its cell, seen by few sensors: (B, M)."""
    cell_m, cell_rad = grid.cell(peaks.range_m, peaks.angle_rad)
    high = (peaks.value > peaks.value[..., :1] - _HIGH) & (peaks.angle_angle > 0)
    steepest = np.maximum(peaks.range_range * cell_m**2, peaks.angle_angle * cell_rad**2)
    sharpest = np.max(np.where(high, steepest, 0.0), axis=-1)  # over the square of a deviation in cells
    narrow = (sharpest * _WIDEST_CELLS**2 > 1) & (sharpest * _NARROWEST_CELLS**2 < 1)
    return np.asarray(narrow & (np.sum(high, axis=-1) > 1) & (n_sensors <= FEW))


def by_cells(likelihood: Likelihood, peaks: Local, angles_rad: np.ndarray) -> np.ndarray:
    """Of one observation of one realization, with its peaks (P,): as `Posterior` has it, (5, angles)."""
    found = cells(likelihood, _known(likelihood, peaks))
    nearest = np.searchsorted((angles_rad[1:] + angles_rad[:-1]) / 2, found.angle_rad)
    range_m, square_m = _ranges(found)
    away_m, away_rad = range_m - peaks.range_m[0], found.angle_rad - peaks.angle_rad[0]
    values = (
        np.ones_like(range_m),
        range_m,
        found.angle_rad,
        away_m**2 + square_m,
        away_rad**2 + found.half_angle_rad**2 / 3,
    )
    return np.stack([np.bincount(nearest, found.mass * value, len(angles_rad)) for value in values])


def _ranges(found: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the range in each cell, and its variance there, (n,): over the range, the cell's density is even."""
    low = 1 / (found.curvature_per_m + found.half_curvature_per_m)
    high = 1 / (found.curvature_per_m - found.half_curvature_per_m)
    return (low + high) / 2, (high - low) ** 2 / 12


def _known(likelihood: Likelihood, peaks: Local) -> np.ndarray:
    """Peaks, and places along the ridges of those that matter: (n, 2)."""
    grid = likelihood.problem.grid
    some = (peaks.value > peaks.value[0] - _WORTH_TRACING) & (peaks.angle_angle > 0)
    tops = Local(*(part[some][:, None, None] for part in peaks))
    n = len(tops.value)
    lines = trace(np, likelihood.of_rows(np.zeros(n, dtype=int)), tops, np.full(n, float(peaks.value[0])))
    on = lines.log_mass > np.max(lines.log_mass) - _ON_THE_LINE if n else lines.log_mass > math.inf
    range_m = np.concatenate([peaks.range_m[some], lines.range_m[on]])
    angle_rad = np.concatenate([peaks.angle_rad[some], lines.angle_rad[on]])
    return np.stack([range_m, np.clip(angle_rad, grid.angle_min_rad, grid.angle_max_rad)], axis=-1)


def followed(likelihood: Likelihood, peaks: Local, which: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Of observations `which` (B, M) of a batch on the host, with its peaks (B, M, P): b, m and what `by_cells` has."""
    angles = likelihood.problem.grid.angles_rad()
    for b, m in np.argwhere(which):
        one = likelihood.each(np.array([b]), np.array([m]), likelihood.n_snapshots[m])
        some = np.isfinite(peaks.value[b, m])
        yield int(b), int(m), by_cells(one, Local(*(part[b, m][some] for part in peaks)), angles)
