"""The posterior of one observation as cells of little mass each: its distribution functions, for tests of calibration.

Cells halve where mass is or may be: what the slope at a cell's centre promises within the cell counts, at most what the
expected information allows. Thousands of places for each observation: not for Monte Carlo runs.
"""

import math
from typing import NamedTuple

import numpy as np

from engine.estimators.likelihood import Likelihood, Local

_LARGEST = 1e-3
"""Mass of a cell that is not halved any more: a few times as much is what distribution functions err by."""
_ROUNDS = 40
_KNOWN_DEVIATIONS = 0.7
_MOST_RISE = 60.0


class Cells(NamedTuple):
    """n rectangles in curvature and angle, which do not overlap and are the whole area, and their masses, (n,) each."""

    curvature_per_m: np.ndarray
    """1/d at the centre"""
    angle_rad: np.ndarray
    half_curvature_per_m: np.ndarray
    half_angle_rad: np.ndarray
    mass: np.ndarray
    """they add up to one"""
    log_likelihood: np.ndarray
    """at the centre"""

    def range_below(self, range_m: float) -> float:
        """Probability that the range is shorter."""
        low = 1 / (self.curvature_per_m + self.half_curvature_per_m)
        high = 1 / (self.curvature_per_m - self.half_curvature_per_m)
        return float(self.mass @ np.clip((range_m - low) / (high - low), 0.0, 1.0))

    def angle_below(self, angle_rad: float) -> float:
        """Probability that the angle is smaller."""
        low = self.angle_rad - self.half_angle_rad
        return float(self.mass @ np.clip((angle_rad - low) / (2 * self.half_angle_rad), 0.0, 1.0))

    def likelihood_below(self, log_likelihood: float) -> float:
        """Probability that the user is at a place of less likelihood."""
        return float(self.mass @ (self.log_likelihood < log_likelihood))

    def moments(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Mean and deviation of range (m) and of angle (rad)."""
        found = []
        middle_m = self.curvature_per_m / (self.curvature_per_m**2 - self.half_curvature_per_m**2)
        for place in (middle_m, self.angle_rad):
            mean = float(self.mass @ place)
            found.append((mean, math.sqrt(float(self.mass @ (place - mean) ** 2))))
        return found[0], found[1]


def cells(likelihood: Likelihood, peaks: np.ndarray) -> Cells:
    """Of a likelihood of one observation of one realization.

    peaks: known places (range, angle) of much likelihood (P, 2), tops of peaks or all along their ridges, around which
    cells halve until these cannot be missed.
    """
    grid = likelihood.problem.grid
    ends = (1 / grid.range_max_m, 1 / grid.range_min_m), (grid.angle_min_rad, grid.angle_max_rad)
    counts = grid.n_ranges, grid.n_angles
    halves = [(high - low) / (2 * n) for (low, high), n in zip(ends, counts, strict=True)]
    centres = [low + half * (2 * np.arange(n) + 1) for (low, _), half, n in zip(ends, halves, counts, strict=True)]
    place = np.stack([part.ravel() for part in np.meshgrid(*centres, indexing="ij")])
    half = np.repeat(np.array(halves)[:, None], place.shape[1], axis=1)
    known, width = np.stack([1 / peaks[:, 0], peaks[:, 1]]), _widths(likelihood, peaks)
    inside = np.clip(
        (known - np.array(ends)[:, :1]) // (2 * np.array(halves)[:, None]), 0, np.array(counts)[:, None] - 1
    )
    holder = (inside[0] * grid.n_angles + inside[1]).astype(int)  # the cell that holds each known place
    looked = _looked_at(likelihood, place, half)
    for _ in range(_ROUNDS):
        split = _to_halve(looked, half, holder, width)
        if not split.any():
            break
        parts = [
            (place[:, split] + half[:, split] * np.array([[i], [j]]) / 2, half[:, split] / 2)
            for i in (-1, 1)
            for j in (-1, 1)
        ]
        holder = _in_children(holder, split, known > place[:, holder])
        new_place, new_half = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
        looked = np.concatenate([looked[:, ~split], _looked_at(likelihood, new_place, new_half)], axis=1)
        place = np.concatenate([place[:, ~split], new_place], axis=1)
        half = np.concatenate([half[:, ~split], new_half], axis=1)
    log_mass, _, value = looked
    mass = np.exp(log_mass - log_mass.max())
    return Cells(place[0], place[1], half[0], half[1], mass / mass.sum(), value)


def _looked_at(likelihood: Likelihood, place: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Log of each cell's mass by its centre, of what it may be, and log-likelihood at the centre: (3, n)."""
    range_m = 1 / place[0]
    at = _at(likelihood, range_m, place[1])
    log_mass = at.value + likelihood.problem.log_range_prior(np, range_m)
    log_mass = log_mass + np.log((1 / (place[0] - half[0]) - 1 / (place[0] + half[0])) * half[1])
    slopes = np.stack([at.by_range * range_m**2, at.by_angle])
    rise = np.sum(np.abs(slopes) * half, axis=0)
    determinant = at.range_range * at.angle_angle - at.range_angle**2
    squares = (
        at.angle_angle * at.by_range**2 - 2 * at.range_angle * at.by_range * at.by_angle
    ) + at.range_range * at.by_angle**2
    regular = determinant > 1e-12 * at.range_range * at.angle_angle
    allowed = np.where(regular, squares / (2 * np.where(regular, determinant, 1.0)), np.inf)
    return np.stack([log_mass, log_mass + np.minimum(np.minimum(rise, allowed), _MOST_RISE), at.value])


def _to_halve(looked: np.ndarray, half: np.ndarray, holder: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Cells that hold, or may hold, more than a cell should, or a known place that they are too wide for: (n,)."""
    log_mass, at_most, _ = looked
    top = log_mass.max()
    split = at_most > math.log(_LARGEST) + top + math.log(np.sum(np.exp(log_mass - top)))
    split[holder[np.any(half[:, holder] > width, axis=0)]] = True
    return np.asarray(split)


def _in_children(holder: np.ndarray, split: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """Which cell holds each known place (P,) once those are split that shall be, and their children come last.

    beyond: whether a place is above its cell's middle, in curvature and angle, (2, P).
    """
    kept, order = int(np.count_nonzero(~split)), np.cumsum(split) - 1
    child = kept + (2 * beyond[0] + beyond[1]) * (len(split) - kept) + order[holder]
    return np.where(split[holder], child, np.cumsum(~split)[holder] - 1)


def _widths(likelihood: Likelihood, peaks: np.ndarray) -> np.ndarray:
    """How wide cells at peaks may be, in curvature and angle: (2, P)."""
    at = _at(likelihood, peaks[:, 0], peaks[:, 1])
    rows = at.range_range * peaks[:, 0] ** 4, at.angle_angle
    return np.stack([_KNOWN_DEVIATIONS / np.sqrt(np.maximum(row, 1e-300)) for row in rows])


def _at(likelihood: Likelihood, range_m: np.ndarray, angle_rad: np.ndarray) -> Local:
    """At places (n,), parts (n,)."""
    here = likelihood.at(np, np.ascontiguousarray(range_m[None, None]), np.ascontiguousarray(angle_rad[None, None]))
    return Local(*(part[0, 0] for part in here))
