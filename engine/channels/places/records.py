"""What a map file holds, before anybody asks what it means."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Feature(NamedTuple):
    """Properties as they stand; polygons (lists of rings), points (positions), and lines (lists of positions)."""

    identity: str
    properties: Any
    polygons: list[Any]
    points: list[Any]
    lines: list[Any]


@dataclass
class Map:
    """What a file holds; `crs` as the file says it, `in_metres` where it says `"units": "m"`."""

    features: list[Feature] = field(default_factory=list)
    crs: Any = None
    in_metres: bool = False
    remarks: list[str] = field(default_factory=list)
    unreadable: int = 0
    """features that are none"""
