"""What the coordinates of a map are: latitude and longitude, metres, or a projection, by the name that the file gives.

Longitude comes first, as RFC 7946 has it and GDAL writes it whatever a `crs` says of the order. Projections whose
metres are metres on the ground, UTM above all, stay as they are; those that stretch are undone. pyproj, an extra, knows
every other.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.channels.places import utm
from engine.errors import InputError

SEMI_MAJOR_M, ECCENTRICITY_2 = 6_378_137.0, 6.69437999014e-3  # WGS84
_METRES_ARE_METRES = 2e-3  # scale of a projection: UTM has 0.9996 to 1.001
_GEOGRAPHIC = {4326, 4979, 4258, 4937, 4269, 7844, 4283, 4617}  # within two metres of WGS84, all of a place alike
_MERCATOR = {3857, 900913, 102100, 102113, 3785}
_NAMES = re.compile(r"(?:^|[:/])(EPSG|ESRI)[:/]+(?:[\d.]*[:/]+)?(\d+)$", re.IGNORECASE)
_CRS84 = re.compile(r"CRS:?84h?$", re.IGNORECASE)

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Coordinates:
    """How positions (x, y) of a file are to be read.

    to_geographic, from_geographic: to and from longitude and latitude in degrees; None for metres that are nowhere on
    Earth. in_metres: x and y are metres east and north as they stand.
    """

    name: str
    in_metres: bool
    to_geographic: Callable[[Any, Any], Pair] | None = None
    from_geographic: Callable[[Any, Any], Pair] | None = None

    @property
    def is_geographic(self) -> bool:
        return self.to_geographic is _same

    def local_m(self, x: Any, y: Any, origin: tuple[float, float]) -> Pair:
        """Metres east and north of an origin, which is in the file's coordinates; both as in the file."""
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if self.in_metres or self.to_geographic is None:
            return x - origin[0], y - origin[1]
        here, there = self.to_geographic(x, y), self.to_geographic(*origin)
        per_east, per_north = metres_per_degree(float(there[1]))
        return wrapped(here[0] - there[0]) * per_east, (here[1] - there[1]) * per_north

    def from_local_m(self, east_m: Any, north_m: Any, origin: tuple[float, float]) -> Pair:
        """The inverse: longitude and latitude, or the file's own metres."""
        east_m, north_m = np.asarray(east_m, dtype=float), np.asarray(north_m, dtype=float)
        if self.in_metres or self.to_geographic is None:
            return origin[0] + east_m, origin[1] + north_m
        there = self.to_geographic(*origin)
        per_east, per_north = metres_per_degree(float(there[1]))
        return wrapped(there[0] + east_m / per_east), there[1] + north_m / per_north

    def latitude_longitude(self, origin: tuple[float, float]) -> tuple[float, float] | None:
        """Degrees, None where nobody knows."""
        if self.to_geographic is None:
            return None
        longitude, latitude = self.to_geographic(*origin)
        return float(latitude), float(wrapped(longitude))

    def north_deg(self, origin: tuple[float, float]) -> float:
        """How far, clockwise, north of the coordinates is from true north: 0 but for metres of a projection."""
        if not self.in_metres or self.to_geographic is None or self.from_geographic is None:
            return 0.0
        longitude, latitude = self.to_geographic(*origin)
        x, y = self.from_geographic(longitude, latitude + 1e-4)
        return -float(np.degrees(np.arctan2(x - origin[0], y - origin[1])))


def wrapped(longitude: Any) -> Any:
    """Within ±180°: places on both sides of the antimeridian are near each other."""
    return (np.asarray(longitude, dtype=float) + 180.0) % 360.0 - 180.0


def metres_per_degree(latitude_deg: float) -> tuple[float, float]:
    """East and north, of the ellipsoid's radii of curvature there: 1e-5 of the distance within a few kilometres."""
    sine, cosine = np.sin(np.radians(latitude_deg)), np.cos(np.radians(latitude_deg))
    flattened = 1 - ECCENTRICITY_2 * sine * sine
    across_m = SEMI_MAJOR_M / np.sqrt(flattened)
    return float(np.radians(1) * across_m * cosine), float(np.radians(1) * across_m * (1 - ECCENTRICITY_2) / flattened)


def _same(x: Any, y: Any) -> Pair:
    return np.asarray(x, dtype=float), np.asarray(y, dtype=float)


LONGITUDE_LATITUDE = Coordinates("WGS84", False, _same, _same)
METRES = Coordinates("metres", True)


