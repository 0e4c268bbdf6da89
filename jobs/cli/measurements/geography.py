"""From latitude and longitude to metres ahead of an array and along it."""

import math
from typing import Any

import numpy as np

from engine import InputError
from jobs.cli.measurements.record import Place

_SEMI_MAJOR_M, _ECCENTRICITY_2 = 6_378_137.0, 6.69437999014e-3  # WGS84
FARTHEST_M = 30_000.0
"""from the array: there the Earth has fallen 70 m below the plane in which sensors are taken to stand"""


def ahead_and_along_m(
    latitude_rad: np.ndarray, longitude_rad: np.ndarray, place: Place
) -> tuple[np.ndarray, np.ndarray]:
    """Metres ahead of the array, and along its axis, positive to the left of who looks ahead; in its tangent plane.

    Exact upon the ellipsoid: by Cartesian coordinates of both places, at no height.
    """
    here = _cartesian_m(math.radians(place.latitude_deg), math.radians(place.longitude_deg))
    x, y, z = (there - own for there, own in zip(_cartesian_m(latitude_rad, longitude_rad), here, strict=True))
    phi, lam = math.radians(place.latitude_deg), math.radians(place.longitude_deg)
    east_m = -math.sin(lam) * x + math.cos(lam) * y
    north_m = -math.sin(phi) * (math.cos(lam) * x + math.sin(lam) * y) + math.cos(phi) * z
    bearing = math.radians(place.bearing_deg)
    ahead_m = math.sin(bearing) * east_m + math.cos(bearing) * north_m
    return ahead_m, math.sin(bearing) * north_m - math.cos(bearing) * east_m


def _cartesian_m(latitude_rad: Any, longitude_rad: Any) -> tuple[Any, Any, Any]:
    across_m = _SEMI_MAJOR_M / np.sqrt(1 - _ECCENTRICITY_2 * np.sin(latitude_rad) ** 2)
    return (
        across_m * np.cos(latitude_rad) * np.cos(longitude_rad),
        across_m * np.cos(latitude_rad) * np.sin(longitude_rad),
        across_m * (1 - _ECCENTRICITY_2) * np.sin(latitude_rad),
    )


def place_of(text: str) -> Place:
    """LATITUDE,LONGITUDE,BEARING in degrees. Raises InputError.

    >>> place_of("52.5, 13.4, 90")
    Place(latitude_deg=52.5, longitude_deg=13.4, bearing_deg=90.0)
    """
    try:
        place = Place(*(float(part) for part in text.split(",")))
    except (ValueError, TypeError):
        place = Place(math.nan, math.nan, math.nan)
    if not (abs(place.latitude_deg) <= 90 and abs(place.longitude_deg) <= 360 and abs(place.bearing_deg) <= 360):
        raise InputError(
            f"--array {text}: needed the array's LATITUDE,LONGITUDE,BEARING in degrees, as 52.5186,13.3763,90: the "
            f"bearing is that of what is straight ahead, clockwise from north"
        )
    return place
