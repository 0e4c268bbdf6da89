"""How high a building is, and where it begins, by OpenStreetMap's rules: metres, feet, levels, lists, and slips.

https://wiki.openstreetmap.org/wiki/Map_features/Units and Simple_3D_Buildings. The first that can be read of `height`,
`building:height`, levels of 3 m each, else 6 m. What cannot be read is nothing, and is named.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from engine.channels.places.tags import word

Source = Literal["tagged", "levels", "assumed"]

ASSUMED_M = 6.0
LEVEL_M = 3.0
SLAB_M = 0.5
"""How thick a roof on posts is, where nothing is said of it."""
_LOWEST_M, _HIGHEST_M = 0.5, 1000.0
_MOST_LEVELS = 200.0
_ABSURD = 1e12  # and more, which JSON may hold as integers that no float is
_FOOT_M = 0.3048
_UNITS = {
    "": 1.0, "m": 1.0, "mt": 1.0, "mtr": 1.0, "meter": 1.0, "meters": 1.0, "metre": 1.0, "metres": 1.0,
    "cm": 0.01, "mm": 0.001, "km": 1000.0,
    "ft": _FOOT_M, "foot": _FOOT_M, "feet": _FOOT_M, "'": _FOOT_M, "in": _FOOT_M / 12, '"': _FOOT_M / 12,
}  # fmt: skip
_HEIGHT_TAGS = ("height", "building_height", "est_height", "render_height")
_LEVEL_TAGS = ("building_levels", "levels", "num_floors", "num_levels", "stories", "storeys", "floors")
_BASE_TAGS = ("min_height", "building_min_height", "render_min_height")
_BASE_LEVEL_TAGS = ("building_min_level", "min_level", "min_floor")
_NUMBER = r"([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+))"
_LENGTH = re.compile(rf"{_NUMBER}\s*([a-z]*|'|\")\.?")
_FEET_AND_INCHES = re.compile(rf"{_NUMBER}\s*(?:'|ft|feet)\s*{_NUMBER}\s*(?:\"|in|inches|'')?")
_LEVELS = re.compile(rf"{_NUMBER}\s*(?:levels?|floors?|fl|storeys?|stor(?:y|ies))?\.?")
_ABOUT = re.compile(r"^(?:~|≈|±|<|>|ca\.?|c\.|about|approx\.?|circa)\s*")
_SPLIT = re.compile(r"[;|/]|(?<=[\dm])\s*[-–]\s*(?=\d)")
_QUOTES = str.maketrans({"’": "'", "′": "'", "‘": "'", "”": '"', "″": '"', "“": '"'})


class Heights(NamedTuple):
    """Of a prism."""

    top_m: float
    base_m: float
    source: Source
    unread: tuple[str, ...]
    """tags that are there and could not be read, 'height = tall'"""
    flattened: bool
    """whether it has a roof that is not flat, and is taken as a prism up to its ridge"""


def heights_of(tags: Mapping[str, Any]) -> Heights:
    """Top and base of a building with these tags."""
    unread: list[str] = []

    def first(names: tuple[str, ...], read: Callable[[Any], float | None], low: float, high: float) -> float | None:
        for name in names:
            if name in tags:
                value = read(tags[name])
                if value is not None and low <= value <= high:
                    return value
                if not _is_none_known(value):
                    unread.append(f"{name} = {str(tags[name])[:40]}")
        return None

    source: Source = "tagged"
    top_m = first(_HEIGHT_TAGS, length_m, _LOWEST_M, _HIGHEST_M)
    if top_m is None:
        source = "levels"
        levels = first(_LEVEL_TAGS, count, 0.0, _MOST_LEVELS)
        if levels is not None:  # which does not count those under the roof
            roof_m = first(("roof_height",), length_m, 0.0, _HIGHEST_M)
            if roof_m is None:
                roof_m = LEVEL_M * (first(("roof_levels",), count, 0.0, _MOST_LEVELS) or 0.0)
            top_m = min(LEVEL_M * levels + roof_m, _HIGHEST_M) or None
    if top_m is None:
        source, top_m = "assumed", ASSUMED_M
    base_m = first(_BASE_TAGS, length_m, 0.0, _HIGHEST_M)
    if base_m is None:
        base_m = LEVEL_M * (first(_BASE_LEVEL_TAGS, count, 0.0, _MOST_LEVELS) or 0.0)
    if base_m == 0 and is_canopy(tags):
        base_m = max(top_m - SLAB_M, 0.0)
    if base_m >= top_m and source == "assumed":
        top_m = base_m + ASSUMED_M
    if base_m >= top_m:
        unread.append(f"min_height = {base_m:g} m under a top at {top_m:g} m")
        base_m = 0.0
    flattened = word(tags, "roof_shape") not in ("", "flat") or "roof_height" in tags
    return Heights(top_m, base_m, source, tuple(unread), flattened)


def is_canopy(tags: Mapping[str, Any]) -> bool:
    """A roof on posts, which has no walls."""
    return "roof" in (word(tags, "building"), word(tags, "building_part"))


def _is_none_known(value: float | None) -> bool:
    """0 and −1 are how files say that they know none."""
    return value is not None and value in (0.0, -1.0, -99.0, -999.0, -9999.0)


def length_m(value: Any) -> float | None:
    """Metres; of several the largest, as what reaches highest stands in the way; None for what is no length.

    >>> [length_m(text) for text in (12, "12 m", "12,5", "~12", "3;4", "40'", "40 ft", "tall")]
    [12.0, 12.0, 12.5, 12.0, 4.0, 12.192, 12.192, None]
    >>> round(length_m("12'6\\""), 4)
    3.81
    """
    return _largest(value, _length)


def count(value: Any) -> float | None:
    """A number of levels, of several the largest.

    >>> count("3;4"), count("2.5"), count("5 floors"), count("many")
    (4.0, 2.5, 5.0, None)
    """
    return _largest(value, _count)


def _largest(value: Any, read: Callable[[str], float | None]) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < _ABSURD else None
    if isinstance(value, list | tuple):
        value = ";".join(map(str, value))
    if not isinstance(value, str):
        return None
    found = []
    for part in _SPLIT.split(value.translate(_QUOTES).strip().lower()):
        text = _ABOUT.sub("", part.strip()).strip()
        one = read(text) if text else None
        if one is not None:
            found.append(one)
    return max(found, default=None)


def _length(text: str) -> float | None:
    if both := _FEET_AND_INCHES.fullmatch(text):
        return (_number(both[1]) + _number(both[2]) / 12) * _FOOT_M
    one = _LENGTH.fullmatch(text)
    return _number(one[1]) * _UNITS[one[2]] if one and one[2] in _UNITS else None


def _count(text: str) -> float | None:
    one = _LEVELS.fullmatch(text)
    return _number(one[1]) if one else None


def _number(text: str) -> float:
    return float(text.replace(",", "."))
