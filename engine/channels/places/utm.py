"""Universal Transverse Mercator, to a micrometre: Krüger's series to the fourth order.

Karney, "Transverse Mercator with an accuracy of a few nanometers", J. Geodesy 85 (2011), Eqs. (7)–(36).
"""

from typing import Any, NamedTuple

import numpy as np

_SEMI_MAJOR_M, _FLATTENING = 6_378_137.0, 1 / 298.257223563  # WGS84; GRS80 differs by 0.1 mm
_SCALE, _FALSE_EAST_M, _FALSE_NORTH_M = 0.9996, 500_000.0, 10_000_000.0
_N = _FLATTENING / (2 - _FLATTENING)
_ECCENTRICITY = np.sqrt(_FLATTENING * (2 - _FLATTENING))
_RADIUS_M = _SEMI_MAJOR_M / (1 + _N) * (1 + _N**2 / 4 + _N**4 / 64)
_ALPHA = (  # Eq. (35)
    _N / 2 - 2 * _N**2 / 3 + 5 * _N**3 / 16 + 41 * _N**4 / 180,
    13 * _N**2 / 48 - 3 * _N**3 / 5 + 557 * _N**4 / 1440,
    61 * _N**3 / 240 - 103 * _N**4 / 140,
    49561 * _N**4 / 161280,
)
_BETA = (  # Eq. (36)
    _N / 2 - 2 * _N**2 / 3 + 37 * _N**3 / 96 - _N**4 / 360,
    _N**2 / 48 + _N**3 / 15 - 437 * _N**4 / 1440,
    17 * _N**3 / 480 - 37 * _N**4 / 840,
    4397 * _N**4 / 161280,
)
_NEWTON_STEPS = 5


class Zone(NamedTuple):
    """A zone, 6° wide around its meridian."""

    number: int
    is_south: bool

    @property
    def meridian_deg(self) -> float:
        return 6.0 * self.number - 183.0

    def from_geographic(self, longitude: Any, latitude: Any) -> tuple[np.ndarray, np.ndarray]:
        """Degrees to metres east and north."""
        away = np.radians((np.asarray(longitude, dtype=float) - self.meridian_deg + 180) % 360 - 180)
        tau = _conformal(np.tan(np.radians(np.asarray(latitude, dtype=float))))  # Eqs. (7)–(9)
        xi = np.arctan2(tau, np.cos(away))  # Eq. (10)
        eta = np.arcsinh(np.sin(away) / np.hypot(tau, np.cos(away)))
        zeta = xi + 1j * eta
        zeta = zeta + sum(a * np.sin(2 * j * zeta) for j, a in enumerate(_ALPHA, 1))  # Eq. (11)
        north = _SCALE * _RADIUS_M * zeta.real + (_FALSE_NORTH_M if self.is_south else 0.0)
        return _FALSE_EAST_M + _SCALE * _RADIUS_M * zeta.imag, north

    def to_geographic(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Metres east and north to degrees."""
        north = np.asarray(y, dtype=float) - (_FALSE_NORTH_M if self.is_south else 0.0)
        zeta = (north + 1j * (np.asarray(x, dtype=float) - _FALSE_EAST_M)) / (_SCALE * _RADIUS_M)
        zeta = zeta - sum(b * np.sin(2 * j * zeta) for j, b in enumerate(_BETA, 1))  # Eq. (15)
        xi, eta = zeta.real, zeta.imag
        conformal = np.sin(xi) / np.hypot(np.sinh(eta), np.cos(xi))  # Eq. (18)
        away = np.degrees(np.arctan2(np.sinh(eta), np.cos(xi)))
        tau = conformal
        for _ in range(_NEWTON_STEPS):  # Eqs. (19)–(21)
            here = _conformal(tau)
            slope = (1 / (1 - _ECCENTRICITY**2) + tau**2) / (np.hypot(1, here) * np.hypot(1, tau))
            tau = tau + (conformal - here) * slope
        return (self.meridian_deg + away + 180) % 360 - 180, np.degrees(np.arctan(tau))


def _conformal(tau: Any) -> Any:
    """tan of the conformal latitude from tan of the geographic one."""
    sigma = np.sinh(_ECCENTRICITY * np.arctanh(_ECCENTRICITY * tau / np.hypot(1, tau)))
    return tau * np.hypot(1, sigma) - sigma * np.hypot(1, tau)


def zone_of(epsg: int) -> Zone | None:
    """The zone that a number of EPSG's names, of a datum within two metres of WGS84: 32632, 25832, 26918, 28356."""
    century, number = divmod(epsg, 100)
    if century in (326, 327) and 1 <= number <= 60:
        return Zone(number, century == 327)
    if (century == 258 and 28 <= number <= 38) or (century == 269 and 1 <= number <= 23):  # ETRS89, NAD83
        return Zone(number, False)
    if 28348 <= epsg <= 28358 or 7846 <= epsg <= 7859:  # Map Grid of Australia 1994, 2020
        return Zone(epsg - (28300 if epsg > 28000 else 7800), True)
    return None
