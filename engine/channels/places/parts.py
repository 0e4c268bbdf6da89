"""Buildings drawn in parts: the parts stand for what they cover, the outline for what is left of it.

OpenStreetMap's Simple 3D Buildings: where an outline has parts, these say its shape; its own height is the highest of
theirs. https://wiki.openstreetmap.org/wiki/Simple_3D_Buildings
"""

from dataclasses import dataclass, replace
from typing import Any

from engine.channels.materials import Material
from engine.channels.places.heights import Heights
from engine.channels.places.shapes import polygons_in
from engine.channels.surroundings import require_shapely

_SEAM_M = 0.25
"""Strips narrower than twice this, left between an outline and its parts, are how exactly these were drawn."""
_WITHIN = 0.9
"""The share of a part's area from which it belongs to an outline."""


@dataclass(frozen=True)
class Prism:
    """One polygon, in metres around the array, from its base to its top."""

    number: int
    """of its building in the file"""
    name: str
    polygon: Any
    heights: Heights
    material: Material
    is_part: bool = False


def resolved(prisms: list[Prism]) -> tuple[list[Prism], int]:
    """Prisms without what parts say better, and how many outlines that concerns.

    A part of unknown height is as high as its outline.
    """
    parts = [prism for prism in prisms if prism.is_part]
    if not parts:
        return prisms, 0
    shapely = require_shapely()
    tree = shapely.STRtree([part.polygon for part in parts])
    found: list[Prism] = []
    outlines = 0
    for outline in (prism for prism in prisms if not prism.is_part):
        near = [int(i) for i in tree.query(outline.polygon, predicate="intersects")]
        own = [
            i for i in near if parts[i].polygon.intersection(outline.polygon).area >= _WITHIN * parts[i].polygon.area
        ]
        if not own:
            found.append(outline)
            continue
        outlines += 1
        covered = shapely.union_all([parts[i].polygon for i in own])
        left = (
            outline.polygon.difference(covered).buffer(-_SEAM_M, join_style="mitre").buffer(_SEAM_M, join_style="mitre")
        )
        found += [replace(outline, polygon=one) for one in polygons_in(left.intersection(outline.polygon))]
        for i in own:
            if parts[i].heights.source == "assumed" and parts[i].heights.base_m < outline.heights.top_m:
                known = parts[i].heights._replace(top_m=outline.heights.top_m, source=outline.heights.source)
                parts[i] = replace(parts[i], heights=known)
    return [*found, *parts], outlines
