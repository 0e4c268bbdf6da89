"""Where a wave travels: flat ground and buildings, as prisms over their footprints.

Coordinates in metres: the array stands at the origin along y and faces +x; z is up. shapely is imported when needed.
"""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from engine.channels.materials import MATERIALS, Material
from engine.channels.places.account import Account
from engine.errors import InputError

if TYPE_CHECKING:
    from shapely import Polygon

LATTICE_PER_METRE = 1024
"""Footprints lie on a lattice of 1/1024 m, which single precision holds exactly up to 16 km: the planes that the tracer
hits and those that phases are computed from in double precision are the same ones."""
_GROUND_MARGIN_M = 300.0  # reflections off ground beyond the area still reach places inside it

Ring = Annotated[tuple[tuple[float, float], ...], Field(min_length=3)]


class Building(BaseModel):
    """A prism: outer ring and holes in metres, not closed, over which walls of one material stand.

    It begins at `base_m`, which is 0 for all but roofs on posts, bridges between buildings and the like.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    footprint: Ring
    holes: tuple[Ring, ...] = ()
    height_m: float = Field(gt=0, le=1000)
    material: Material = "concrete"
    base_m: float = Field(0.0, ge=0, lt=1000)

    @model_serializer(mode="wrap")
    def _ground_is_not_worth_a_word(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """So that places without such a building are written, and fingerprinted, as they always were."""
        written: dict[str, Any] = write(self)
        if not self.base_m:
            written.pop("base_m", None)
        return written

    @model_validator(mode="after")
    def _on_the_lattice(self) -> Self:
        if not on_lattice(self.base_m) < on_lattice(self.height_m):
            raise ValueError(f"its base is at {self.base_m:g} m: needed less than its height of {self.height_m:g} m")
        object.__setattr__(self, "footprint", snapped(self.footprint))
        object.__setattr__(self, "holes", tuple(map(snapped, self.holes)))
        return self


class Surroundings(BaseModel):
    """A place: buildings, the ground's material (None: no ground), and the area (m) that is of interest.

    account: how a file became it; no part of what a place is, nor of what is written of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    buildings: tuple[Building, ...] = ()
    ground: Material | None = "concrete"
    west_m: float = -100.0
    east_m: float = 200.0
    south_m: float = -100.0
    north_m: float = 100.0
    account: Account = Field(Account(), exclude=True, repr=False)

    @model_validator(mode="after")
    def _around_the_array(self) -> Self:
        if not (self.west_m < 0 < self.east_m and self.south_m < 0 < self.north_m):
            raise ValueError("the area must hold the array, at the origin")
        return self


def snapped(ring: Any) -> Any:
    """A ring on the lattice.

    >>> snapped([(0.3333333, 1.0)])
    ((0.3330078125, 1.0),)
    """
    return tuple((on_lattice(x), on_lattice(y)) for x, y in ring)


def on_lattice(value: float) -> float:
    return round(value * LATTICE_PER_METRE) / LATTICE_PER_METRE


class Faces(NamedTuple):
    """Triangles: F of them over V vertices."""

    vertices_m: np.ndarray
    """(V, 3)"""
    triangles: np.ndarray
    """indices of vertices, (F, 3)"""
    material: np.ndarray
    """index in `MATERIALS`, (F,)"""
    normal: np.ndarray
    """of unit length, (F, 3)"""
    offset_m: np.ndarray
    """normal · x of the points x of the face's plane, (F,)"""


