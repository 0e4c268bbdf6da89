"""A place as a GeoJSON file that says what was read: every building of the frame, mended, with its height."""

import math
from typing import Any

import numpy as np

from engine.channels.places.place import Place

_DIGITS = {True: 5, False: 12}
"""Of metres and of degrees: so many that the same corners come back, on their lattice of 1/1024 m."""


def clean_file(place: Place) -> dict[str, Any]:
    """A FeatureCollection: the array as a Point with its bearing, and buildings, where they are on the map.

    Read again, it gives the same surroundings. In metres where the file was, with its crs; else in WGS84.
    """
    coordinates, array = place.coordinates, place.array
    in_metres = coordinates.in_metres
    at = np.array(array.origin)
    if not in_metres and coordinates.to_geographic is not None:
        at = np.array([float(part) for part in coordinates.to_geographic(*array.origin)])
    point = {"type": "Point", "coordinates": [round(float(value), _DIGITS[in_metres]) for value in at]}
    features = [_feature({"name": "array", "bearing": array.bearing_deg}, point)]
    for building, prism in zip(place.surroundings.buildings, place.prisms, strict=True):
        rings = [_on_the_map(place, ring) for ring in (building.footprint, *building.holes)]
        tags: dict[str, Any] = {
            "name": prism.name,
            "building": "yes",
            "height": building.height_m,
            "building:material": building.material,
            "height_source": prism.heights.source,
        }
        if building.base_m:
            tags["min_height"] = building.base_m
        features.append(_feature(tags, {"type": "Polygon", "coordinates": rings}))
    members: dict[str, Any] = {}
    if in_metres:
        named = coordinates.to_geographic is not None
        members = {"crs": {"type": "name", "properties": {"name": coordinates.name}}} if named else {"units": "m"}
    account = place.surroundings.account.text()
    return {"type": "FeatureCollection", **members, "account": account, "features": features}


def _feature(properties: dict[str, Any], geometry: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def _on_the_map(place: Place, ring: Any) -> list[list[float]]:
    """Corners (x, y) around the array, in the file's metres or longitude and latitude, closed."""
    x, y = np.array([*ring, ring[0]]).T
    turn = math.radians(place.array.bearing_deg - 90.0)
    east, north = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    digits = _DIGITS[place.coordinates.in_metres]
    on_map = np.stack(place.coordinates.from_local_m(east, north, place.array.origin), axis=-1)
    return [[round(float(value), digits) for value in corner] for corner in on_map]


def north_of(place: Place) -> tuple[float, float]:
    """Where north points, in the surroundings' x and y."""
    turn = math.radians(place.array.bearing_deg - 90.0)
    return -math.sin(turn), math.cos(turn)
