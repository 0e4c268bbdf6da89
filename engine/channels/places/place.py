"""A place from any map: the buildings of a file that stand in the frame around an array, and an account of them."""

import math
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.channels.materials import MATERIALS, Material
from engine.channels.places import where
from engine.channels.places.account import Account, counted, named
from engine.channels.places.crs import LONGITUDE_LATITUDE, METRES, Coordinates, coordinates_of
from engine.channels.places.features import map_from
from engine.channels.places.footprints import Footprints, footprints_of
from engine.channels.places.heights import ASSUMED_M, heights_of
from engine.channels.places.order import looks_exchanged
from engine.channels.places.parts import Prism, resolved
from engine.channels.places.records import Map
from engine.channels.places.shapes import corners, mended
from engine.channels.places.tags import tags_of, word
from engine.channels.places.where import Array, Wanted
from engine.channels.surroundings import Building, Surroundings, require_shapely
from engine.errors import InputError

_FACING_EAST_DEG = 90.0
_SAME: dict[str, Material] = {  # other names that the tag has, by how such walls reflect
    "stone": "concrete", "cement_block": "concrete", "plaster": "concrete", "masonry": "brick", "bricks": "brick",
    "timber_framing": "wood", "timber": "wood", "steel": "metal", "mirror": "glass",
}  # fmt: skip
_EXPORT = "export it in WGS84 (ogr2ogr -t_srs EPSG:4326), or say what it is: --set place_crs=EPSG:NUMBER"
_TURNED_DEG = 0.05


class Place(NamedTuple):
    """Surroundings, and where on the map they are."""

    surroundings: Surroundings
    prisms: list[Prism]
    array: Array
    coordinates: Coordinates


def place_from(path: Path, ground: Material | None = "concrete", wanted: Wanted | None = None) -> Place:
    """The buildings of a file that touch the area of `Surroundings`, around the array.

    Raises InputError, in one line, for a file that cannot be read, one without buildings or with none in the frame, and
    an array inside of one; with `wanted.strict`, for whatever would be mended, left out or assumed.
    """
    wanted = wanted or Wanted()
    source = map_from(path)
    footprints = footprints_of(source.features)
    if not len(footprints.boxes):
        seen = "; ".join([*footprints.astray[:3], *footprints.remarks]) or "it has no features"
        raise InputError(f"{path}: no buildings; needed polygons with a 'building' tag or a 'height' ({seen})")
    coordinates, array = _located(path, source, footprints, wanted)
    whole = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    area = Surroundings(name=whole.stem, ground=ground)
    reading = _Reading(footprints, coordinates, array, area)
    prisms, outlines = resolved(reading.prisms())
    if not prisms:
        raise InputError(_nothing_here(path, footprints, coordinates, array, area, reading))
    _require_outdoors(path, prisms, array, reading)
    account = reading.account(prisms, outlines, source)
    if wanted.strict:
        _require_whole(path, account, reading, array)
    buildings = tuple(_building(prism) for prism in prisms)
    place = area.model_copy(update={"buildings": buildings, "account": account})
    return Place(place, prisms, array, coordinates)


def _located(path: Path, source: Map, footprints: Footprints, wanted: Wanted) -> tuple[Coordinates, Array]:
    """What the coordinates mean, and where the array stands."""
    placed = wanted.latitude_deg is not None or wanted.east_m is not None
    settled = placed and wanted.bearing_deg is not None  # whatever the file's Points say
    marked = None if settled else where.marked(source.features, path)
    first = marked.origin if marked else (float(footprints.boxes[0, 0]), float(footprints.boxes[0, 1]))
    try:
        if wanted.crs:
            coordinates = METRES if wanted.crs.lower() in ("m", "metres") else coordinates_of(wanted.crs, first)
        else:
            coordinates = METRES if source.in_metres else coordinates_of(source.crs, first)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if coordinates.is_geographic:
        marked = _require_on_earth(path, footprints, marked)
    asked = where.asked_for(wanted, coordinates, path)
    array = marked or Array(asked or (0.0, 0.0), _FACING_EAST_DEG, "no bearing is given")
    if asked:
        array = array._replace(origin=asked, said_by="as set" if wanted.bearing_deg is not None or marked else
                               "as set, its bearing assumed")  # fmt: skip
    elif not marked:
        array = where.beside(footprints, coordinates)
    if wanted.bearing_deg is not None:
        said = array.said_by if asked else f"{array.said_by}; its bearing as set"
        array = array._replace(bearing_deg=wanted.bearing_deg % 360, said_by=said)
    return coordinates, array


