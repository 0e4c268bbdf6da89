"""Map files that tests write: squares in metres, or in degrees at 50° N."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from engine.channels.surroundings import Surroundings

SQUARE = [[20, 0], [30, 0], [30, 10], [20, 10], [20, 0]]
BOW = [[20, 0], [30, 10], [30, 0], [20, 10], [20, 0]]
AT = (10.0, 50.0)
EAST_M, NORTH_M = 71_695.8, 111_229.0  # of a degree at 50° N, from the ellipsoid's tables


def feature(ring: Any = SQUARE, *holes: Any, **tags: Any) -> dict[str, Any]:
    geometry = {"type": "Polygon", "coordinates": [ring, *holes]}
    return {"type": "Feature", "properties": {"building": "yes", **tags}, "geometry": geometry}


def marked(x: float, y: float, **tags: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": tags, "geometry": {"type": "Point", "coordinates": [x, y]}}


ARRAY = marked(0, 0, bearing=90)


def area(**properties: Any) -> dict[str, Any]:
    """A polygon with these properties alone."""
    return feature() | {"properties": properties}


def square(west_m: float, south_m: float, side_m: float = 10.0, at: tuple[float, float] = AT) -> list[list[float]]:
    """In longitude and latitude, metres from a place at 50° N."""
    corners = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]
    return [[at[0] + (west_m + side_m * a) / EAST_M, at[1] + (south_m + side_m * b) / NORTH_M] for a, b in corners]


def written(path: Path, *features: dict[str, Any], name: str = "place.geojson", **members: Any) -> Path:
    file = path / name
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features, **members}))
    return file


def spans(place: Surroundings) -> list[list[float]]:
    """West, south, east, north of every building."""
    corners = [np.array(building.footprint) for building in place.buildings]
    return [[*ring.min(axis=0).tolist(), *ring.max(axis=0).tolist()] for ring in corners]
