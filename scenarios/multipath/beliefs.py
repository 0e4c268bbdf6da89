"""What an estimator may believe of a place that is otherwise: heights, a building less, materials, all moved a little.

Tables of expected powers are traced in the believed place, the powers that sensors see come from the true one. So a
sweep over beliefs says how much of a result rests on the place being known.
"""

from typing import Literal

from engine.channels.surroundings import Building, Surroundings, polygon, require_shapely

Belief = Literal[
    "true",
    "moved 1 cm",
    "moved 10 cm",
    "heights + 2 m",
    "heights - 2 m",
    "nearest missing",
    "all concrete",
    "all metal",
    "no buildings",
]

_LOWEST_M = 0.5
_MOVED_M = {"moved 1 cm": 0.01, "moved 10 cm": 0.1}
_RAISED_M = {"heights + 2 m": 2.0, "heights - 2 m": -2.0}


def believed_place(place: Surroundings, belief: Belief) -> Surroundings:
    """The place as it is believed to be; its ground, and the area of interest, are known."""
    if belief == "true":
        return place
    return place.model_copy(update={"buildings": _believed(place.buildings, belief), "name": f"{place.name}, {belief}"})


def _believed(buildings: tuple[Building, ...], belief: Belief) -> tuple[Building, ...]:
    if belief in _RAISED_M:
        return tuple(_raised(building, _RAISED_M[belief]) for building in buildings)
    if belief in _MOVED_M:
        return tuple(_moved(building, _MOVED_M[belief]) for building in buildings)
    if belief == "no buildings":
        return ()
    if belief == "nearest missing":
        nearest = min(buildings, key=_distance_m, default=None)
        return tuple(building for building in buildings if building is not nearest)
    material = "metal" if belief == "all metal" else "concrete"
    return tuple(building.model_copy(update={"material": material}) for building in buildings)


def _raised(building: Building, by_m: float) -> Building:
    return building.model_copy(update={"height_m": max(building.height_m + by_m, building.base_m + _LOWEST_M)})


def _moved(building: Building, by_m: float) -> Building:
    """Away from the array, along x."""
    rings = [tuple((x + by_m, y) for x, y in ring) for ring in (building.footprint, *building.holes)]
    fields = {name: getattr(building, name) for name in ("height_m", "base_m", "material")}
    return Building(footprint=rings[0], holes=tuple(rings[1:]), **fields)


def _distance_m(building: Building) -> float:
    """Of its walls from the array: a long wall's corners may be far from it."""
    return float(polygon(building).distance(require_shapely().Point(0.0, 0.0)))
