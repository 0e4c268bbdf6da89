"""Small scenes for tests of path estimators: what section 3 of the specification says, drawn from one generator."""

import math
from typing import NamedTuple

import numpy as np

from engine.estimators.paths import Cycles, PathEstimates, PathProblem
from engine.numerics.candidates import FieldOfView
from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformPlanarArray
from engine.numerics.wavefront import near_field_range_m, wave

SURFACE = UniformPlanarArray(25, 25, 0.005, SPEED_OF_LIGHT_M_PER_S / 28e9)
LAB = FieldOfView(math.pi / 3, 2 * math.pi / 3, -math.pi / 6, math.pi / 6, 0.5, 10.0)


class Truth(NamedTuple):
    """Places (G, L) and scatterers' (G, K), as κ, θ, φ; gains of the direct paths (G, L)."""

    users: tuple[np.ndarray, ...]
    scatterers: tuple[np.ndarray, ...]
    gains: np.ndarray


def places(rng: np.random.Generator, near: np.ndarray, n: int, surface: UniformPlanarArray = SURFACE) -> tuple:
    """κ, θ, φ, (n, len(near)): uniform angles; range uniform up to the near field's end, or from there on."""
    shape = (n, len(near))
    polar = rng.uniform(LAB.polar_min_rad, LAB.polar_max_rad, shape)
    azimuth = rng.uniform(LAB.azimuth_min_rad, LAB.azimuth_max_rad, shape)
    ends = near_field_range_m(surface, polar, azimuth)
    low, high = np.where(near, LAB.range_min_m, ends), np.where(near, ends, LAB.range_max_m)
    return 1 / rng.uniform(low, high), polar, azimuth


def trials(
    n: int,
    snr_db: tuple[float, ...],
    *,
    seed: int = 1,
    n_cycles: int = 20,
    n_users: int = 4,
    n_scatterers: int = 2,
    surface: UniformPlanarArray = SURFACE,
) -> tuple[PathProblem, Cycles, Truth]:
    """Random phases, users near and far in turn, scatterers near and far in turn at −10 dB; σ² = N/SNR."""
    rng = np.random.default_rng(seed)
    users = places(rng, np.arange(n_users) % 2 == 0, n, surface)
    scatterers = places(rng, np.arange(n_scatterers) % 2 == 0, n, surface)
    gains = np.exp(2j * np.pi * rng.random((n, n_users)))
    echoes = math.sqrt(0.1) * np.exp(2j * np.pi * rng.random((n, n_users, n_scatterers)))
    channel = gains[..., None] * wave(surface, *users) + echoes @ wave(surface, *scatterers)
    beams = np.exp(2j * np.pi * rng.random((n, n_cycles, surface.n_elements)))
    noise_variance = surface.n_elements / 10 ** (np.asarray(snr_db) / 10)
    noise = rng.normal(size=(2, n, len(snr_db), n_cycles, n_users))
    samples = (beams @ np.moveaxis(channel, 1, 2))[:, None] + np.sqrt(noise_variance / 2)[:, None, None] * (
        noise[0] + 1j * noise[1]
    )
    problem = PathProblem(surface, LAB, n_users, n_scatterers)
    variances = np.broadcast_to(noise_variance, (n, len(snr_db)))
    return problem, Cycles(beams, samples, variances), Truth(users, scatterers, gains)


def lattice_around(
    surface: UniformPlanarArray, polar: float, azimuth: float, away_rad: tuple[float, float], n: tuple[int, int]
) -> np.ndarray:
    """κ, θ, φ (M, 3) within 0.75 beams of a direction: n ranges in equal steps, n angles a side, so far off at most."""
    axes = (
        1 / np.linspace(LAB.range_min_m, LAB.range_max_m, n[0]),
        np.linspace(max(LAB.polar_min_rad, polar - away_rad[0]), min(LAB.polar_max_rad, polar + away_rad[0]), n[1]),
        np.linspace(
            max(LAB.azimuth_min_rad, azimuth - away_rad[1]), min(LAB.azimuth_max_rad, azimuth + away_rad[1]), n[1]
        ),
    )
    found = np.stack([part.ravel() for part in np.meshgrid(*axes, indexing="ij")], axis=-1)
    along = np.sin(found[:, 1]) * np.sin(found[:, 2]) - math.sin(polar) * math.sin(azimuth)
    upwards = np.cos(found[:, 1]) - math.cos(polar)
    beams = np.hypot(surface.n_y * along, surface.n_z * upwards) * surface.spacing_m / surface.wavelength_m
    return found[beams < 0.75]


def angle_errors(estimates: PathEstimates, truth: Truth) -> np.ndarray:
    """√(δθ² + δφ²) in rad, (G, S, L)."""
    _, polar, azimuth = (part[:, None, :] for part in truth.users)
    return np.hypot(estimates.polar_rad - polar, estimates.azimuth_rad - azimuth)


def inlier_rmse(errors: np.ndarray, limit: float = 0.05) -> float:
    """Per angle, of errors below the limit."""
    good = errors[errors < limit]
    return math.sqrt(np.mean(good**2) / 2)
