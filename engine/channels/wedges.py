"""Edges of buildings at which a wave is diffracted: corners between walls, and the rims of roofs and undersides.

Left out: edges that look inward (a wave reaches them by reflection alone), edges between walls and the ground, corners
so blunt that they are the footprint's lattice, and where another building stands against a face, as in a row of houses.
"""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from engine.channels.materials import MATERIALS
from engine.channels.surroundings import Building, Ring, Surroundings, on_lattice, polygon, require_shapely

_STRAIGHT_RAD = 1e-3  # a turn of 1/1024 m in a metre is none
_BESIDE_M = 5e-3  # off a face: more than the lattice of footprints, less than any gap between houses


class Wedges(NamedTuple):
    """W straight edges with two faces each; the exterior is what lies between face 0 and face n, turning about the edge
    from face 0's tangent n₀ × ê over its normal n₀."""

    origin_m: np.ndarray
    """(W, 3)"""
    along: np.ndarray
    """ê, of unit length, (W, 3)"""
    length_m: np.ndarray
    """(W,)"""
    normal: np.ndarray
    """out of faces 0 and n, (W, 2, 3)"""
    exterior_rad: np.ndarray
    """angle between the faces through the air, nπ, (W,)"""
    material: np.ndarray
    """index in `MATERIALS`, (W,)"""


def wedges_of(place: Surroundings) -> Wedges:
    """All edges of a place's buildings that look outward, as far as both of their faces are in the open."""
    found = [(wedge, number) for number, building in enumerate(place.buildings) for wedge in _of_building(building)]
    whole = Wedges(
        np.array([one[0] for one, _ in found]).reshape(-1, 3),
        np.array([one[1] for one, _ in found]).reshape(-1, 3),
        np.array([one[2] for one, _ in found], dtype=float),
        np.array([one[3] for one, _ in found]).reshape(-1, 2, 3),
        np.array([one[4] for one, _ in found], dtype=float),
        np.array([one[5] for one, _ in found], dtype=np.int64),
    )
    return _in_the_open(whole, place, np.array([number for _, number in found], dtype=np.int64))


def _in_the_open(whole: Wedges, place: Surroundings, owner: np.ndarray) -> Wedges:
    """Edges cut to where no other building covers a face; owner: the building of each (W,)."""
    covered: dict[int, list[tuple[float, float]]] = {}
    for wedge, first, last in _covered(whole, place, owner):
        covered.setdefault(wedge, []).append((first, last))
    pieces = [
        (wedge, *piece)
        for wedge, length_m in enumerate(whole.length_m.tolist())
        for piece in _left_of(length_m, covered.get(wedge, []))
    ]
    kept = np.array([piece[0] for piece in pieces], dtype=np.int64)
    start, end = (np.array([piece[i] for piece in pieces], dtype=float) for i in (1, 2))
    cut = Wedges(*(part[kept] for part in whole))
    return cut._replace(origin_m=cut.origin_m + start[:, None] * cut.along, length_m=end - start)


def _covered(whole: Wedges, place: Surroundings, owner: np.ndarray) -> Iterator[tuple[int, float, float]]:
    """Edges and from where to where (m) along each another building stands just off a face."""
    shapely = require_shapely()
    polygons = [polygon(building) for building in place.buildings]
    tree = shapely.STRtree(polygons)
    into_0 = np.cross(whole.normal[:, 0], whole.along)
    into_n = np.cross(-whole.normal[:, 1], whole.along)
    for tangent, normal in ((into_0, whole.normal[:, 0]), (into_n, whole.normal[:, 1])):
        start = whole.origin_m + _BESIDE_M * (tangent + normal)
        end = start + whole.length_m[:, None] * whole.along
        upright = np.abs(whole.along[:, 2]) > 0.5
        lines = shapely.linestrings(np.stack([start[:, :2], end[:, :2]], axis=1))
        lines[upright] = shapely.points(start[upright, :2])
        for wedge, number in tree.query(lines, predicate="intersects").T.tolist():
            building, z = place.buildings[number], start[wedge, 2]
            base, top = building.base_m, building.height_m
            if number == owner[wedge]:
                continue
            if upright[wedge]:  # from the top down
                yield wedge, z - top, z - base
            elif base < z < top:
                for ends_m in _ends(shapely, polygons[number].intersection(lines[wedge])):
                    first, last = sorted(((ends_m - start[wedge, :2]) @ whole.along[wedge, :2]).tolist())
                    yield wedge, first, last


def _ends(shapely: Any, met: Any) -> Iterator[np.ndarray]:
    """Both ends (2, 2) of every stretch of a line that a polygon shares with it."""
    for part in shapely.get_parts(met):
        if part.length > 0:
            yield np.array(part.coords)[[0, -1]]


def _left_of(length_m: float, covered: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """What intervals leave of 0 to a length."""
    left, here = [], 0.0
    for first, last in sorted(covered):
        if first > here + _BESIDE_M:
            left.append((here, min(first, length_m)))
        here = max(here, last)
    if length_m > here + _BESIDE_M:
        left.append((here, length_m))
    return left


_Wedge = tuple[np.ndarray, np.ndarray, float, list[np.ndarray], float, int]
_UP = np.array([0.0, 0.0, 1.0])


def _of_building(building: Building) -> list[_Wedge]:
    material = MATERIALS.index(building.material)
    base, top = on_lattice(building.base_m), on_lattice(building.height_m)
    found: list[_Wedge] = []
    for ring, is_hole in ((building.footprint, False), *((hole, True) for hole in building.holes)):
        corners = np.array(_solid_on_the_left(ring, is_hole=is_hole))
        sides = np.roll(corners, -1, axis=0) - corners
        lengths = np.linalg.norm(sides, axis=-1)
        corners, sides, lengths = (part[lengths > 0] for part in (corners, sides, lengths))
        tangents = [np.append(side / length, 0.0) for side, length in zip(sides, lengths, strict=True)]
        outward = [np.cross(tangent, _UP) for tangent in tangents]
        for i, corner in enumerate(corners):
            turn = np.arctan2(np.cross(tangents[i - 1], tangents[i])[2], tangents[i - 1] @ tangents[i])
            if turn > _STRAIGHT_RAD:  # face 0 is the wall that begins here, face n the one that ends
                faces = [outward[i], outward[i - 1]]
                found.append((np.append(corner, top), -_UP, top - base, faces, np.pi + turn, material))
            roof = (np.append(corner, top), tangents[i], float(lengths[i]), [_UP, outward[i]])
            found.append((*roof, 1.5 * np.pi, material))
            if base > 0:
                end = np.append(corner + sides[i], base)
                found.append((end, -tangents[i], float(lengths[i]), [-_UP, outward[i]], 1.5 * np.pi, material))
    return found


def _solid_on_the_left(ring: Ring, *, is_hole: bool) -> Ring:
    """Outer rings counterclockwise, holes clockwise."""
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in itertools.pairwise((*ring, ring[0])))
    return ring if (area > 0) != is_hole else ring[::-1]
