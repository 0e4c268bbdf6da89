"""Two users, one scatterer and 16 cycles without random numbers, whose bounds were computed by others beforehand."""

import numpy as np

from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformPlanarArray
from engine.numerics.path_information import Paths

SURFACE = UniformPlanarArray(n_y=25, n_z=25, spacing_m=0.005, wavelength_m=SPEED_OF_LIGHT_M_PER_S / 28e9)
NOISE_VARIANCE = 62.5
PATHS = Paths(
    1 / np.array([2.3, 7.4]),
    np.array([1.45, 1.72]),
    np.array([0.21, -0.33]),
    np.array([1, 1j]),
    1 / np.array([3.1]),
    np.array([1.30]),
    np.array([-0.12]),
    0.3 * np.exp(np.array([[0.7j], [1.7j]])),
)


def phases() -> np.ndarray:
    """s, (16, 625)."""
    n, c = np.arange(625), np.arange(16)[:, None]
    return np.exp(2j * np.pi * (43758.5453 * np.sin(12.9898 * (n + 1) + 78.233 * (c + 1)) % 1))


def base_station() -> np.ndarray:
    """h_RB from (3, −4, 1) m, (625,)."""
    y, z = SURFACE.positions_m(np)
    distance = np.sqrt(9 + (-4 - y) ** 2 + (1 - z) ** 2)
    return np.exp(-1j * SURFACE.wavenumber_rad_per_m * (distance - np.sqrt(26)))


def beams() -> np.ndarray:
    return phases() * base_station()
