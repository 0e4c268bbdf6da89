"""The buildings of a map as rings in its own coordinates, with what every one of them spans: linear in their number."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.channels.places.account import counted
from engine.channels.places.crs import Coordinates
from engine.channels.places.records import Feature
from engine.channels.places.tags import Kind, kind_of, names_a_building, tags_of

_NO_NUMBER = (TypeError, ValueError, IndexError, KeyError, OverflowError)


@dataclass
class Footprints:
    """n polygons."""

    features: Sequence[Feature]
    owner: list[int] = field(default_factory=list)
    """which feature each polygon is of, (n,)"""
    kinds: list[Kind] = field(default_factory=list)
    """'building' or 'part', (n,)"""
    polygons: list[Any] = field(default_factory=list)
    boxes: np.ndarray = field(default_factory=lambda: np.empty((0, 4)))
    """west, south, east, north of each, (n, 4)"""
    found: int = 0
    """features that are buildings"""
    astray: list[str] = field(default_factory=list)
    """buildings without a position that can be read: name: what is wrong"""
    remarks: list[str] = field(default_factory=list)
    is_swapped: bool = False
    """whether the file has y before x"""

    def name(self, i: int) -> str:
        """Of the building that a polygon is of."""
        return self.features[self.owner[i]].identity

    def keep(self, which: np.ndarray) -> None:
        """Only these polygons, by a mask (n,)."""
        chosen = np.flatnonzero(which).tolist()
        self.boxes = self.boxes[chosen]
        self.owner, self.kinds = [self.owner[i] for i in chosen], [self.kinds[i] for i in chosen]
        self.polygons = [self.polygons[i] for i in chosen]

    def swap(self) -> None:
        """x for y."""
        self.boxes = self.boxes[:, [1, 0, 3, 2]]
        self.is_swapped = not self.is_swapped

    def rings(self, i: int) -> list[np.ndarray] | None:
        """Outer ring and holes of a polygon, (n, 2) each; None where a coordinate is no number."""
        try:
            found = [
                np.array([(float(point[0]), float(point[1])) for point in ring]).reshape(-1, 2)
                for ring in self.polygons[i]
            ]
        except _NO_NUMBER:
            return None
        if not all(np.isfinite(corners).all() for corners in found):
            return None
        return [corners[:, ::-1] if self.is_swapped else corners for corners in found]

    def near(self, coordinates: Coordinates, origin: tuple[float, float], reach_m: float) -> np.ndarray:
        """Indices of the polygons whose box comes within `reach_m` of an origin, east or west and north or south."""
        west, south, east, north = self.boxes.T
        corners = [coordinates.local_m(x, y, origin) for x in (west, east) for y in (south, north)]
        x, y = np.stack([one[0] for one in corners]), np.stack([one[1] for one in corners])
        inside = (x.min(axis=0) <= reach_m) & (x.max(axis=0) >= -reach_m)
        return np.flatnonzero(inside & (y.min(axis=0) <= reach_m) & (y.max(axis=0) >= -reach_m))


def footprints_of(features: Sequence[Feature]) -> Footprints:
    """The polygons of features that are buildings; closed lines are polygons."""
    found = Footprints(features)
    others: Counter[str] = Counter()
    is_tagged = any(names_a_building(_lowered(feature)) for feature in features)
    boxes: list[tuple[float, float, float, float]] = []
    closed_lines = areas = shapeless = underground = 0
    for number, feature in enumerate(features):
        polygons = feature.polygons
        if not polygons and not feature.lines and not feature.points:
            others["feature without a geometry"] += 1
            continue
        tags = tags_of(feature.properties)
        if not polygons and not names_a_building(tags):
            others["line" if feature.lines else "point"] += "bearing" not in tags
            continue
        kind = kind_of(tags, is_tagged)
        if kind == "no building":
            others["area"] += 1
            continue
        if kind == "underground":
            underground += 1
            continue
        loops = [[line] for line in feature.lines if _is_closed(line)]
        polygons = [*polygons, *loops]
        closed_lines += bool(loops)
        if not polygons:
            shapeless += 1
            continue
        areas += 1
        for polygon in polygons:
            box = _box(polygon)
            if box is None:
                found.astray.append(f"{feature.identity}: its coordinates are none")
                continue
            boxes.append(box)
            found.owner.append(number)
            found.kinds.append(kind)
            found.polygons.append(polygon)
    found.boxes, found.found = np.array(boxes).reshape(-1, 4), areas
    if areas and not is_tagged:
        found.remarks.append("no feature has a 'building' tag: areas that are not said to be something else are taken "
                             "as buildings")  # fmt: skip
    if closed_lines:
        found.remarks.append(f"{counted(closed_lines, 'closed line')} taken as footprints")
    if shapeless:
        found.remarks.append(f"{counted(shapeless, 'building')} skipped: open lines or points, which have no footprint")
    if underground:
        found.remarks.append(f"{counted(underground, 'building')} skipped: underground")
    skipped = [counted(count, kind) for kind, count in others.items() if count]
    if skipped:
        found.remarks.append(f"skipped, as no buildings: {', '.join(skipped)}")
    return found


def _lowered(feature: Feature) -> dict[str, Any]:
    """The tags, where a look at the keys says that they may name a building."""
    properties = feature.properties
    if not isinstance(properties, dict):
        return {}
    return tags_of(properties) if any("uilding" in key or "tags" in key or "UILD" in key for key in properties) else {}


def _is_closed(line: Any) -> bool:
    return len(line) >= 4 and line[0] == line[-1]


def _box(polygon: Any) -> tuple[float, float, float, float] | None:
    """Of the outer ring; None for what is no ring of numbers."""
    try:
        x, y = [point[0] for point in polygon[0]], [point[1] for point in polygon[0]]
        box = float(min(x)), float(min(y)), float(max(x)), float(max(y))
    except _NO_NUMBER:
        return None
    return box if all(map(np.isfinite, box)) else None
