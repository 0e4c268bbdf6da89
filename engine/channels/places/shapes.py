"""Rings as maps have them, made polygons on the lattice of `Surroundings`: whole ones as they are, others mended."""

from typing import Any, NamedTuple

import numpy as np

from engine.channels.surroundings import LATTICE_PER_METRE, require_shapely

_LEAST_M2 = 0.01
"""A polygon of less area is a line that was drawn twice."""


class Mended(NamedTuple):
    """Polygons of one footprint, and what was wrong with it, empty where nothing was."""

    polygons: list[Any]
    fault: str


def mended(rings: list[np.ndarray]) -> Mended:
    """Polygons of an outer ring and holes, (n, 2) each in metres; none where nothing is left of it.

    A whole footprint keeps its corners in their order. Corners that stand twice in a row are one.
    """
    shapely = require_shapely()
    faults: list[str] = []
    outer, *holes = [_without_repeats(np.round(ring * LATTICE_PER_METRE) / LATTICE_PER_METRE) for ring in rings]
    if len(outer) < 3:
        return Mended([], "a ring of fewer than three corners")
    kept = [hole for hole in holes if len(hole) >= 3]
    if len(kept) < len(holes):
        faults.append("a hole of fewer than three corners")
    shape = shapely.Polygon(outer, kept)
    if shape.is_valid and shape.area >= _LEAST_M2:
        return Mended([shape], ", ".join(faults))
    fault = shapely.is_valid_reason(shape).partition("[")[0].lower() if not shape.is_valid else "no area"
    return Mended(polygons_in(shapely.make_valid(shape)), ", ".join([*faults, fault]))


def polygons_in(shape: Any) -> list[Any]:
    """The polygons of any shape, valid and on the lattice."""
    on_lattice = require_shapely().set_precision(shape, 1 / LATTICE_PER_METRE)
    parts = require_shapely().get_parts(on_lattice)
    found = [inner for part in parts for inner in (part.geoms if hasattr(part, "geoms") else [part])]
    return [part for part in found if part.geom_type == "Polygon" and part.area >= _LEAST_M2]


def corners(ring: Any) -> tuple[tuple[float, float], ...]:
    """Of shapely's ring, which is closed: open."""
    return tuple((float(x), float(y)) for x, y in ring.coords[:-1])


def _without_repeats(ring: np.ndarray) -> np.ndarray:
    """Open, and without corners that are the one after."""
    if not len(ring):
        return ring
    differs = np.any(ring != np.roll(ring, -1, axis=0), axis=1)
    return ring[differs] if differs.any() else ring[:1]
