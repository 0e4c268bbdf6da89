"""Where family B's scenes put users and scatterers: directions in the view, near one another, and where it ends."""

import functools

import numpy as np

from engine.numerics.candidates import FieldOfView
from engine.numerics.geometry import UniformPlanarArray
from engine.numerics.resolution import beam_widths
from engine.numerics.wavefront import near_field_range_m


@functools.lru_cache(maxsize=64)
def ends_of_near_field(surface: UniformPlanarArray, view: FieldOfView) -> tuple[float, float]:
    """Shortest and longest range at which the near field ends, over a grid of directions in view.

    Kept, as a sweep asks it of a scene a point, and every process builds all sweeps.
    """
    polar, azimuth = directions(view, np.linspace(0, 1, 9)[:, None], np.linspace(0, 1, 9)[None, :])
    ends = near_field_range_m(surface, *np.broadcast_arrays(polar, azimuth))
    return float(ends.min()), float(ends.max())


def directions(view: FieldOfView, polar_share: np.ndarray, azimuth_share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (
        view.polar_min_rad + (view.polar_max_rad - view.polar_min_rad) * polar_share,
        view.azimuth_min_rad + (view.azimuth_max_rad - view.azimuth_min_rad) * azimuth_share,
    )


def beside(
    surface: UniformPlanarArray, polar: np.ndarray, azimuth: np.ndarray, beams: float, angle_rad: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Directions so many beam widths from others, in direction cosines, at an angle in [0, π/2] towards the middle."""
    width_y, width_z = beam_widths(surface)
    u_y, u_z = np.sin(polar) * np.sin(azimuth), np.cos(polar)
    u_y = u_y - np.copysign(beams * width_y * np.cos(angle_rad), u_y)
    u_z = u_z - np.copysign(beams * width_z * np.sin(angle_rad), u_z)
    polar = np.arccos(u_z)
    return polar, np.arcsin(u_y / np.sin(polar))


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt(np.sum(vectors * vectors, axis=-1, keepdims=True))
