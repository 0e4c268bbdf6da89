"""Any real place: building footprints from a GeoJSON file, as OpenStreetMap exports them, become surroundings.

RFC 7946: longitude and latitude on WGS84; a file with the member `"units": "m"` holds metres east and north. A building
is a Polygon or MultiPolygon with a `building` tag or a height. Its height is `height` (m), else `building:levels` of
3 m; its material `building:material`. A Point marks the array, and its `bearing` (degrees from north, clockwise) is
where the array faces; without one, the middle of the buildings, facing east.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from engine.channels.materials import MATERIALS, Material
from engine.channels.surroundings import Building, Surroundings, require_shapely
from engine.errors import InputError

_DEFAULT_HEIGHT_M, _LEVEL_M = 6.0, 3.0
_FACING_EAST_DEG = 90.0
_SEMI_MAJOR_M, _ECCENTRICITY_2 = 6_378_137.0, 6.69437999014e-3  # WGS84
_Position = Annotated[list[Any], Field(min_length=2)]
_Ring = Annotated[list[_Position], Field(min_length=1)]
_Rings = Annotated[list[_Ring], Field(min_length=1)]
_COORDINATES: dict[Any, TypeAdapter[Any]] = {
    "Point": TypeAdapter(_Position),
    "Polygon": TypeAdapter(_Rings),
    "MultiPolygon": TypeAdapter(list[_Rings]),
}
_SAME: dict[str, Material] = {  # other names that the tag has, by how such walls reflect
    "stone": "concrete", "cement_block": "concrete", "plaster": "concrete", "masonry": "brick", "bricks": "brick",
    "timber_framing": "wood", "timber": "wood", "steel": "metal", "mirror": "glass",
}  # fmt: skip


def surroundings_from(path: Path, ground: Material | None = "concrete") -> Surroundings:
    """The buildings of a file that touch the area of `Surroundings`, around the array.

    Raises InputError, in one line, for a file that cannot be read, coordinates that are none, polygons that cross
    themselves, heights that make no sense, no buildings at all, and an array inside of one.
    """
    shapely = require_shapely()
    content = _read(path)
    features = content.get("features", [content])
    metres = content.get("units") == "m"
    rings = [(feature, part) for feature in features for part in _polygons(feature)]
    if not rings:
        raise InputError(f"{path}: no buildings; needed polygons with a 'building' tag or a 'height'")
    given = [point for _, part in rings for ring in part for point in ring]
    for point in given:
        if not all(_is_number(value) for value in point[:2]):
            raise InputError(f"{path}: a coordinate is {point!r}, needed two numbers")
        if not metres and not (abs(point[0]) <= 180 and abs(point[1]) <= 90):
            raise InputError(
                f'{path}: {point[:2]} is no longitude and latitude; for metres, add "units": "m" to the file'
            )
    origin, bearing_deg = _array(path, features) or (_middle(given), _FACING_EAST_DEG)
    area = Surroundings(name=path.stem, ground=ground)
    frame = shapely.box(area.west_m, area.south_m, area.east_m, area.north_m)
    turn = math.radians(bearing_deg - _FACING_EAST_DEG)
    buildings = []
    for feature, part in rings:
        outer, *holes = [_open([_local(point, origin, metres, turn) for point in ring]) for ring in part]
        label = f"{path}: building {_identity(feature, features)}"
        if len(outer) < 3 or any(len(hole) < 3 for hole in holes):
            raise InputError(f"{label} has a ring of fewer than three corners")
        shape = shapely.Polygon(outer, holes)
        if not shape.is_valid or shape.area == 0:
            raise InputError(f"{label} is no polygon: {shapely.is_valid_reason(shape)} (m, around the array); mend it")
        if shape.contains(shapely.Point(0, 0)):
            raise InputError(f"{label} holds the array; mark another place for it with a Point in the file")
        if shape.intersects(frame):
            height_m, material = _height_m(label, feature), _material(feature)
            try:
                buildings.append(Building(footprint=outer, holes=holes, height_m=height_m, material=material))
            except ValidationError:
                raise InputError(
                    f"{label} has the height {height_m:g} m, needed more than 0 and at most 1000"
                ) from None
    if not buildings:
        raise InputError(
            f"{path}: no building within {area.east_m:g} m in front of the array and {area.north_m:g} m beside it; "
            f"mark its place with a Point in the file"
        )
    return area.model_copy(update={"buildings": tuple(buildings)})


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no GeoJSON: {error}") from None
    if not isinstance(content, dict) or content.get("type") not in ("FeatureCollection", "Feature"):
        raise InputError(f"{path} is no GeoJSON: needed a FeatureCollection")
    if not all(isinstance(feature, dict) for feature in content.get("features", [])):
        raise InputError(f"{path} is no GeoJSON: its features must be objects")
    for number, feature in enumerate(content.get("features", [content]), 1):
        _require_feature(f"{path} is no GeoJSON: feature {number}", feature)
    return content


def _require_feature(label: str, feature: dict[str, Any]) -> None:
    """InputError unless the properties are an object and the coordinates nested as the geometry's type says."""
    for member in ("properties", "geometry"):
        if not isinstance(feature.get(member) or {}, dict):
            raise InputError(f"{label} has {member} that are no object")
    geometry = feature.get("geometry") or {}
    kind = geometry.get("type")
    if isinstance(kind, str) and kind in _COORDINATES:
        try:
            _COORDINATES[kind].validate_python(geometry.get("coordinates"))
        except ValidationError:
            raise InputError(f"{label} has coordinates that make no {kind}") from None


