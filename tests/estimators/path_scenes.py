"""Random scenes of family B, far from the paper's: surfaces square and not, 3 to 100 GHz, λ/4 to λ/2, 0 to 30 dB.

1 to 8 users and 0 to 4 scatterers at −6 dB each, by turns near and far, random phases, about as many cycles as
`cycles_before_lock` asks for.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from engine.estimators.paths import Cycles, PathEstimates, PathEstimator, PathProblem
from engine.estimators.paths.closed_loop import ClosedLoop
from engine.estimators.paths.fit_bounds import fit_bounds
from engine.estimators.paths.newtonised import NewtonisedPursuit, acquired
from engine.estimators.paths.search_grid import UNRESOLVED_BEAMS
from engine.estimators.paths.trials import trials_of
from engine.numerics.candidates import FieldOfView
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformPlanarArray
from engine.numerics.path_fit import fit_paths
from engine.numerics.pursuit import degrees_of_freedom
from engine.numerics.wavefront import near_field_range_m, wave
from scenarios.ris.protocol import cycles_before_lock

LAB = (math.pi / 3, 2 * math.pi / 3, -math.pi / 6, math.pi / 6)
WIDE = (math.pi / 6, 5 * math.pi / 6, -math.pi / 3, math.pi / 3)
SCATTERED = 10 ** (-6 / 20)
FITTED = ClosedLoop(search=NewtonisedPursuit(enough=None))
"""Seeks the least χ², all scatterers fitted"""


class PathScene(NamedTuple):
    problem: PathProblem
    cycles: Cycles
    places: np.ndarray
    """κ, θ, φ of users, then of scatterers, (n, L + K, 3)"""
    snr_db: float

    @property
    def users(self) -> np.ndarray:
        return self.places[:, : self.problem.n_users]

    def of_trial(self, trial: int) -> "PathScene":
        one = slice(trial, trial + 1)
        return self._replace(cycles=Cycles(*(part[one] for part in self.cycles)), places=self.places[one])

    def chi_squared(self, estimates: PathEstimates) -> np.ndarray:
        """2‖residual‖²/σ² of the estimates, from their misfit, (n,)."""
        counts = np.isfinite(estimates.scatterer_polar_rad[:, 0]).sum(axis=-1)
        free = np.array([self.freedom(int(k)) for k in counts])
        return estimates.misfit[:, 0] * np.sqrt(2 * free) + free

    def freedom(self, n_scatterers: int) -> int:
        return degrees_of_freedom(self.cycles.beams.shape[1], self.problem.n_users, n_scatterers)

    def chi_squared_from_truth(self) -> np.ndarray:
        """The same of a fit that began at the truth."""
        samples = np.moveaxis(self.cycles.samples[:, 0], 1, 2)
        bounds = fit_bounds(self.problem.surface, self.problem.view)
        group = np.arange(len(self.places))
        fit = fit_paths(self.problem.surface, self.cycles.beams, group, samples, self.places, bounds)
        return 2 * fit.energy.sum(axis=-1) / self.cycles.noise_variance[:, 0]

    def lost(self, estimates: PathEstimates) -> np.ndarray:
        """Whether the surface can tell a user's direction from the estimated one, (n, L)."""
        surface = self.problem.surface
        polar, azimuth = estimates.polar_rad[:, 0], estimates.azimuth_rad[:, 0]
        true_polar, true_azimuth = self.users[..., 1], self.users[..., 2]
        along_y = np.sin(polar) * np.sin(azimuth) - np.sin(true_polar) * np.sin(true_azimuth)
        along_z = np.cos(polar) - np.cos(true_polar)
        beams = np.hypot(along_y * surface.n_y, along_z * surface.n_z) * surface.spacing_m / surface.wavelength_m
        return beams > UNRESOLVED_BEAMS


