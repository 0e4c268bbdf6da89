"""What a planar array can tell apart: widths of its beams, and steps of inverse range.

All follow from aperture and wavelength: a beam is λ/(n d) wide in the direction cosine along a side, and two ranges
differ by the curvature of their waves over the aperture, which is of the order of λ/D² in κ = 1/r.
"""

import math

import numpy as np

from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.wavefront import path_difference

MOST_SAMPLES = 24
"""Elements along a side at which coherence is computed; more of them see the same smooth phase."""


def beam_widths(array: UniformPlanarArray) -> tuple[float, float]:
    """λ/(n d) along y and z: from a beam's peak to its first zero, in direction cosines.

    >>> surface = UniformPlanarArray(n_y=20, n_z=10, spacing_m=0.005, wavelength_m=0.01)
    >>> [round(width, 12) for width in beam_widths(surface)]
    [0.1, 0.2]
    """
    return tuple(array.wavelength_m / (n * array.spacing_m) for n in (array.n_y, array.n_z))  # type: ignore[return-value]


def coherence(
    array: UniformPlanarArray, first_per_m: float, second_per_m: float, polar_rad: np.ndarray, azimuth_rad: np.ndarray
) -> float:
    """|aᴴb|²/N² of waves from two inverse ranges, the least of it over directions (n,)."""
    y, z = (_side(n, array.spacing_m) for n in (array.n_y, array.n_z))
    y, z = (part.reshape(-1) for part in np.meshgrid(y, z, indexing="ij"))
    t = y * (np.sin(polar_rad) * np.sin(azimuth_rad))[:, None] + z * np.cos(polar_rad)[:, None]
    first, second = (path_difference(np.asarray(kappa), t, y * y + z * z) for kappa in (first_per_m, second_per_m))
    overlap = np.mean(np.exp(1j * array.wavenumber_rad_per_m * (first - second)), axis=-1)
    return float(np.min(np.abs(overlap) ** 2))


def inverse_range_levels(
    array: UniformPlanarArray, most_per_m: float, polar_rad: np.ndarray, azimuth_rad: np.ndarray, *, loss: float
) -> np.ndarray:
    """Levels of κ from 0 to `most_per_m`, ascending: any wave in between keeps 1 − loss of its power at one of them."""
    levels, end = [], most_per_m
    while end > 0:
        level = _below(array, end, polar_rad, azimuth_rad, loss)
        levels.append(level)
        end = _below(array, level, polar_rad, azimuth_rad, loss)
    return np.asarray(levels[::-1])


def inverse_range_step_per_m(array: UniformPlanarArray, loss: float) -> float:
    """The step of κ at which a wave straight ahead, far away, keeps 1 − loss of its power."""
    ahead = np.array([math.pi / 2]), np.array([0.0])
    low, high = 0.0, array.wavelength_m / array.aperture_m**2
    while coherence(array, 0.0, high, *ahead) > 1 - loss and high < 1 / array.aperture_m:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if coherence(array, 0.0, middle, *ahead) > 1 - loss else (low, middle)
    return high


def _below(
    array: UniformPlanarArray, kappa: float, polar_rad: np.ndarray, azimuth_rad: np.ndarray, loss: float
) -> float:
    """The smallest κ down to which the wave at `kappa` keeps 1 − loss of its power; at least 0."""
    step = array.wavelength_m / array.aperture_m**2 / 4
    near = kappa
    while near > 0 and coherence(array, kappa, max(near - step, 0.0), polar_rad, azimuth_rad) > 1 - loss:
        near = max(near - step, 0.0)
    if near == 0:
        return 0.0
    low, high = max(near - step, 0.0), near
    for _ in range(30):
        middle = (low + high) / 2
        if coherence(array, kappa, middle, polar_rad, azimuth_rad) > 1 - loss:
            high = middle
        else:
            low = middle
    return high


def _side(n: int, spacing_m: float) -> np.ndarray:
    half = (n - 1) * spacing_m / 2
    return np.linspace(-half, half, min(n, MOST_SAMPLES))
