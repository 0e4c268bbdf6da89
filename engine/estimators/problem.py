"""What an estimator knows, sees and returns."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from engine.numerics.geometry import UniformLinearArray
from engine.numerics.pattern import SearchGrid

Array = Any
PEAKS = 5
"""Peaks along the angle that a surface names."""


@dataclass(frozen=True)
class Problem:
    """What an estimator knows beforehand.

    array: the transmitter's; grid: candidates, which also bound the user's place; snr: P_t/σ² of each of S noise
    powers; n_snapshots: each of the L's. range_alpha, range_beta: the prior of the range over the grid's interval is
    Beta(α, β); (1, 1) is uniform. The angle's prior is uniform. Noise power and transmit power are known. setting: what
    else expected powers follow from, by name; nothing in free space. sensor_range_m: of the nearest and the farthest
    sensor that will be met; tables of models that take sensors where they stand are made for these, and without them
    leakages are computed for every realization, which is right everywhere and takes a hundred times as long.
    """

    array: UniformLinearArray
    grid: SearchGrid
    snr: tuple[float, ...]
    n_snapshots: tuple[int, ...]
    range_alpha: float = 1.0
    range_beta: float = 1.0
    setting: tuple[tuple[str, Any], ...] = ()
    sensor_range_m: tuple[float, float] | None = None

    def observations(self) -> list[tuple[float, int]]:
        """(P_t/σ², L) of each of the M = S · L observations of a realization, in the order of their axes."""
        return [(snr, n) for snr in self.snr for n in self.n_snapshots]

    def places(self, xp: Any, candidate: Array) -> tuple[Array, Array]:
        """Range (m) and angle (rad) of candidates given by index, any shape."""
        ranges, angles = xp.asarray(self.grid.ranges_m()), xp.asarray(self.grid.angles_rad())
        return ranges[candidate % self.grid.n_ranges], angles[candidate // self.grid.n_ranges]

    def log_range_prior(self, xp: Any, range_m: Array) -> Array:
        """Logarithm of the prior density of ranges inside the grid, up to a constant, any shape; −∞ outside."""
        low, high = self.grid.range_min_m, self.grid.range_max_m
        inside = (range_m >= low) & (range_m <= high)
        total = xp.zeros_like(range_m)
        for exponent, part in ((self.range_alpha - 1, range_m - low), (self.range_beta - 1, high - range_m)):
            if exponent:
                total = total + exponent * xp.log(xp.clip(part / (high - low), 1e-300, 1.0))
        return xp.where(inside, total, xp.full_like(range_m, -math.inf))

    def cell_weights(self) -> np.ndarray:
        """Prior density of the range at each candidate times the area of its cell, m rad: (angles, ranges)."""
        ranges_m, angles_rad = self.grid.ranges_m(), self.grid.angles_rad()
        prior = np.exp(self.log_range_prior(np, ranges_m))
        return trapezoid(angles_rad)[:, None] * (trapezoid(ranges_m) * prior)


def trapezoid(nodes: np.ndarray) -> np.ndarray:
    """Weights of the trapezoidal rule at ascending nodes."""
    steps = np.diff(nodes) / 2
    return np.pad(steps, (0, 1)) + np.pad(steps, (1, 0))


class Observations(NamedTuple):
    """One block of what the sensors saw: B realizations, S noise powers, L snapshot counts, K sensors."""

    statistic: Array
    """S_k = Σ_t 2p_k[t]/σ², (B, S, L, K)"""
    sensor_range_m: Array
    """(B, K)"""
    sensor_angle_rad: Array
    """(B, K)"""


class Estimates(NamedTuple):
    """Estimated places, (B, S, L) each."""

    range_m: Array
    angle_rad: Array


class Surface(NamedTuple):
    """What one pass over the likelihood of every candidate leaves; M = S · L observations."""

    likely: Array
    """index of a candidate as likely as any, but for single precision, (B, M)"""
    angle_mass: Array
    """posterior mass at each angle of the grid, up to a common factor, (B, M, angles)"""
    angle_range_m: Array
    """that mass times the mean range at the angle, (B, M, angles)"""
    angle_range_m2: Array
    """that mass times the variance of the range at the angle, (B, M, angles)"""
    peaks: Array
    """indices of the angles that have more mass than both neighbours, the most first, (B, M, PEAKS); −1 for none"""
    maxima: Array
    """indices of candidates that are as likely as their neighbours, or are taken for such, the likeliest there are,
    in no order, (B, M, MAXIMA); −1 for none"""
    maxima_value: Array
    """their log-likelihoods, but for single precision"""
    log_scale: Array
    """masses are relative to e^log_scale, the log-likelihood with all its constants, (B, M)"""
