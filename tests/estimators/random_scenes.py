"""Random scenes of family A, far from the paper's: arrays, areas, priors, sensors, noise and snapshots, seeded."""

from typing import NamedTuple

import numpy as np
from brute_force import leakages

from engine.estimators import Observations, Problem
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformLinearArray
from engine.numerics.leakage import LeakageModel
from engine.numerics.leakage_names import model_named
from engine.numerics.pattern import SearchGrid

TRANSMIT_DBM = 23.0


class Scene(NamedTuple):
    """An array, an area and a prior, with users, their sensors and what these saw; S = L = 1."""

    problem: Problem
    model: str
    seen: Observations
    """B users, K sensors"""
    user_m: np.ndarray
    """(B,)"""
    user_rad: np.ndarray
    """(B,)"""

    def words(self) -> str:
        grid, array = self.problem.grid, self.problem.array
        return (
            f"{self.model}, N = {array.n_elements}, Δ = {array.spacing_m / array.wavelength_m:.2f} λ, "
            f"λ = {1e3 * array.wavelength_m:.1f} mm, {grid.range_min_m:.3g}–{grid.range_max_m:.3g} m, "
            f"{grid.angle_min_rad:.3f}–{grid.angle_max_rad:.3f} rad, K = {self.seen.statistic.shape[-1]}, "
            f"L = {self.problem.n_snapshots[0]}, P/σ² = {10 * np.log10(self.problem.snr[0]):.1f} dB, "
            f"Beta({self.problem.range_alpha:.2g}, {self.problem.range_beta:.2g})"
        )


def _log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def random_scene(
    seed: int, users: int, *, most_elements: int = 512, fewest_sensors: int = 3, most_sensors: int = 100
) -> Scene:
    """Elements 16–512, 3–100 GHz, spacing λ/4–λ/2, 3–100 sensors at 20–300 m anywhere in (0, π), 1–1000 snapshots,
    −60 to −130 dBm, any sector, ranges from the aperture's width upwards, half of the priors uniform, else Beta.
    Every fourth scene is of spherical waves, with at most 128 elements; the others are of the closed form."""
    generator = np.random.default_rng([14, seed])
    model = "spherical" if generator.random() < 0.25 else "fresnel_closed"
    n = round(_log_uniform(generator, 16, min(most_elements, 128) if model == "spherical" else most_elements))
    wavelength_m = SPEED_OF_LIGHT_M_PER_S / _log_uniform(generator, 3e9, 100e9)
    array = UniformLinearArray(n, wavelength_m * generator.uniform(0.25, 0.5), wavelength_m)
    nearest_m = array.aperture_m * _log_uniform(generator, 1.0, 20.0)
    farthest_m = nearest_m * _log_uniform(generator, 1.3, 10.0)
    low, high = np.sort(generator.uniform(0.05, np.pi - 0.05, 2))
    low, high = (low, high) if high - low > 0.2 else (0.5, 2.0)
    snapshots = round(_log_uniform(generator, 1, 1000))
    snr = 10 ** ((TRANSMIT_DBM + generator.uniform(60, 130)) / 10)
    alpha, beta = (1.0, 1.0) if generator.random() < 0.5 else generator.uniform(1.0, 4.0, 2)
    grid = SearchGrid(nearest_m, farthest_m, float(low), float(high))
    problem = Problem(array, grid, (snr,), (snapshots,), float(alpha), float(beta))
    n_sensors = round(_log_uniform(generator, fewest_sensors, most_sensors))
    user_m = nearest_m + (farthest_m - nearest_m) * generator.beta(alpha, beta, users)
    user_rad = generator.uniform(low, high, users)
    sensor_m = np.exp(generator.uniform(np.log(20), np.log(300), (users, n_sensors)))
    sensor_rad = generator.uniform(0, np.pi, (users, n_sensors))
    g = leakages(model, array, user_m[:, None], user_rad[:, None], sensor_rad)[:, 0]
    noncentrality = 2 * snapshots * snr * (wavelength_m / (4 * np.pi * sensor_m)) ** 2 * g
    amplitude = np.sqrt(noncentrality) + generator.standard_normal(g.shape)
    statistic = amplitude**2 + generator.chisquare(2 * snapshots - 1, g.shape)
    seen = Observations(statistic[:, None, None, :], sensor_m, sensor_rad)
    for part in seen:
        part.setflags(write=False)
    return Scene(problem, model, seen, user_m, user_rad)


def model_of(scene: Scene) -> LeakageModel:
    """What the scene's estimators assume, which made its data."""
    return model_named(scene.model)
