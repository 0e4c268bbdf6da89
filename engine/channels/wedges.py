"""Edges of buildings at which a wave is diffracted: corners between walls, and the rims of roofs and undersides.

Left out: edges that look inward (a wave reaches them by reflection alone), edges between walls and the ground, and
corners so blunt that they are the footprint's lattice.
"""

import itertools
from typing import NamedTuple

import numpy as np

from engine.channels.materials import MATERIALS
from engine.channels.surroundings import Building, Ring, Surroundings, on_lattice

_STRAIGHT_RAD = 1e-3  # a turn of 1/1024 m in a metre is none


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
    """All edges of a place's buildings that look outward."""
    found = [wedge for building in place.buildings for wedge in _of_building(building)]
    return Wedges(
        np.array([one[0] for one in found]).reshape(-1, 3),
        np.array([one[1] for one in found]).reshape(-1, 3),
        np.array([one[2] for one in found], dtype=float),
        np.array([one[3] for one in found]).reshape(-1, 2, 3),
        np.array([one[4] for one in found], dtype=float),
        np.array([one[5] for one in found], dtype=np.int64),
    )


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
