"""From users through a reconfigurable surface to a base station: a few paths to the surface, one from it.

Cao, Zhang, Eldar, Zhang, "Hybrid Near-field and Far-field Localization with Holographic MIMO", arXiv 2501.17868,
Section II. Equation numbers are that paper's.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from engine.numerics.geometry import SPEED_OF_LIGHT_M_PER_S, UniformPlanarArray
from engine.numerics.path_information import Paths
from engine.numerics.wavefront import wave

Array = Any


@dataclass(frozen=True)
class RisCascade:
    """The surface and where the base station is; its users share the band by frequency, `subcarrier_hz` apart."""

    surface: UniformPlanarArray
    base_station_m: tuple[float, float, float]
    subcarrier_hz: float = 0.0

    def to_base_station(self, xp: Any) -> Array:
        """h_RB at each element, (N,): the known channel, of unit modulus and referenced to the surface's centre."""
        x, y, z = self.base_station_m
        range_m = (x * x + y * y + z * z) ** 0.5
        places = np.array([1 / range_m]), np.array([np.arccos(z / range_m)]), np.array([np.arctan2(y, x)])
        return wave(self.surface, *(xp.asarray(part) for part in places))[0, :]

    def from_users(self, paths: Paths) -> Array:
        """h_l at each element, complex (..., L, N): direct and scattered paths at its own frequency, Eq. (2)."""
        xp = array_namespace(*paths)
        total = []
        for user in range(paths.gain.shape[-1]):
            surface = self._at_user(user)
            direct = wave(
                surface,
                paths.inverse_range_per_m[..., user],
                paths.polar_rad[..., user],
                paths.azimuth_rad[..., user],
            )
            scattered = wave(
                surface, paths.scatterer_inverse_range_per_m, paths.scatterer_polar_rad, paths.scatterer_azimuth_rad
            )
            gains = paths.scatterer_gain[..., user, :, None]
            total.append(paths.gain[..., user, None] * direct + xp.sum(gains * scattered, axis=-2))
        return xp.stack(total, axis=-2)

    def _at_user(self, user: int) -> UniformPlanarArray:
        """The surface at the wavelength of a user, f_l = f_0 + l Δf with l = 0, 1, …"""
        carrier_hz = SPEED_OF_LIGHT_M_PER_S / self.surface.wavelength_m + user * self.subcarrier_hz
        return replace(self.surface, wavelength_m=SPEED_OF_LIGHT_M_PER_S / carrier_hz)