def path_scene(seed: int, n: int, *, most_elements: int = 26, snr_db: tuple[float, float] = (0.0, 30.0)) -> PathScene:
    """n trials of one random scene."""
    rng = np.random.default_rng(seed)
    wavelength_m = SPEED_OF_LIGHT_M_PER_S / 10 ** rng.uniform(math.log10(3e9), 11)
    n_y = int(rng.integers(8, most_elements))
    n_z = n_y if rng.random() < 0.5 else int(rng.integers(8, most_elements))
    surface = UniformPlanarArray(n_y, n_z, rng.uniform(0.25, 0.5) * wavelength_m, wavelength_m)
    n_users, n_scatterers = int(rng.integers(1, 9)), int(rng.integers(0, 5))
    snr = 10 ** (rng.uniform(*snr_db) / 10)
    angles = (LAB, WIDE)[int(rng.integers(2))]
    nearest = max(surface.fresnel_range_m, 1.06 * surface.aperture_m) * rng.uniform(1, 1.5)
    farthest = max(2 * nearest, surface.rayleigh_range_m * rng.uniform(1.2, 3))
    problem = PathProblem(surface, FieldOfView(*angles, nearest, farthest), n_users, n_scatterers)
    needed = -(-(n_users * (5 + 2 * n_scatterers) + 3 * n_scatterers) // (2 * n_users))
    locked = cycles_before_lock(surface.n_elements, n_scatterers, SCATTERED**2, snr)
    n_cycles = max(needed + 3, min(locked, 40))
    users, scatterers = (_places(rng, problem, n, count) for count in (n_users, n_scatterers))
    gain = np.exp(2j * np.pi * rng.random((n, n_users)))
    echo = SCATTERED * np.exp(2j * np.pi * rng.random((n, n_users, n_scatterers)))
    channel = gain[..., None] * wave(surface, *np.moveaxis(users, -1, 0))
    if n_scatterers:
        channel = channel + echo @ wave(surface, *np.moveaxis(scatterers, -1, 0))
    beams = np.exp(2j * np.pi * rng.random((n, n_cycles, surface.n_elements)))
    variance = surface.n_elements / snr
    noise = rng.normal(size=(2, n, n_cycles, n_users))
    samples = beams @ np.moveaxis(channel, 1, 2) + math.sqrt(variance / 2) * (noise[0] + 1j * noise[1])
    cycles = Cycles(beams, samples[:, None], np.full((n, 1), variance))
    return PathScene(problem, cycles, np.concatenate([users, scatterers], axis=1), 10 * math.log10(snr))


def _places(rng: np.random.Generator, problem: PathProblem, n: int, count: int) -> np.ndarray:
    """By turns near and far, uniform in range and angles, (n, count, 3)."""
    view = problem.view
    polar = rng.uniform(view.polar_min_rad, view.polar_max_rad, (n, count))
    azimuth = rng.uniform(view.azimuth_min_rad, view.azimuth_max_rad, (n, count))
    ends = polar
    if count:
        ends = np.clip(near_field_range_m(problem.surface, polar, azimuth), view.range_min_m, view.range_max_m)
    near = np.arange(count) % 2 == 0
    low = np.where(near, view.range_min_m, np.minimum(ends, 0.8 * view.range_max_m))
    high = np.where(near, np.maximum(ends, 1.1 * view.range_min_m), view.range_max_m)
    return np.stack([1 / rng.uniform(low, high), polar, azimuth], axis=-1)


def estimate(method: PathEstimator, scene: PathScene) -> PathEstimates:
    observer = method.prepare(scene.problem, np).begin()
    observer.observe(scene.cycles)
    return observer.estimate()


def nats_behind_truth(scene: PathScene) -> tuple[PathEstimates, np.ndarray]:
    """The default's estimates, and by how much they are less probable than a fit that began at the truth, (n,)."""
    observer: Any = ClosedLoop().prepare(scene.problem, np).begin()
    observer.observe(scene.cycles)
    estimates = observer.estimate()
    pursuit = observer.pursuit
    if not scene.problem.n_scatterers:
        return estimates, (scene.chi_squared(estimates) - scene.chi_squared_from_truth()) / 2
    trials, paths = acquired(pursuit, trials_of(scene.cycles, np), observer.rows)
    n_trials, unknown = len(scene.places), np.zeros(len(scene.places))
    count = np.full(n_trials, scene.problem.n_scatterers)
    start = pursuit.refined(trials, paths._replace(places=scene.places, count=count, ridge=unknown))
    truth = pursuit.polished(trials, pursuit.pruned(trials, pursuit.polished(trials, start)))
    return estimates, truth.evidence - observer.paths.evidence
