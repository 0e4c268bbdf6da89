"""Users at other frequencies than the one whose waves the estimators take for all."""

import math

import numpy as np

from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformPlanarArray


def rms_phase_rad(
    surface: UniformPlanarArray, angles: tuple[tuple[float, float], tuple[float, float]], more_hz: float
) -> float:
    """By how much plane waves of a frequency that is `more_hz` higher advance more, root mean square over the surface.

    Δk u·p at element p, for the direction between these polar and azimuth angles (rad) that is the most oblique.
    """
    polar, azimuth = (np.linspace(low, high, 33) for low, high in angles)
    u_y = float(np.abs(np.sin(polar)[:, None] * np.sin(azimuth)).max())
    u_z = float(np.abs(np.cos(polar)).max())
    spread_y, spread_z = (surface.spacing_m * math.sqrt((n * n - 1) / 12) for n in (surface.n_y, surface.n_z))
    more_per_m = 2 * math.pi * more_hz / SPEED_OF_LIGHT_M_PER_S
    return more_per_m * math.hypot(u_y * spread_y, u_z * spread_z)