def _require_on_earth(path: Path, footprints: Footprints, marked: Array | None) -> Array | None:
    """Longitudes and latitudes; those the other way round, beyond doubt, are turned. Returns the array's Point.

    Buildings that alone are nowhere are left out.
    """
    boxes = footprints.boxes
    points = boxes if marked is None else np.concatenate([boxes, [[*marked.origin, *marked.origin]]])
    is_none = np.max(np.abs(points[:, [0, 2]]), axis=1) > 360
    is_none |= np.max(np.abs(points[:, [1, 3]]), axis=1) > 90
    if not is_none.any():
        return marked
    if np.max(np.abs(points[:, [0, 2]])) <= 90 and np.max(np.abs(points[:, [1, 3]])) <= 360:
        footprints.swap()
        footprints.remarks.append("latitudes come first in this file, against RFC 7946: they were exchanged")
        return marked._replace(origin=marked.origin[::-1]) if marked else None
    if np.mean(is_none) >= 0.5 or (marked and is_none[-1]):
        at = points[int(np.argmax(is_none)), :2].tolist()
        raise InputError(f"{path}: {at} is no longitude and latitude, and the file names no crs; {_EXPORT}")
    for i in np.flatnonzero(is_none[: len(boxes)]):
        footprints.astray.append(f"{footprints.name(int(i))}: {boxes[i, :2].tolist()} is no longitude and latitude")
    footprints.keep(~is_none[: len(boxes)])
    return marked


class _Reading:
    """The footprints near the array, turned into prisms; what was done to them on the way."""

    def __init__(self, footprints: Footprints, coordinates: Coordinates, array: Array, area: Surroundings) -> None:
        self.footprints, self.coordinates, self.array, self.area = footprints, coordinates, array, area
        self.mended: list[str] = []
        self.left_out: list[str] = list(footprints.astray)
        self.unread: list[str] = []
        self.pitched = self.repeated = 0
        self.outer_rings: list[np.ndarray] = []
        self.under: list[str] = []

    def reach_m(self) -> float:
        """The frame's farthest corner."""
        area = self.area
        return math.hypot(max(-area.west_m, area.east_m), max(-area.south_m, area.north_m))

    def prisms(self) -> list[Prism]:
        """Of the buildings that touch the frame."""
        shapely = require_shapely()
        area = self.area
        frame = shapely.box(area.west_m, area.south_m, area.east_m, area.north_m)
        found: list[Prism] = []
        shapes: Counter[bytes] = Counter()
        for i in self.footprints.near(self.coordinates, self.array.origin, self.reach_m()):
            here = self._prisms_of(int(i), frame)
            shapes.update(prism.polygon.normalize().wkb for prism in here)
            found += here
        self.repeated = sum(times - 1 for times in shapes.values())
        return found

    def _prisms_of(self, i: int, frame: Any) -> list[Prism]:
        footprints = self.footprints
        name = footprints.name(i)
        found = footprints.rings(i)
        if found is None:
            self.left_out.append(f"{name}: its coordinates are none")
            return []
        rings = [self._local(ring) for ring in found]
        if not _touches(rings[0], self.area):
            return []
        shape = mended(rings)
        here = [polygon for polygon in shape.polygons if polygon.intersects(frame)]
        if not here:
            if not shape.polygons:
                self.left_out.append(f"{name}: {shape.fault}")
            return []
        self.outer_rings.append(found[0])
        if shape.fault:
            self.mended.append(f"{name} ({shape.fault})")
        tags = tags_of(footprints.features[footprints.owner[i]].properties)
        heights = heights_of(tags)
        self.unread += [f"{name}: {text}" for text in heights.unread]
        self.pitched += heights.flattened
        material, is_part = _material(tags), footprints.kinds[i] == "part"
        return [Prism(footprints.owner[i], name, polygon, heights, material, is_part) for polygon in here]

    def _local(self, ring: np.ndarray) -> np.ndarray:
        """Metres around the array, turned so that it faces +x."""
        east, north = self.coordinates.local_m(ring[:, 0], ring[:, 1], self.array.origin)
        turn = math.radians(self.array.bearing_deg - _FACING_EAST_DEG)
        x = east * math.cos(turn) - north * math.sin(turn)
        return np.stack([x, east * math.sin(turn) + north * math.cos(turn)], axis=-1)

    def account(self, prisms: list[Prism], outlines: int, source: Map) -> Account:
        """Heights are counted by buildings, not by the pieces that they are in."""
        sources = Counter({prism.number: prism.heights.source for prism in prisms}.values())
        return Account(
            array=where.in_words(self.array, self.coordinates),
            in_frame=sources.total(),
            found=self.footprints.found,
            tagged=sources["tagged"],
            from_levels=sources["levels"],
            assumed=sources["assumed"],
            assumed_m=ASSUMED_M,
            mended=tuple(self.mended),
            left_out=tuple(self.left_out),
            remarks=tuple(self._remarks(prisms, outlines, source)),
        )

    def _remarks(self, prisms: list[Prism], outlines: int, source: Map) -> list[str]:
        """Whatever a reader may want to know."""
        said = list(self.footprints.remarks)
        raised = {prism.number: f"{prism.name} {prism.heights.base_m:g} to {prism.heights.top_m:g} m"
                  for prism in prisms if prism.heights.base_m > 0}  # fmt: skip
        parts = {prism.number for prism in prisms if prism.is_part}
        north_deg = self.coordinates.north_deg(self.array.origin)
        if self.coordinates.is_geographic and looks_exchanged(self.outer_rings):
            said.append(
                "latitudes may come first in this file, against RFC 7946: buildings would have right angles then"
            )
        if self.unread:
            said.append(f"{counted(len(self.unread), 'tag')} could not be read: {named(self.unread)}")
        if raised:
            said.append(f"{counted(len(raised), 'building')} not from the ground, roofs on posts or min_height: "
                        f"{named(raised.values())}")  # fmt: skip
        if parts:
            said.append(f"{counted(len(parts), 'building part')}, for {counted(outlines, 'outline')} that they fill")
        if self.pitched:
            said.append(f"{counted(self.pitched, 'pitched roof')} taken as flat, at the highest point")
        if self.repeated:
            said.append(f"{counted(self.repeated, 'footprint')} drawn twice")
        if self.under:
            said.append(f"the array stands under {named(self.under)}")
        if source.unreadable:
            said.append(f"{counted(source.unreadable, 'feature')} of the file could not be read")
        if self.coordinates.in_metres and self.coordinates.to_geographic is not None:
            turned = f"; their north is {abs(north_deg):.2f}° {'clockwise' if north_deg > 0 else 'anticlockwise'} of " \
                     f"true north" if abs(north_deg) > _TURNED_DEG else ""  # fmt: skip
            said.append(f"{self.coordinates.name}: metres as they stand{turned}")
        elif not self.coordinates.in_metres and not self.coordinates.is_geographic:
            said.append(f"{self.coordinates.name}: turned into latitude and longitude")
        return [*said, *source.remarks]


