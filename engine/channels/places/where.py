"""Where the array of a map stands and faces: what is asked for, what the file marks, else beside its buildings."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from engine.channels.places.crs import Coordinates
from engine.channels.places.footprints import Footprints
from engine.channels.places.records import Feature
from engine.channels.places.tags import tags_of
from engine.channels.surroundings import require_shapely
from engine.errors import InputError

_WINDS = ("N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW")
_WORDS = {"NORTH": "N", "EAST": "E", "SOUTH": "S", "WEST": "W"}
_EAST_DEG = 90.0
_CLEAR_M = 16.0  # as in `campus`: users are up to 12 m away
_STEP_M, _DIRECTIONS, _RINGS = 5.0, 24, 100
_REACH_M = 600.0


class Wanted(BaseModel):
    """What is asked of the reading of a map, beside the file. Positions by latitude and longitude, or in its metres."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    latitude_deg: float | None = Field(None, ge=-89.9, le=89.9)
    longitude_deg: float | None = Field(None, ge=-180, le=360)
    east_m: float | None = None
    north_m: float | None = None
    bearing_deg: float | None = Field(None, ge=-360, le=360)
    crs: str | None = None
    strict: bool = False
    """refuse what would be mended, left out or assumed"""


class Array(NamedTuple):
    """In the file's coordinates; degrees clockwise from their north."""

    origin: tuple[float, float]
    bearing_deg: float
    said_by: str


def asked_for(wanted: Wanted, coordinates: Coordinates, path: object) -> tuple[float, float] | None:
    """The place that is asked for, in the file's coordinates. InputError where they have no such thing."""
    if (wanted.latitude_deg is None) != (wanted.longitude_deg is None) or (wanted.east_m is None) != (
        wanted.north_m is None
    ):
        raise InputError("the array's place needs both array_latitude_deg and array_longitude_deg, or both of "
                         "array_east_m and array_north_m")  # fmt: skip
    if wanted.latitude_deg is not None and wanted.east_m is not None:
        raise InputError("the array stands at one place: give latitude and longitude, or metres east and north")
    if wanted.latitude_deg is not None:
        if coordinates.from_geographic is None:
            raise InputError(
                f"{path} holds metres and does not say where on Earth: give array_east_m and array_north_m"
            )
        x, y = coordinates.from_geographic(wanted.longitude_deg, wanted.latitude_deg)
        return float(x), float(y)
    if wanted.east_m is not None and wanted.north_m is not None:
        if not coordinates.in_metres:
            raise InputError(f"{path} holds {coordinates.name}: give array_latitude_deg and array_longitude_deg")
        return wanted.east_m, wanted.north_m
    return None


def marked(features: Sequence[Feature], path: object) -> Array | None:
    """The one Point with a bearing. InputError for several that differ."""
    found: list[Array] = []
    for feature in features:
        if not feature.points:
            continue
        bearing_deg = bearing_of(tags_of(feature.properties).get("bearing"))
        for point in feature.points if bearing_deg is not None else ():
            try:
                origin = float(point[0]), float(point[1])
                if not all(map(math.isfinite, origin)):
                    raise ValueError("it is nowhere")
            except (TypeError, ValueError, IndexError, OverflowError):
                raise InputError(f"{path}: the array's Point is at {point!r:.60}: needed numbers") from None
            found.append(Array(origin, bearing_deg or 0.0, "a Point with a bearing"))
    if len(set(found)) > 1:
        raise InputError(
            f"{path}: {len(found)} Points have a 'bearing', needed one, the array's; or --set its place and bearing"
        )
    return found[0] if found else None


def bearing_of(value: Any) -> float | None:
    """Degrees from north, clockwise, of a number or a wind's name; None for neither.

    >>> bearing_of("90°"), bearing_of("SW"), bearing_of("west"), bearing_of("uphill")
    (90.0, 225.0, 270.0, None)
    """
    if value is None or isinstance(value, bool):
        return None
    text = str(value).strip().upper().removesuffix("°").removesuffix("DEG").strip()
    text = _WORDS.get(text, text)
    if text in _WINDS:
        return 22.5 * _WINDS.index(text)
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    return number % 360 if math.isfinite(number) else None


def facing(bearing_deg: float) -> str:
    """'E', or '97°' between the winds."""
    wind = bearing_deg % 360 / 22.5
    return _WINDS[round(wind) % 16] if abs(wind - round(wind)) * 22.5 < 0.5 else f"{bearing_deg % 360:g}°"


def in_words(array: Array, coordinates: Coordinates) -> str:
    """'43.08123° N 77.68000° W facing E (a Point with a bearing)'."""
    known = coordinates.latitude_longitude(array.origin)
    if known is None:
        at = f"{array.origin[0]:.1f} m E {array.origin[1]:.1f} m N of the file's origin"
    else:
        north, east = known
        at = f"{abs(north):.5f}° {'S' if north < 0 else 'N'} {abs(east):.5f}° {'W' if east < 0 else 'E'}"
    return f"{at} facing {facing(array.bearing_deg)} ({array.said_by})"


def beside(footprints: Footprints, coordinates: Coordinates) -> Array:
    """Where nobody says: the middle of the buildings; the nearest clear ground, to the west first, if that is taken."""
    boxes = footprints.boxes
    west, east = boxes[:, 0], boxes[:, 2]
    if coordinates.is_geographic and east.max() - west.min() > 180:  # on both sides of the antimeridian
        west, east = west % 360, east % 360
    middle = float(west.min() + east.max()) / 2, float(boxes[:, 1].min() + boxes[:, 3].max()) / 2
    near = footprints.near(coordinates, middle, _REACH_M)
    if not len(near):
        middle = float(np.median(west + east)) / 2, float(np.median(boxes[:, 1] + boxes[:, 3])) / 2
        near = footprints.near(coordinates, middle, _REACH_M)
    shapely = require_shapely()
    hulls = []
    for i in near:
        rings = footprints.rings(int(i))
        if rings is not None:
            corners = np.stack(coordinates.local_m(rings[0][:, 0], rings[0][:, 1], middle), axis=-1)
            hulls.append(shapely.convex_hull(shapely.MultiPoint(corners)))
    said = "no Point has a bearing: the middle of the buildings"
    walls = shapely.union_all(hulls)
    if not walls.intersects(shapely.Point(0, 0)):
        return Array(middle, _EAST_DEG, said)
    turn = math.pi + 2 * math.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    for ring_number in range(1, _RINGS):
        places = ring_number * _STEP_M * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
        clear = shapely.distance(shapely.points(places), walls) >= _CLEAR_M
        if clear.any():
            east_m, north_m = places[int(np.argmax(clear))]
            x, y = coordinates.from_local_m(east_m, north_m, middle)
            far_m = ring_number * _STEP_M
            return Array((float(x), float(y)), _EAST_DEG, f"{said} is inside one, {far_m:g} m from it")
    return Array(middle, _EAST_DEG, said)