def _tags(feature: dict[str, Any]) -> dict[str, Any]:
    return feature.get("properties") or {}


def _polygons(feature: dict[str, Any]) -> Iterator[list[list[Any]]]:
    """The polygons of a feature that is a building, each a list of rings."""
    tags, geometry = _tags(feature), feature.get("geometry") or {}
    if not (tags.get("building", "no") != "no" or "height" in tags):
        return
    if geometry.get("type") == "Polygon":
        yield geometry["coordinates"]
    elif geometry.get("type") == "MultiPolygon":
        yield from geometry["coordinates"]


def _array(path: Path, features: list[dict[str, Any]]) -> tuple[tuple[float, float], float] | None:
    points = [feature for feature in features if (feature.get("geometry") or {}).get("type") == "Point"]
    marked = [feature for feature in points if "bearing" in _tags(feature) or len(points) == 1]
    if not marked:
        return None
    if len(marked) > 1:
        raise InputError(f"{path}: {len(marked)} Points have a 'bearing', needed one, the array's")
    x, y = marked[0]["geometry"]["coordinates"][:2]
    bearing = _tags(marked[0]).get("bearing", _FACING_EAST_DEG)
    if not all(_is_number(value) for value in (x, y, bearing)):
        raise InputError(f"{path}: the array's Point is at {x!r}, {y!r}, bearing {bearing!r}: needed numbers")
    return (x, y), float(bearing)


def _middle(points: list[Any]) -> tuple[float, float]:
    x, y = [point[0] for point in points], [point[1] for point in points]
    return (min(x) + max(x)) / 2, (min(y) + max(y)) / 2


def _local(point: Any, origin: tuple[float, float], metres: bool, turn: float) -> tuple[float, float]:
    """Metres around the origin, turned so that the array faces +x: `turn` is how far clockwise of east it does."""
    east, north = point[0] - origin[0], point[1] - origin[1]
    if not metres:  # radii of curvature at the origin: 1e-5 of the distance within a few kilometres
        sine = math.sin(math.radians(origin[1]))
        flattened = 1 - _ECCENTRICITY_2 * sine * sine
        across_m = _SEMI_MAJOR_M / math.sqrt(flattened)
        east *= math.radians(1) * across_m * math.cos(math.radians(origin[1]))
        north *= math.radians(1) * across_m * (1 - _ECCENTRICITY_2) / flattened
    return (
        east * math.cos(turn) - north * math.sin(turn),
        east * math.sin(turn) + north * math.cos(turn),
    )


def _open(ring: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return ring[:-1] if len(ring) > 1 and ring[0] == ring[-1] else ring


def _height_m(label: str, feature: dict[str, Any]) -> float:
    tags = _tags(feature)
    for tag, factor in (("height", 1.0), ("building:levels", _LEVEL_M)):
        if tag in tags:
            text = str(tags[tag]).lower().removesuffix("m").strip()
            try:
                return float(text) * factor
            except ValueError:
                raise InputError(f"{label} has {tag} = {tags[tag]!r}, needed a number of metres or levels") from None
    return _DEFAULT_HEIGHT_M


def _material(feature: dict[str, Any]) -> Material:
    name = str(_tags(feature).get("building:material", _tags(feature).get("material", "concrete"))).lower()
    if name in MATERIALS:
        return name  # type: ignore[return-value]
    return _SAME.get(name, "concrete")


def _identity(feature: dict[str, Any], features: list[dict[str, Any]]) -> str:
    tags = _tags(feature)
    return str(tags.get("name") or feature.get("id") or tags.get("@id") or f"number {features.index(feature) + 1}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