def faces_of(place: Surroundings) -> Faces:
    """Ground, walls and roofs as triangles, and undersides of what begins above the ground."""
    vertices: list[tuple[float, float, float]] = []
    triangles: list[tuple[int, int, int]] = []
    material: list[int] = []

    def add(points: list[tuple[float, float, float]], of: Material) -> None:
        """A convex polygon as a fan."""
        first = len(vertices)
        vertices.extend(points)
        triangles.extend((first, first + i, first + i + 1) for i in range(1, len(points) - 1))
        material.extend([MATERIALS.index(of)] * (len(points) - 2))

    if place.ground:
        low_x, high_x = place.west_m - _GROUND_MARGIN_M, place.east_m + _GROUND_MARGIN_M
        low_y, high_y = place.south_m - _GROUND_MARGIN_M, place.north_m + _GROUND_MARGIN_M
        corners = [(low_x, low_y), (high_x, low_y), (high_x, high_y), (low_x, high_y)]
        add([(*corner, 0.0) for corner in snapped(corners)], place.ground)
    for building in place.buildings:
        base, top = on_lattice(building.base_m), on_lattice(building.height_m)
        for ring in (building.footprint, *building.holes):
            for (x0, y0), (x1, y1) in zip(ring, (*ring[1:], ring[0]), strict=True):
                add([(x0, y0, base), (x1, y1, base), (x1, y1, top), (x0, y0, top)], building.material)
        for triangle in _triangulated(polygon(building)):
            add([(x, y, top) for x, y in triangle], building.material)
            if base > 0:
                add([(x, y, base) for x, y in triangle], building.material)
    points, corners_of = np.array(vertices).reshape(-1, 3), np.array(triangles, dtype=np.int64).reshape(-1, 3)
    a, b, c = (points[corners_of[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return Faces(points, corners_of, np.array(material, dtype=np.int64), normal, np.sum(normal * a, axis=-1))


def polygon(building: Building) -> "Polygon":
    """The footprint as shapely's polygon."""
    return require_shapely().Polygon(building.footprint, building.holes)


def indoors(place: Surroundings, position_m: np.ndarray) -> np.ndarray:
    """Whether places (n, 3) lie in a building: (n,)."""
    shapely = require_shapely()
    inside = np.zeros(len(position_m), dtype=bool)
    for building in place.buildings:
        within = (position_m[:, 2] < building.height_m) & (position_m[:, 2] >= building.base_m)
        inside |= within & shapely.intersects_xy(polygon(building), position_m[:, 0], position_m[:, 1])
    return inside


def within(place: Surroundings, distance_m: float) -> Surroundings:
    """The place with those buildings alone that stand as near to the array as that, or partly do."""
    array = require_shapely().Point(0.0, 0.0)
    near = tuple(one for one in place.buildings if polygon(one).distance(array) <= distance_m)
    return place.model_copy(update={"buildings": near})


def in_sight(place: Surroundings, origin_m: np.ndarray, position_m: np.ndarray, margin_m: float) -> np.ndarray:
    """Whether the straight line from one place (3,) to others (n, 3) passes every building by `margin_m`: (n,).

    On the safe side: a building counts as soon as it is higher than the lowest end of all lines and begins below the
    highest.
    """
    shapely = require_shapely()
    if not len(position_m):
        return np.zeros(0, dtype=bool)
    lowest = min(float(origin_m[2]), float(np.min(position_m[:, 2])))
    highest = max(float(origin_m[2]), float(np.max(position_m[:, 2])))
    walls = [
        polygon(building).buffer(margin_m)
        for building in place.buildings
        if building.height_m >= lowest and building.base_m <= highest
    ]
    ends = np.stack([np.broadcast_to(origin_m[:2], (len(position_m), 2)), position_m[:, :2]], axis=1)
    blocked = shapely.intersects(shapely.linestrings(ends), shapely.union_all(walls))
    return ~np.asarray(blocked)


def require_shapely() -> Any:
    """shapely, or one line that says how to get it."""
    try:
        import shapely
    except ImportError:
        raise InputError("buildings need shapely: pip install 'nearfield[rt]'") from None
    return shapely


def _triangulated(footprint: "Polygon") -> list[list[tuple[float, float]]]:
    pieces = require_shapely().constrained_delaunay_triangles(footprint)
    return [list(piece.exterior.coords)[:3] for piece in pieces.geoms]