def _touches(ring: np.ndarray, area: Surroundings) -> bool:
    """Whether a ring's box does: a cheap look before an exact one."""
    low, high = ring.min(axis=0, initial=math.inf), ring.max(axis=0, initial=-math.inf)
    return bool(low[0] <= area.east_m and high[0] >= area.west_m and low[1] <= area.north_m and high[1] >= area.south_m)


def _material(tags: dict[str, Any]) -> Material:
    name = next((word(tags, key) for key in ("building_material", "material", "facade_material") if key in tags), "")
    if name in MATERIALS:
        return name  # type: ignore[return-value]
    return _SAME.get(name, "concrete")


def _building(prism: Prism) -> Building:
    shape, heights = prism.polygon, prism.heights
    return Building(
        footprint=corners(shape.exterior),
        holes=tuple(corners(hole) for hole in shape.interiors),
        height_m=heights.top_m,
        base_m=heights.base_m,
        material=prism.material,
    )


def _require_outdoors(path: Path, prisms: list[Prism], array: Array, reading: _Reading) -> None:
    """InputError where the array stands in a building; under a roof it may, and on a wall."""
    shapely = require_shapely()
    for prism in prisms:
        if prism.polygon.contains(shapely.Point(0, 0)):
            if prism.heights.base_m == 0:
                raise InputError(
                    f"{path}: building {prism.name} holds the array ({array.said_by}); mark another place by a "
                    f"Point with a bearing, or --set array_latitude_deg and array_longitude_deg"
                )
            reading.under.append(f"{prism.name}, {prism.heights.base_m:g} m up")


def _nothing_here(
    path: Path, footprints: Footprints, coordinates: Coordinates, array: Array, area: Surroundings, reading: _Reading
) -> str:
    """Why the frame is empty."""
    middle = (footprints.boxes[:, :2] + footprints.boxes[:, 2:]) / 2
    distance_m = float(
        np.min(np.hypot(*coordinates.local_m(middle[:, 0], middle[:, 1], array.origin)), initial=math.inf)
    )
    text = (
        f"{path}: no building within {area.east_m:g} m in front of the array and {area.north_m:g} m beside it: array "
        f"at {where.in_words(array, coordinates)}, 0 of {footprints.found} buildings in the frame, the nearest "
        f"{distance_m:,.0f} m away"
    )
    if reading.left_out:
        text += f"; left out: {named(reading.left_out)}"
    turned = array.origin[::-1]
    may_be_turned = coordinates is LONGITUDE_LATITUDE and max(map(abs, turned)) <= 90
    if may_be_turned and len(footprints.near(coordinates, turned, 10 * reading.reach_m())):
        text += "; with latitude and longitude the other way round there are some: is the array's place turned?"
    return f"{text}; mark its place with a Point that has a bearing, or --set it"


def _require_whole(path: Path, account: Account, reading: _Reading, array: Array) -> None:
    """InputError for whatever was mended, left out, unread or assumed."""
    faults = [f"left out {one}" for one in account.left_out] + [f"mended {one}" for one in account.mended]
    faults += [f"not read: {one}" for one in reading.unread]
    if account.assumed:
        faults.append(f"{counted(account.assumed, 'height')} assumed {account.assumed_m:g} m")
    if "no Point" in array.said_by or "assumed" in array.said_by:
        faults.append(f"the array's place: {array.said_by}")
    if faults:
        raise InputError(f"{path}: strictly read, {counted(len(faults), 'fault')}: {'; '.join(faults[:5])}")