def coordinates_of(crs: Any, near: tuple[float, float] | None = None) -> Coordinates:
    """What a file's `crs` means; `near` is a position in it. InputError, by its name, for what nobody here can read."""
    if crs is None or crs == "":
        return LONGITUDE_LATITUDE
    name = _name_of(crs)
    if _CRS84.search(name) or name.upper() in ("WGS84", "WGS 84"):
        return LONGITUDE_LATITUDE
    code = _code_of(name)
    if code in _GEOGRAPHIC:
        return LONGITUDE_LATITUDE
    if code in _MERCATOR:
        return Coordinates(f"EPSG:{code}", False, _from_mercator, _to_mercator)
    if code and (zone := utm.zone_of(code)):
        return Coordinates(f"EPSG:{code}", True, zone.to_geographic, zone.from_geographic)
    return _by_pyproj(name, near)


def _name_of(crs: Any) -> str:
    """Of a GeoJSON member of 2008, in any of its forms, or a plain name."""
    if isinstance(crs, str):
        return crs.strip()
    properties = crs.get("properties") if isinstance(crs, dict) else None
    if isinstance(properties, dict):
        if properties.get("name"):
            return str(properties["name"]).strip()
        if str(crs.get("type")).upper() == "EPSG" and properties.get("code"):
            return f"EPSG:{properties['code']}"
        if properties.get("href"):
            return str(properties["href"]).strip()
    return f"{crs!r:.80}"


def _code_of(name: str) -> int | None:
    found = _NAMES.search(name)
    if found:
        return int(found[2])
    return int(name) if name.isdecimal() else None


def _to_mercator(longitude: Any, latitude: Any) -> Pair:
    x = SEMI_MAJOR_M * np.radians(np.asarray(longitude, dtype=float))
    return x, SEMI_MAJOR_M * np.arctanh(np.sin(np.radians(np.asarray(latitude, dtype=float))))


def _from_mercator(x: Any, y: Any) -> Pair:
    """EPSG:3857: a sphere's Mercator of the ellipsoid's latitude."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    return np.degrees(x / SEMI_MAJOR_M), np.degrees(np.arcsin(np.tanh(y / SEMI_MAJOR_M)))


def _by_pyproj(name: str, near: tuple[float, float] | None) -> Coordinates:
    advice = "export the map in WGS84, as ogr2ogr -t_srs EPSG:4326 does"
    try:
        import pyproj
    except ImportError:
        raise InputError(
            f"its crs is {name:.80}, which needs pyproj: pip install 'nearfield[places]', or {advice}"
        ) from None
    try:
        system = pyproj.CRS.from_user_input(name)
        forward = pyproj.Transformer.from_crs(4326, system, always_xy=True)
    except pyproj.exceptions.ProjError:
        raise InputError(f"its crs is {name:.80}, which is none that is known: {advice}") from None

    def to_geographic(x: Any, y: Any) -> Pair:
        longitude, latitude = forward.transform(x, y, direction="INVERSE")
        return np.asarray(longitude), np.asarray(latitude)

    def from_geographic(longitude: Any, latitude: Any) -> Pair:
        x, y = forward.transform(longitude, latitude)
        return np.asarray(x), np.asarray(y)

    if system.is_geographic:
        return Coordinates(system.name, False, to_geographic, from_geographic)
    if not system.is_projected:
        raise InputError(f"its crs is {name:.80}, which is no map's: {advice}")
    true = near is not None and _is_true_to_scale(near, to_geographic, from_geographic)
    return Coordinates(system.name, true, to_geographic, from_geographic)


def _is_true_to_scale(
    near: tuple[float, float], to_geographic: Callable[..., Pair], from_geographic: Callable[..., Pair]
) -> bool:
    """Whether steps of the coordinates are as many metres on the ground, both ways."""
    longitude, latitude = (float(part) for part in to_geographic(*near))
    if not np.isfinite([longitude, latitude]).all() or abs(latitude) > 89:
        return False
    per_east, per_north = metres_per_degree(latitude)
    x, y = from_geographic(
        np.array([longitude, longitude + 1e-3, longitude]), np.array([latitude, latitude, latitude + 1e-3])
    )
    steps = np.hypot(x[1:] - x[0], y[1:] - y[0]) / (1e-3 * np.array([per_east, per_north]))
    return bool(np.all(np.abs(steps - 1) < _METRES_ARE_METRES))
